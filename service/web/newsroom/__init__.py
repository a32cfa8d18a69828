"""Pages for editors: sign in, write stories, send pushes, watch alerts."""
