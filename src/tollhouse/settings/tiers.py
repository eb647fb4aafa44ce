"""``[tiers.NAME]``: what a key of each tier may ask for. Called by `config`; `gateway.limits` enforces it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from tollhouse.settings.aliases import is_model_name
from tollhouse.settings.keys import AllowanceKeys, RateKeys
from tollhouse.settings.reading import Problems, closest, describe, keys, read_section, read_value
from tollhouse.types.tenancy import Rates, Tier

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SOFT = ("requests", "tokens")
_OWN = ("per_model", "models", "safety")


def read_tiers(tables: object, problems: Problems) -> dict[str, Tier]:
    """The tiers of a file, by name."""
    if not isinstance(tables, dict):
        problems.add("tiers", f"expected a table, got {describe(tables)}", "write [tiers.NAME]")
        return {}
    found = {}
    for name, table in tables.items():
        if not _NAME.fullmatch(name):
            problems.add(
                f"tiers.{name}", "not a usable name", "letters, digits, dots, dashes and underscores, up to 64"
            )
        found[name] = _read_tier(name, table, problems)
    return found


def check_default(name: str, tiers: Mapping[str, Tier], problems: Problems) -> None:
    """The tier of keys that name none has to be one of the file."""
    if name and name not in tiers:
        close = closest(name, tiers)
        fix = f"did you mean {close!r}?" if close else f"write [tiers.{name}]"
        problems.add("limits.default_tier", f"no tier named {name!r}", fix)


def _read_tier(name: str, table: object, problems: Problems) -> Tier:
    path = f"tiers.{name}"
    if not isinstance(table, dict):
        problems.add(path, f"expected a table, got {describe(table)}", f"write [{path}]")
        return Tier(name)
    rows = dict(table)
    safety = _read_safety(rows, path, problems)
    per_model, models = rows.pop("per_model", {}), rows.pop("models", {})
    _hint(rows, path, problems)
    rates = _read_rates(rows, path, problems)
    return Tier(
        name,
        rates,
        _read_rates(per_model, f"{path}.per_model", problems),
        _read_models(models, f"{path}.models", problems),
        safety,
    )


def _read_safety(rows: dict[str, Any], path: str, problems: Problems) -> str:
    """Takes the name of a policy out of a tier's table. Whether there is such a policy, `config` checks."""
    spec = next(spec for spec in keys(AllowanceKeys) if spec.name == "safety")
    stated = rows.pop(spec.name, "")
    return read_value(spec, stated, f"{path}.{spec.name}", problems) or ""


def _hint(rows: dict[str, Any], path: str, problems: Problems) -> None:
    """A name close to one of the inner tables would else be compared with the limits alone."""
    known = [spec.name for spec in fields(RateKeys)]
    for name in [name for name in rows if name not in known and closest(name, [*known, *_OWN]) in _OWN]:
        del rows[name]
        problems.unknown(f"{path}.{name}", name, _OWN)


def _read_models(tables: object, path: str, problems: Problems) -> dict[str, Rates]:
    if not isinstance(tables, dict):
        problems.add(path, f"expected a table, got {describe(tables)}", f'write [{path}."MODEL"]')
        return {}
    found = {}
    for model, table in tables.items():
        if not is_model_name(model) or "*" in model:
            problems.add(
                f"{path}.{model}", "not a model's name", "the whole name as clients ask for it, without a star"
            )
        found[model] = _read_rates(table, f"{path}.{model}", problems)
    return found


def _read_rates(table: object, path: str, problems: Problems) -> Rates:
    row = read_section(RateKeys, table, path, problems)
    for index, dimension in enumerate(row.soft):
        if dimension not in _SOFT:
            problems.add(f"{path}.soft[{index}]", f"expected one of {', '.join(map(repr, _SOFT))}")
        elif not getattr(row, f"{dimension}_per_minute"):
            problems.add(f"{path}.soft[{index}]", "there is no such limit", f"write {dimension}_per_minute beside it")
    return Rates(
        row.requests_per_minute or None,
        row.tokens_per_minute or None,
        row.concurrent or None,
        frozenset(row.soft),
    )


def strictest(tiers: Mapping[str, Tier]) -> Tier:
    """The least of every limit of these tiers: for a key that is known to have a tier, but not which."""
    every = list(tiers.values())
    names = {name for tier in every for name in tier.models}
    models = {name: _least([tier.models.get(name, tier.per_model) for tier in every]) for name in names}
    return Tier("unknown", _least([tier.rates for tier in every]), _least([tier.per_model for tier in every]), models)


def _least(rates: Sequence[Rates]) -> Rates:
    hard = {
        dimension: [
            limit
            for one in rates
            if (limit := getattr(one, f"{dimension}_per_minute")) is not None and dimension not in one.soft
        ]
        for dimension in _SOFT
    }
    slots = [one.concurrent for one in rates if one.concurrent is not None]
    return Rates(min(hard["requests"], default=None), min(hard["tokens"], default=None), min(slots, default=None))
