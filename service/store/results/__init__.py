"""What alerts did, who left after them, and the audience and the providers over time."""
