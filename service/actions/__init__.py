"""Actions: what people and machines can do, each within one unit of work."""
