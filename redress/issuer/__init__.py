"""Development identity provider and front door: anybody may be anybody, so it serves this machine only."""
