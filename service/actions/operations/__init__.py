"""What is wrong now, and how people learn it."""
