"""Readers, their devices and subscriptions, and who is in an audience."""
