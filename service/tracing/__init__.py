"""Traces: what an alert did from an editor's press to the providers' answers, and how long."""
