"""The larger bodies of requests, and parts that several answers have."""
