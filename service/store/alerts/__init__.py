"""The table `alert`: what was decided to say, and how its state changes."""
