"""The gateway on httpx: portable and easy to trace."""
