"""How a stand-in is served: by a fast server, or by one that breaks connections on purpose."""
