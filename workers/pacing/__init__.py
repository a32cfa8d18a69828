"""How fast each provider may be used, held by all workers together."""
