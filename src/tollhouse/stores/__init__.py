"""What survives a restart, behind small Protocols. One contract suite tests every kind of store."""
