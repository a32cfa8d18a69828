"""What proves to providers who we are: minted once, shared by all processes."""
