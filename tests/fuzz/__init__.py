"""The fuzzer: the whole API called as its document allows and forbids, by every caller."""
