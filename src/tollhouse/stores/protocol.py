"""The seam between the gateway and its storage."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One client key. Its text is nowhere: ``digest`` is HMAC-SHA256 under the installation's pepper, ``hint`` the
    prefix and last four characters that a person recognises it by. Times are Unix seconds.
    """

    id: str
    digest: bytes
    hint: str
    name: str
    created_at: int
    revoked_at: int | None = None


class KeyStore(Protocol):
    """Keys. Every method may raise `StorageUnavailable`."""

    def keys(self) -> list[KeyRecord]:
        """All keys, revoked ones too, oldest first."""

    def add_key(self, record: KeyRecord) -> None:
        """Stores a new key. Raises ValueError when its id or digest exists."""

    def revoke_key(self, key_id: str, revoked_at: int) -> bool:
        """Marks a key as revoked for ever. False when there is no such key, or it was revoked before."""

    def version(self) -> int:
        """A number that changes when another process, or this one, has written."""

    def close(self) -> None:
        """Releases the store."""
