"""Prices: what every target costs now and why, every version there was, and a new one from a moment on.

Amounts are US dollars for a million tokens, as text, and nothing else: a price entered for one token in place of a
million is the classic mistake, so a price far from the one in force is refused until it is said again with ``confirm``.
A version is never changed; to take a price back, set the right one.
"""

import re
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal

import apsw
from msgspec import Meta, Struct

from tollhouse.control.admin.pages import page_of, read_number
from tollhouse.control.admin.shapes import Name, Page, Seconds
from tollhouse.control.admin.table import Call, Endpoint
from tollhouse.errors import Conflict, InvalidRequest
from tollhouse.ledger.ledger import Ledger
from tollhouse.ledger.price_bodies import Rates
from tollhouse.ledger.pricebook import PriceBook
from tollhouse.ledger.prices import ADMIN, PriceVersion, make_price, read_price
from tollhouse.routing.auto import AUTO
from tollhouse.snapshot import Live
from tollhouse.types.calls import Prices, PriceTier, Target
from tollhouse.validate.spelling import shorten

PUSD_PER_USD = 10**12
PUSD_PER_USD_PER_1M = 10**6
FAR = 100
"""A price this many times as high or as low as the one in force needs a second word."""
MAX_USD = 100_000
MAX_TIERS = 16
_AMOUNT = re.compile(r"[0-9]{1,6}(\.[0-9]{1,12})?", re.ASCII)
_PER_1M = "_usd_per_1m"
_FLAT = {"usd_per_image": "image", "usd_per_request": "request"}
_VERSIONS = "SELECT id, body FROM price WHERE id > ? AND (?2 = '' OR host = ?2) AND (?3 = '' OR model = ?3)"
_VERSIONS += " ORDER BY id LIMIT ?4"

PriceText = Annotated[
    str,
    Meta(
        description="US dollars for a million tokens, up to six decimals.",
        examples=["0.15"],
        extra_json_schema={"pattern": r"^[0-9]{1,6}(\.[0-9]{1,6})?$"},
    ),
]
FlatText = Annotated[str, Meta(description="US dollars for one.", examples=["0.04"])]


class Amounts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a million tokens of each class cost. A class that is left out costs what the class it is part of does."""

    input_usd_per_1m: PriceText | None = None
    output_usd_per_1m: PriceText | None = None
    cache_read_usd_per_1m: PriceText | None = None
    cache_write_usd_per_1m: PriceText | None = None
    cache_write_1h_usd_per_1m: PriceText | None = None
    reasoning_usd_per_1m: PriceText | None = None
    input_audio_usd_per_1m: PriceText | None = None
    output_audio_usd_per_1m: PriceText | None = None


class TierAmounts(Amounts, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What they cost in a request whose prompt is longer than this."""

    above_tokens: Annotated[int, Meta(ge=1, le=2**31)]


