"""How a stand-in is served: fast in fair weather, broken on purpose in rough."""
