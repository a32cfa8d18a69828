"""Pages for editors: write, send, watch, sign in."""
