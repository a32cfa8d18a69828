"""The proof: what dies in the middle of a fan-out, and what the readers' phones show afterwards."""
