"""The verbs: what people and machines can do, each in one transaction."""
