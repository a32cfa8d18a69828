"""Stories with their revisions, and the tree of topics."""
