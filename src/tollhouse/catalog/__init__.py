"""What is known of hosts and models, and the exact resolution of names. Data, and pure functions over it."""
