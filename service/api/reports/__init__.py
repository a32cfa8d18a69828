"""What alerts did and how the audience goes, as JSON and as CSV."""
