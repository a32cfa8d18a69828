"""The HTTP side and the store."""
