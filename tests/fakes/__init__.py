"""Stand-ins that are real servers: they listen on loopback and speak bytes."""
