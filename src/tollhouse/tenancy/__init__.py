"""Who may call and what may they do: the tree of organisations, teams, users and keys, and what an admin does to it."""
