"""The one way by which the service reads addresses that people and feeds name."""
