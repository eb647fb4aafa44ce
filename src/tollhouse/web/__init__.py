"""HTTP/1.1 towards clients: a server protocol with deadlines and caps of its own, CORS, and faults made JSON."""
