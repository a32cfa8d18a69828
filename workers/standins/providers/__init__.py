"""One file a provider: what it refuses, in its own words."""
