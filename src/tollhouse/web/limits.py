"""What a client may ask of the server's sockets: caps in bytes and counts, deadlines in seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """The defaults are those of the configuration file, whose page explains each."""

    max_body_bytes: int = 32 * 1024 * 1024
    max_bodies_bytes: int = 512 * 1024 * 1024
    """All request bodies in memory at once."""
    max_header_bytes: int = 32 * 1024
    max_headers: int = 128
    header_timeout_s: float = 10.0
    body_timeout_s: float = 300.0
    body_grace_s: float = 10.0
    body_min_bytes_per_s: int = 1024
    keep_alive_s: float = 75.0
    write_timeout_s: float = 60.0
    max_connections: int = 10_000
    heartbeat_s: float = 15.0
    half_close_grace_s: float = 0.75
    linger_s: float = 2.0
    pipeline_depth: int = 128
    pipeline_bytes: int = 256 * 1024
    """Requests, and bytes of their bodies, that may wait behind the one being served."""
    write_buffer_bytes: int = 128 * 1024

    @property
    def sweep_s(self) -> float:
        """How often deadlines are looked at: a quarter of the shortest, one second at most."""
        shortest = min(self.header_timeout_s, self.body_grace_s, self.keep_alive_s, self.write_timeout_s)
        return max(0.02, min(1.0, shortest / 4, self.heartbeat_s / 4))
