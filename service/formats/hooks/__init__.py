"""What content management systems push, to stories, and how they sign it."""
