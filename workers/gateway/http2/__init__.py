"""Our own HTTP/2 client: the least that a push needs, and so the least work."""
