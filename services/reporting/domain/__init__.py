"""What reporting decides and computes, without any I/O."""
