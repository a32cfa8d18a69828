"""Which of several texts a reader gets, by language."""
