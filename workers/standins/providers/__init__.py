"""One file per provider: what it refuses, and the words in which it does."""
