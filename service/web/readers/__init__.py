"""Pages for readers: stories, topics, devices, quiet hours."""
