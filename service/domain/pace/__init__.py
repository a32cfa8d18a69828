"""How fast an alert leaves, and what its readers do to the site meanwhile."""
