"""Pages for readers: the front, topics, stories, feeds, My alerts; in the demo, the phones."""
