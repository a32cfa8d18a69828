"""What a source may do about alerts, and when its feed is asked."""
