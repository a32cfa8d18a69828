"""What alerts did, one by one and in a month."""
