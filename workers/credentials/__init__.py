"""The providers' credentials: minted once, shared by all processes."""