class NewPrice(Amounts, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A price to set, for one model at one host, by the names of ``host/model``."""

    host: Name
    model: Annotated[str, Meta(min_length=1, max_length=256)]
    usd_per_image: FlatText | None = None
    usd_per_request: FlatText | None = None
    tiers: Annotated[list[TierAmounts], Meta(max_length=MAX_TIERS)] = []
    effective_from: Annotated[Seconds | None, Meta(description="From when; not in the past. Null: from now.")] = None
    confirm: Annotated[bool, Meta(description=f"Set it though it is {FAR} times what is in force, or less.")] = False


class Price(Amounts, frozen=True, kw_only=True):
    """One version. ``source`` is who set it; ``version`` is null while no request has been priced by it. ``replay`` is
    a share of another version, for answers that were given again.
    """

    host: str
    model: str
    source: Literal["catalogue", "config", "admin", "free", "replay"]
    free: bool
    effective_from: int
    version: int | None
    usd_per_image: str
    usd_per_request: str
    tiers: list[TierAmounts]
    object: Literal["price"] = "price"


class PriceInForce(Struct, frozen=True, kw_only=True):
    """What a target costs at this moment; null where nothing prices it: then it is refused."""

    target: str
    price: Price | None


class Asked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which prices."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    after: str | None = None
    host: str = ""
    model: str = ""


class PricePages:
    """The handlers. ``book`` gives the price book of the moment."""

    def __init__(
        self, ledger: Ledger, live: Live, book: Callable[[], PriceBook], clock_s: Callable[[], float] = time.time
    ) -> None:
        self._ledger = ledger
        self._live = live
        self._book = book
        self._clock_s = clock_s

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The rows of this module."""
        listed = "What every target costs now, and who said so."
        return (
            Endpoint("GET", "/admin/prices", "list_prices", listed, self.in_force, Page[PriceInForce], query=Asked),
            Endpoint(
                *("GET", "/admin/prices/versions", "list_price_versions", "Every version, oldest first."),
                *(self.versions, Page[Price]),
                query=Asked,
            ),
            Endpoint(
                *("POST", "/admin/prices", "create_price", "Set a price from a moment on.", self.create, Price),
                body=NewPrice,
                status=201,
            ),
        )

    async def in_force(self, call: Call) -> Page[PriceInForce]:
        """The price of each target that can be called, in the order of their names."""
        query, now_s = call.query, int(self._clock_s())
        targets = {
            name: target
            for name, target in self._targets().items()
            if query.host in ("", target.host.name) and query.model in ("", target.model)
        }
        found = sorted(name for name in targets if name > (query.after or ""))
        versions = {name: self._book().find(targets[name], now_s) for name in found[: query.limit]}
        digests = [version.digest for version in versions.values() if version is not None]
        numbers = await self._ledger.read(lambda db: _read_numbers(db, digests))
        shown = [
            PriceInForce(
                target=name, price=version if version is None else show_price(version, numbers.get(version.digest))
            )
            for name, version in versions.items()
        ]
        return page_of(shown, lambda one: one.target, more=len(found) > query.limit)

    async def versions(self, call: Call) -> Page[Price]:
        """The versions that are stored: set here, or used by a request."""
        query = call.query
        values = (read_number(query.after), query.host, query.model, query.limit + 1)
        rows = await self._ledger.read(lambda db: db.execute(_VERSIONS, values).fetchall())
        shown = [show_price(read_price(body), number) for number, body in rows[: query.limit]]
        return page_of(shown, lambda price: str(price.version), more=len(rows) > query.limit)

    async def create(self, call: Call) -> Price:
        """A new version, durable and in force (or waiting for its time) when it is answered."""
        version = read_version(call.body, int(self._clock_s()))
        if not call.body.confirm:
            self._doubt(version)
        number = await self._ledger.set_price(version, call.actor)
        self._book().add(version)
        return show_price(version, number)

    def _targets(self) -> dict[str, Target]:
        """Everything that can be called and is listed, by ``host/model``."""
        listed = self._live.snapshot.names.listed().values()
        return {target.id: target for targets in listed for target in targets if target.host.name != AUTO}

    def _doubt(self, version: PriceVersion) -> None:
        """Raises `Conflict` for a host that is not here, most likely a typing error, and for a price that is far from
        the one in force: most likely its unit is wrong.
        """
        name = f"{version.host}/{version.model}"
        if version.host not in {offer.host.name for offer in self._live.snapshot.names.offers}:
            raise Conflict(
                f"No host '{shorten(version.host)}' is set up here. Send it again with confirm=true if it is meant.",
                param="host",
            )
        target = self._targets().get(name)
        current = self._book().find(target, int(self._clock_s())) if target is not None else None
        if current is None:
            return
        for field in ("input", "output"):
            old, new = getattr(current.rates, field), getattr(version.rates, field)
            if old and new and not old / FAR < new < old * FAR:
                raise Conflict(
                    f"{name} costs {per_1m(old)} now, and {per_1m(new)} is far from it. Prices are in US dollars for a "
                    "million tokens, not for one. Send it again with confirm=true if it is meant.",
                    param=f"{field}_usd_per_1m",
                )


# --- reading -----------------------------------------------------------------------------------------------------


def read_version(body: NewPrice, now_s: int) -> PriceVersion:
    """The version that a request describes. Raises `InvalidRequest`."""
    since = now_s if body.effective_from is None else body.effective_from
    if since < now_s:
        raise _invalid("effective_from", "it is in the past; requests keep the price they were held at")
    flat = {
        field: read_price_text(name, getattr(body, name), PUSD_PER_USD)
        for name, field in _FLAT.items()
        if getattr(body, name) is not None
    }
    tiers = sorted((PriceTier(tier.above_tokens, _prices(tier)) for tier in body.tiers), key=_length)
    if len({tier.above_tokens for tier in tiers}) != len(tiers):
        raise _invalid("tiers", "two begin at the same length")
    version = make_price(
        *(body.host, body.model, _prices(body, **flat)), source=ADMIN, tiers=tuple(tiers), effective_from=since
    )
    if version is None:
        raise _invalid("input_usd_per_1m", "give the prices of input and output, or only of images and requests")
    return version


def _read_numbers(db: apsw.Connection, digests: list[bytes]) -> dict[bytes, int]:
    """The numbers of the versions that are stored, by their digests."""
    found: dict[bytes, int] = {}
    for digest in digests:
        row = db.execute("SELECT id FROM price WHERE digest = ?", (digest,)).fetchone()
        if row is not None:
            found[digest] = row[0]
    return found


def read_price_text(name: str, text: str, pico_per_unit: int) -> int:
    """Pico-USD of an amount of dollars, exactly. Raises `InvalidRequest`."""
    pico = Decimal(text) * pico_per_unit if _AMOUNT.fullmatch(text) else Decimal("NaN")
    if not pico.is_finite() or pico != int(pico) or pico > MAX_USD * pico_per_unit:
        finest = "six" if pico_per_unit == PUSD_PER_USD_PER_1M else "twelve"
        raise _invalid(name, f"write dollars such as 0.15, up to {MAX_USD}, with at most {finest} decimals")
    return int(pico)


def _prices(amounts: Amounts, **flat: int) -> Prices:
    stated = {name: getattr(amounts, name + _PER_1M) for name in Rates.__struct_fields__}
    rates = {
        name: read_price_text(name + _PER_1M, text, PUSD_PER_USD_PER_1M)
        for name, text in stated.items()
        if text is not None
    }
    return Prices(**rates, **flat)


def _length(tier: PriceTier) -> int:
    return tier.above_tokens


def _invalid(name: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid '{name}': {why}.", param=name, code="invalid_value")


# --- showing -----------------------------------------------------------------------------------------------------


def show_price(version: PriceVersion, number: int | None = None) -> Price:
    """A version as it is answered: every class has its price."""
    return Price(
        host=version.host,
        model=version.model,
        source=version.source,  # type: ignore[arg-type]  # one of these words
        free=version.free,
        effective_from=version.effective_from,
        version=number,
        usd_per_image=_decimal(version.image, PUSD_PER_USD),
        usd_per_request=_decimal(version.request, PUSD_PER_USD),
        tiers=[TierAmounts(above_tokens=tier.above_tokens, **_shown(tier.rates)) for tier in version.tiers],
        **_shown(version.rates),
    )


def per_1m(pico: int) -> str:
    """Pico-USD for one token as US dollars for a million, exactly."""
    return _decimal(pico, PUSD_PER_USD_PER_1M)


def _shown(rates: Rates) -> dict[str, Any]:
    return {name + _PER_1M: per_1m(getattr(rates, name)) for name in Rates.__struct_fields__}


def _decimal(pico: int, pico_per_unit: int) -> str:
    """At least two decimals, as money is written."""
    whole, rest = divmod(pico, pico_per_unit)
    places = len(str(pico_per_unit)) - 1
    return f"{whole}.{f'{rest:0{places}d}'.rstrip('0').ljust(2, '0')}"
