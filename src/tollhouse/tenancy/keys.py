"""The text of a key: how it is made, and the digest that is kept in its place. Nothing stores the text itself.

32 random bytes need no slow hash: nobody guesses them. HMAC under the installation's pepper makes a stolen database
worthless without the pepper's file.
"""

import hmac
import secrets
from hashlib import sha256
from typing import NamedTuple

from tollhouse.types.secret import Secret

KEY_PREFIX = "sk-th-"
_RANDOM_BYTES = 32


class Minted(NamedTuple):
    """A new key: its text, to be shown once, and what is stored of it."""

    text: Secret
    digest: bytes
    hint: str
    """The prefix and the last four characters, by which a person recognises it."""


def digest_key(pepper: bytes, key: str | bytes) -> bytes:
    """32 bytes that identify a key without revealing it."""
    return hmac.digest(pepper, key.encode() if isinstance(key, str) else key, sha256)


def mint_key(pepper: bytes, prefix: str = KEY_PREFIX) -> Minted:
    """A new key of 256 random bits."""
    text = prefix + secrets.token_urlsafe(_RANDOM_BYTES)
    return Minted(Secret(text), digest_key(pepper, text), f"{prefix}...{text[-4:]}")


def mint_id(kind: str) -> str:
    """The id of a new node of a kind: ``org_``, ``team_``, ``user_`` or ``key_`` and 16 hexadecimal digits."""
    return f"{kind}_{secrets.token_hex(8)}"
