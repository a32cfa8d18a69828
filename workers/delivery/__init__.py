"""One alert's open batches as one stream: claimed, loaded, sent, settled."""
