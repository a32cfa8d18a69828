"""Uploaded pictures: what becomes of one, and where its files are stored."""
