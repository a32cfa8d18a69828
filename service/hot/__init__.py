"""The calls that come back in a wave after an alert, answered in groups."""
