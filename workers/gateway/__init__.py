"""All HTTP to providers, and no rule of theirs. THE PUSH LEAVES HERE."""
