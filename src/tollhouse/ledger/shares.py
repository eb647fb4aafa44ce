"""A share of a price, as a version of its own: what an answer costs that is given again (`gateway.replaying`). Pure.

Each rate is the share of the first version's, rounded up to a whole pico-USD, so that a charge can be reckoned from
the version like any other (I8): it is never less than the share of the first charge, and never more than the first.
"""

from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec

from tollhouse.ledger.prices import PriceVersion, read_price

REPLAY = "replay"
"""The ``source`` of such a version."""
_MOST_KNOWN = 1024
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


@lru_cache(_MOST_KNOWN)
def share_of(body: str, share: Decimal) -> PriceVersion:
    """The version that asks ``share``, from 0 to 1, of what the version of this body asks.

    Raises `msgspec.ValidationError` where the body is of no version.
    """
    read_price(body)
    price = _decode(body)
    up, down = share.as_integer_ratio()

    def part(pico: int) -> int:
        return -(-pico * up // down)

    def parts(rates: dict[str, int]) -> dict[str, int]:
        return {name: part(pico) for name, pico in rates.items()}

    price["rates"] = parts(price["rates"])
    price["tiers"] = [{**tier, "rates": parts(tier["rates"])} for tier in price["tiers"]]
    price |= {"image": part(price["image"]), "request": part(price["request"]), "source": REPLAY}
    return read_price(_encode({**price, "free": price["free"] or not up}))
