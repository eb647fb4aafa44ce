"""The kinds of personal data that are found, and what each is called: rows of data.

`safety.personal.finding` finds them, `safety.personal.vault` numbers them, policies name them.
"""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct


class Kind(Struct, frozen=True):
    """One kind of personal data."""

    name: str
    """As policies and `Found` name it."""
    label: str
    """As its placeholders begin: upper-case letters alone."""
    sub_category: str
    """As annotations name it. Azure's word where it has one:
    https://learn.microsoft.com/azure/ai-services/language-service/personally-identifiable-information/concepts/entity-categories
    """


_ROWS = (
    Kind("secret", "SECRET", "Secret"),
    Kind("email", "EMAIL", "Email"),
    Kind("iban", "IBAN", "InternationalBankingAccountNumber"),
    Kind("card", "CARD", "CreditCardNumber"),
    Kind("ssn", "SSN", "USSocialSecurityNumber"),
    Kind("phone", "PHONE", "PhoneNumber"),
    Kind("ip", "IP", "IPAddress"),
)
KINDS = {kind.name: kind for kind in _ROWS}
"""By name. Where two begin at one place and are equally long, the first of this table is told."""
DEFAULT_KINDS = tuple(name for name in KINDS if name != "ip")
"""What is looked for unless a policy says otherwise: an address is in every log, and rarely a person's."""


class Found(Struct, frozen=True):
    """A piece of personal data in one text."""

    kind: str
    """A name in `KINDS`."""
    start: int
    """Where it begins, in characters of that text."""
    end: int
    """Where it ends."""


def describe(kinds: Iterable[str], *, filtered: bool, redacted: bool) -> dict[str, Any]:
    """``personally_identifiable_information`` of an annotation: which kinds were found, and never the values.

    ``filtered``: the text was refused. ``redacted``: what was found was masked.
    """
    found = set(kinds)
    entries = [
        {"sub_category": kind.sub_category, "filtered": filtered, "detected": True, "redacted": redacted}
        for kind in KINDS.values()
        if kind.name in found
    ]
    told = {"filtered": filtered and bool(entries), "detected": bool(entries), "redacted": redacted and bool(entries)}
    return {**told, "sub_categories": entries}
