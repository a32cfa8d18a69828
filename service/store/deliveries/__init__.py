"""Shards and batches, what they add up to, and what was given up."""
