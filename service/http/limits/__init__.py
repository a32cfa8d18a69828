"""Limits by caller: whose call is next, and how many calls a minute."""
