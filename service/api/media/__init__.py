"""Pictures over JSON."""
