"""What is done with feeds: added, polled, pushed by hubs."""
