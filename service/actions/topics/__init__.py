"""Which topics incoming stories have, and how topics come in themselves."""
