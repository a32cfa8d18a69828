"""What is decided about running the system."""
