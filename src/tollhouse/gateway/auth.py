"""Who is calling: a key's digest, looked up in memory.

A key is kept nowhere. What the store has is HMAC-SHA256 of it under the installation's pepper; what this process
remembers of a key that has called is BLAKE2b under a key of its own, which takes a third of the time. Each lookup is a
dictionary's on the whole digest: the time it takes says nothing about how much of a key was right. A store that does
not answer never turns a good key into a bad one: the directory last read stays valid.
"""

import time
from collections.abc import Callable
from typing import Final

from tollhouse.errors import AccountSuspended, RateLimited, Unauthorized
from tollhouse.gateway.digests import Digests
from tollhouse.tenancy.directory import ChainNumber, Directory
from tollhouse.tenancy.keys import digest_key
from tollhouse.types.tenancy import Principal
from tollhouse.web.exchange import Repeated

FAILURE_WINDOW_S: Final = 60.0
FAILURES_PER_WINDOW: Final = 60
_MOST_CLIENTS: Final = 10_000
_KEY_HEADERS: Final = (b"x-api-key", b"x-goog-api-key")
_MISSING: Final = (
    "You didn't provide an API key. Send it in the Authorization header as 'Bearer YOUR_KEY', or as 'x-api-key' or "
    "'x-goog-api-key'. The operator of this gateway makes keys with: tollhouse keys create"
)
_WRONG: Final = "Incorrect API key provided. The operator of this gateway lists its keys with: tollhouse keys list"
_SUSPENDED: Final = "The account of this key is suspended. Ask the operator of this gateway."


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
    """The keys that are valid at the moment. ``directory`` is set by `replace`, with every change and at once.

    A key is read from the directory when it is first used after a change; from then on it is one digest, one lookup and
    one look at the clock. ``clock_s`` is the wall clock, the one that expiries were reckoned by (I26).
    """

    def __init__(self, pepper: bytes, chain_number: ChainNumber, clock_s: Callable[[], float] = time.time) -> None:
        self.failures = Failures()
        self.directory = Directory()
        self._pepper = pepper
        self._digests = Digests()
        self._chain_number = chain_number
        self._clock_s = clock_s
        self._changes = 0
        self._principals: dict[bytes, Principal] = {}
        """Whom a key that has called since the last change stands for, by its digest here."""

    def __len__(self) -> int:
        """How many keys are neither revoked nor suspended."""
        return sum(1 for node in self.directory.nodes.values() if node.kind == "key" and node.disabled_at is None)

    def replace(self, directory: Directory) -> None:
        """Follows a change of the tree. What was revoked in it is refused from the next call on."""
        self.directory = directory
        self._changes += 1
        self._principals = {}

    def identify(self, headers: dict[bytes, bytes], client: str = "") -> Principal:
        """The caller at an address. Takes ``Authorization: Bearer``, ``x-api-key`` or ``x-goog-api-key``; of several,
        any may be valid (SDKs exist that send two). Raises `Unauthorized`, `RateLimited`; `AccountSuspended` for a key
        that would be valid if what it belongs to were not switched off.
        """
        bearer = headers.get(b"authorization")
        token = bearer[7:].strip() if bearer is not None and bearer[:7].lower() == b"bearer " else None
        if token is not None and (principal := self._find(token)) is not None:
            return principal
        others = [headers[name].strip() for name in _KEY_HEADERS if name in headers]
        for other in others:
            if (principal := self._find(other)) is not None:
                return principal
        if bearer is None and not others:
            fault = Unauthorized(_MISSING)
            fault.code = None
            raise fault
        if any(self._is_suspended(key) for key in (token, *others) if key is not None):
            raise AccountSuspended(_SUSPENDED)
        self.failures.add(client)
        raise Unauthorized(_WRONG)

    def identify_repeated(self, repeated: Repeated, headers: dict[bytes, bytes], client: str) -> Principal:
        """The same of a head that its connection repeats: it means the same until the tree changes, or a key expires.
        Raises what `identify` does.
        """
        principal = repeated.principal
        if principal is None or repeated.as_of != self._changes or self._has_expired(principal):
            principal = repeated.principal = self.identify(headers, client)
            repeated.as_of = self._changes
        return principal

    def _has_expired(self, principal: Principal) -> bool:
        return principal.not_after is not None and self._clock_s() >= principal.not_after

    def _find(self, key: bytes) -> Principal | None:
        digest = self._digests.of(key)
        principal = self._principals.get(digest)
        if principal is None:
            principal = self._meet(key)
            if principal is None:
                return None
            self._principals[digest] = principal
        return None if self._has_expired(principal) else principal

    def _meet(self, key: bytes) -> Principal | None:
        """Reads a key for the first time since the last change."""
        principal = self.directory.principal(digest_key(self._pepper, key), self._chain_number)
        if principal is None or self.directory.suspended(principal.number):
            return None
        return principal

    def _is_suspended(self, key: bytes) -> bool:
        """Whether a key that is not valid would be if nothing above it were switched off."""
        principal = self.directory.principal(digest_key(self._pepper, key), self._chain_number)
        if principal is None or self._has_expired(principal):
            return False
        return self.directory.suspended(principal.number)
