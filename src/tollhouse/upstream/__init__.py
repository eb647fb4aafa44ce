"""The HTTP/1.1 client that talks to upstreams. `pool` is the way in and holds the theory of operation."""
