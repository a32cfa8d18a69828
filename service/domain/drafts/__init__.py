"""What an editor asks for, before it becomes an alert."""
