"""The bodies of larger requests."""
