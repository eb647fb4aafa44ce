"""What a process knows again without keeping it: `gateway.auth` a key, `gateway.verdicts` a text."""

from hashlib import blake2b
from secrets import token_bytes


class Digests:
    """BLAKE2b under a key of this process alone: whoever reads the memory learns nothing of a short text by guessing.

    The key stands before the data, which for BLAKE2 is as good as its own ``key``, and needs one block less. A digest
    that has read the key is copied for each data: a fifth less than to begin anew.
    """

    __slots__ = ("_keyed",)

    def __init__(self) -> None:
        self._keyed = blake2b(token_bytes(32))

    def of(self, data: bytes) -> bytes:
        """64 bytes."""
        digest = self._keyed.copy()
        digest.update(data)
        return digest.digest()
