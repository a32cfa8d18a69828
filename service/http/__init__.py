"""What the API and the site share: authentication, admission, limits, problems, metrics."""
