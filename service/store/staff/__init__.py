"""Who may sign in or call, and the record of what they did."""
