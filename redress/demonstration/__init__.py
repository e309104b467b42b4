"""A small company's day, acted out against the running stack: complaints in two languages, handled from end to end."""
