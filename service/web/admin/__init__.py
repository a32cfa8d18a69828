"""Pages for admins: the control room, staff and keys, the tree of topics."""
