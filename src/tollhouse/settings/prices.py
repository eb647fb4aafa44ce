"""``[providers.NAME.models."MODEL"]``: what the operator says of a model, its prices above all.

Called by `settings.hosts`. Prices are written in US dollars, per million tokens, per image or per request, and become
integer pico-USD by decimal arithmetic alone; one that does not come out whole is refused.
"""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from tollhouse.settings.provider_keys import ModelKeys, ModelPatch, TierKeys
from tollhouse.settings.reading import Problems, describe, read_table
from tollhouse.types.calls import Prices, PriceTier

PICO_PER_USD = 10**12
PICO_PER_USD_PER_1M = 1_000_000
"""One US dollar per million tokens is a million pico-USD per token."""
_PER_1M = "_usd_per_1m"
_FLAT = {"usd_per_image": "image", "usd_per_request": "request"}


def read_patch(table: object, path: str, problems: Problems) -> ModelPatch:
    """The facts and prices that a table states."""
    rows, tiers = table, None
    if isinstance(table, dict) and "tiers" in table:
        rows = {name: value for name, value in table.items() if name != "tiers"}
        tiers = _read_tiers(table["tiers"], f"{path}.tiers", problems)
    stated = read_table(ModelKeys, rows, path, problems)
    prices = _take_prices(stated, path, problems)
    if tiers is None and ("input" in prices or "output" in prices):
        tiers = ()  # the catalogue's belong to the catalogue's prices
    return ModelPatch(MappingProxyType(stated), MappingProxyType(prices), tiers)


def _read_tiers(rows: object, path: str, problems: Problems) -> tuple[PriceTier, ...]:
    """The prices of longer prompts, by rising length."""
    if not isinstance(rows, list):
        problems.add(path, f"expected a list of tables, got {describe(rows)}")
        return ()
    found: dict[int, PriceTier] = {}
    for index, row in enumerate(rows):
        where = f"{path}[{index}]"
        stated = read_table(TierKeys, row, where, problems)
        prices = _take_prices(stated, where, problems)
        above = stated.get("above_tokens")
        if above is None or above in found:
            why = "missing" if above is None else "the same as that of another tier"
            problems.add(f"{where}.above_tokens", why, "say from which length of the prompt these prices count")
            continue
        found[above] = PriceTier(above, Prices(**prices))
    return tuple(found[above] for above in sorted(found))


def _take_prices(stated: dict[str, Any], path: str, problems: Problems) -> Mapping[str, int]:
    """Takes the prices out of what was stated, as fields of `Prices`."""
    prices = {}
    for name in [name for name in stated if name.endswith(_PER_1M) or name in _FLAT]:
        amount: Decimal = stated.pop(name)
        scale, most = (PICO_PER_USD, "twelve") if name in _FLAT else (PICO_PER_USD_PER_1M, "six")
        pico = amount * scale
        if pico != int(pico):
            fix = f"round it to {most} decimals" + ("" if name in _FLAT else "; it is per 1M tokens, not per token")
            problems.add(f"{path}.{name}", f"finer than {most} decimals", fix)
        prices[_FLAT.get(name) or name.removesuffix(_PER_1M)] = int(pico)
    return prices
