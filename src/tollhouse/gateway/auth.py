"""Who is calling: a key's digest, looked up in memory.

A key is stored nowhere. What is kept is HMAC-SHA256 of it under the installation's pepper, and the lookup is a
dictionary's on the whole digest: the time it takes says nothing about how much of a key was right. A store that does
not answer never turns a good key into a bad one: the keys last read stay valid.
"""

import hmac
import secrets
import time
from collections.abc import Callable
from hashlib import sha256

from tollhouse.errors import RateLimited, Unauthorized
from tollhouse.stores.protocol import KeyRecord, KeyStore
from tollhouse.types.calls import Principal

KEY_PREFIX = "sk-th-"
FAILURE_WINDOW_S = 60.0
FAILURES_PER_WINDOW = 60
_MOST_CLIENTS = 10_000
_MISSING = (
    "You didn't provide an API key. Send it in the Authorization header as 'Bearer YOUR_KEY', or as 'x-api-key'. "
    "The operator of this gateway makes keys with: tollhouse keys create"
)
_WRONG = "Incorrect API key provided. The operator of this gateway lists its keys with: tollhouse keys list"


def digest_key(pepper: bytes, key: str | bytes) -> bytes:
    """32 bytes that identify a key without revealing it."""
    return hmac.digest(pepper, key.encode() if isinstance(key, str) else key, sha256)


def mint_key(pepper: bytes, name: str, created_at: int) -> tuple[str, KeyRecord]:
    """A new key of 256 random bits: its text, to be shown once, and its record, to be stored."""
    text = KEY_PREFIX + secrets.token_urlsafe(32)
    hint = f"{KEY_PREFIX}...{text[-4:]}"
    return text, KeyRecord("key_" + secrets.token_hex(8), digest_key(pepper, text), hint, name, created_at)


class Failures:
    """How often each client address has sent a wrong key in the current minute.

    Past the budget a wrong key is answered 429 in place of 401, and the operator is told once a minute. A good key
    always passes: behind a reverse proxy all clients share one address.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._since = now()
        self._counts: dict[str, int] = {}
        self.alert: Callable[[str], None] = lambda _client: None
        """Called with the address that goes over its budget."""

    def add(self, client: str) -> None:
        """Counts one. Raises `RateLimited` over the budget."""
        now = self._now()
        if now - self._since >= FAILURE_WINDOW_S or len(self._counts) >= _MOST_CLIENTS:
            self._since = now
            self._counts.clear()
        count = self._counts[client] = self._counts.get(client, 0) + 1
        if count == FAILURES_PER_WINDOW + 1:
            self.alert(client)
        if count > FAILURES_PER_WINDOW:
            wait_s = max(1, round(self._since + FAILURE_WINDOW_S - now))
            raise RateLimited("Too many wrong keys from this address.", headers={"retry-after": str(wait_s)})


class Keyring:
    """The valid keys, by digest. `refresh` follows the store; call it once a second."""

    def __init__(self, store: KeyStore, pepper: bytes) -> None:
        self.failures = Failures()
        self._store = store
        self._pepper = pepper
        self._version: int | None = None
        self._principals: dict[bytes, Principal] = {}
        self._lent: dict[bytes, Principal] = {}
        self.refresh()

    def __len__(self) -> int:
        return len(self._principals)

    def refresh(self) -> None:
        """Reads the keys again when the store has changed. Raises `StorageUnavailable`, keeping what was read."""
        version = self._store.version()
        if version == self._version:
            return
        records = self._store.keys()
        live = [record for record in records if record.revoked_at is None]
        self._principals = {record.digest: Principal(record.id, record.name) for record in live}
        self._version = version

    def lend(self) -> str:
        """A key that is valid for the life of this process and stored nowhere; for the program that started it."""
        text, record = mint_key(self._pepper, "session", 0)
        self._lent[record.digest] = Principal(record.id, record.name)
        return text

    def identify(self, headers: dict[bytes, bytes], client: str = "") -> Principal:
        """The caller at an address. Takes ``Authorization: Bearer`` or ``x-api-key``; of both, either may be valid
        (SDKs exist that send both). Raises `Unauthorized`, `RateLimited`.
        """
        bearer = headers.get(b"authorization")
        other = headers.get(b"x-api-key")
        if (
            bearer is not None
            and bearer[:7].lower() == b"bearer "
            and (principal := self._find(bearer[7:].strip())) is not None
        ):
            return principal
        if other is not None and (principal := self._find(other.strip())) is not None:
            return principal
        if bearer is None and other is None:
            fault = Unauthorized(_MISSING)
            fault.code = None
            raise fault
        self.failures.add(client)
        raise Unauthorized(_WRONG)

    def _find(self, key: bytes) -> Principal | None:
        digest = digest_key(self._pepper, key)
        return self._principals.get(digest) or self._lent.get(digest)
