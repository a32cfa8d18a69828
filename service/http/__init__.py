"""What the API and the site share: who calls, how much at once, how refusals are told."""
