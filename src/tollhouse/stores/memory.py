"""Keys in memory: for tests and for embedding the gateway in another program. Nothing survives the process."""

from dataclasses import replace

from tollhouse.stores.protocol import KeyRecord


class MemoryStore:
    """See `KeyStore`."""

    def __init__(self) -> None:
        self._records: dict[str, KeyRecord] = {}
        self._version = 0

    def keys(self) -> list[KeyRecord]:
        """See `KeyStore`."""
        return sorted(self._records.values(), key=lambda record: (record.created_at, record.id))

    def add_key(self, record: KeyRecord) -> None:
        """See `KeyStore`."""
        if record.id in self._records or any(record.digest == other.digest for other in self._records.values()):
            raise ValueError(f"A key with the id {record.id!r} or the same text exists.")
        self._records[record.id] = record
        self._version += 1

    def revoke_key(self, key_id: str, revoked_at: int) -> bool:
        """See `KeyStore`."""
        record = self._records.get(key_id)
        if record is None or record.revoked_at is not None:
            return False
        self._records[key_id] = replace(record, revoked_at=revoked_at)
        self._version += 1
        return True

    def version(self) -> int:
        """See `KeyStore`."""
        return self._version

    def close(self) -> None:
        """See `KeyStore`."""
