"""Money as integers: nano-USD (1e-9) for amounts, pico-USD (1e-12) for the price of one token. Never a float.

A credit is how an amount is shown, `credits_per_usd` of them to the dollar; nothing is ever stored in credits.
"""

from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final

NUSD_PER_USD: Final = 10**9
PUSD_PER_NUSD: Final = 1000
_DECIMALS: Final = 9
MAX_NUSD: Final = 10**18
"""A billion dollars: the largest amount anywhere, far inside 63 bits, so that no sum of two overflows."""


def parse_usd(text: str) -> int:
    """Nano-USD of a decimal number of dollars, such as ``5``, ``0.25`` or ``-1.5``.

    Raises ValueError for anything else, for more than nine decimals, and past `MAX_NUSD`.
    """
    try:
        amount = Decimal(text.strip()) * NUSD_PER_USD
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is not an amount of dollars, such as 5 or 0.25.") from error
    if not amount.is_finite() or abs(amount) > MAX_NUSD:
        raise ValueError(f"{text!r} is not an amount of dollars up to a billion.")
    if amount != int(amount):
        raise ValueError(f"{text!r} has more than nine decimals; the smallest amount is 0.000000001.")
    return int(amount)


def write_usd(amount_nusd: int) -> str:
    """The amount in dollars, exactly: ``5.00``, ``0.000012345``, ``-1.50``. At least two decimals, at most nine."""
    sign, digits = ("-", str(-amount_nusd)) if amount_nusd < 0 else ("", str(amount_nusd))
    if len(digits) <= _DECIMALS:
        digits = digits.zfill(_DECIMALS + 1)
    return f"{sign}{digits[:-9]}.{digits[-9:-7]}{digits[-7:].rstrip('0')}"


format_usd: Final = lru_cache(maxsize=4096)(write_usd)
"""`write_usd`, kept for a while: an answer tells its cost more than once."""


def usd_number(amount_nusd: int) -> float:
    """The amount as the JSON number nearest to it, for a reader that wants a number. Never used to reckon with."""
    return amount_nusd / NUSD_PER_USD


def credits_number(amount_nusd: int, credits_per_usd: int) -> float:
    """The amount in credits, as a JSON number. Never used to reckon with."""
    return amount_nusd * credits_per_usd / NUSD_PER_USD
