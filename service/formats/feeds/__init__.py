"""RSS, Atom and JSON Feed, to stories."""
