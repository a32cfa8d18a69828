"""How fast each provider may be used, by all workers together."""
