"""What a connection to us may hold, and for how long."""
