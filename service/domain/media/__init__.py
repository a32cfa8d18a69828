"""Pictures: what is decided about them without I/O."""
