"""Pictures on the site: their files, how editors upload them, how pages show them."""
