"""Who may do what an operator does: whoever holds the admin key. Called by every page that is not for the public.

The key is compared in constant time, an empty one opens nothing, and there is no other way in. Who of several people
behind one key acted is told by ``x-tollhouse-actor``; it is a note for the audit, not a proof.
"""

import hmac
import re

from tollhouse.errors import Forbidden, Unauthorized
from tollhouse.types.secret import Secret
from tollhouse.web.exchange import Exchange

ACTOR = "admin"
MAX_ACTOR_CHARS = 64
_STRANGE = re.compile(r"[^A-Za-z0-9 @._+:/-]")


class Guard:
    """The door to the operator's pages."""

    def __init__(self, admin_key: Secret) -> None:
        self._key = admin_key.reveal().encode()

    def authorise(self, exchange: Exchange) -> str:
        """Who acts, as audit rows name it. Raises `Unauthorized` without a key, `Forbidden` with a wrong one."""
        scheme, _, given = exchange.headers.get(b"authorization", b"").partition(b" ")
        if not given:
            raise Unauthorized(
                "Send the admin key as 'Authorization: Bearer ...'; it is in admin.key in the data folder."
            )
        right = hmac.compare_digest(given.strip(), self._key)
        if scheme.lower() != b"bearer" or not right or not self._key:
            raise Forbidden("That is not the admin key.")
        return name_actor(exchange.headers.get(b"x-tollhouse-actor", b""))


def name_actor(given: bytes) -> str:
    """``admin``, or ``admin/NAME`` with the name that the caller gave itself; strange characters become ``_``."""
    name = _STRANGE.sub("_", given.decode("utf-8", "replace"))[:MAX_ACTOR_CHARS].strip()
    return f"{ACTOR}/{name}" if name else ACTOR
