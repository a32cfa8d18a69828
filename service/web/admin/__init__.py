"""Pages for admins: queues, providers, staff, topics; and the demo's phones."""
