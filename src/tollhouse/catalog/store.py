"""The shipped catalogue: 147 hosts and their models, read once at start.

Called by `app`, `discovery` and the CLI. Two files: ``models.json`` (compiled from models.dev by
``scripts/compile-catalog``) and ``hosts.toml`` (addresses, keys and quirks, ours). Reading costs a few milliseconds
because a host's models stay undecoded bytes until that host is asked for. A fact that is not there is `None`: a
missing price is never read as 0.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import msgspec

from tollhouse.catalog.spelling import plain
from tollhouse.types.calls import ModelFacts, Prices, PriceTier, Quirks

COMPATIBLE = "@ai-sdk/openai-compatible"
"""The snapshot's mark of a host whose own address speaks OpenAI's dialect."""
KINDS: Mapping[str, str] = MappingProxyType({"t": "text", "i": "image", "a": "audio", "v": "video", "p": "pdf"})


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """One host of the catalogue. ``base_url`` is None where ``reason`` says why it cannot be reached yet."""

    name: str
    label: str
    base_url: str | None
    key_vars: tuple[str, ...]
    auth: str = "bearer"
    quirks: Quirks = field(default_factory=Quirks)
    docs_url: str = ""
    reason: str | None = None
    opt_in: str | None = None
    """Why a key in the environment alone does not enable the host."""
    cap_field: str = "max_tokens"
    """As `Host.cap_field`."""
    free_kinds: tuple[str, ...] = ()
    """The endpoints that it does not charge for."""
    provider: str = "openai"
    """The file in `providers` that speaks its dialect."""
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What its address is made of, and the variables that may hold each part."""
    credential: str = "api_key"
    """The setting that its key is given by."""
    secret_vars: Mapping[str, str] = field(default_factory=dict)
    """The variables that may hold what requests are signed with; read only for a host that is declared."""


@dataclass(frozen=True, slots=True)
class Maker:
    """Who made a model: the hosts it runs itself, and how routers spell it in ``vendor/model``."""

    name: str
    hosts: tuple[str, ...]
    spellings: tuple[str, ...]


class _Row(msgspec.Struct, array_like=True, frozen=True):
    """One model's columns in ``models.json``."""

    id: str
    name: str
    context: int
    output: int
    kinds_in: str
    kinds_out: str
    flags: str
    released: str
    prices: list[int | None]
    tiers: list[list[int | None]] = []
    others: dict[str, str] = {}


class _Name(msgspec.Struct, array_like=True, frozen=True):
    """The first of these columns: names are asked for of all hosts, the rest of few."""

    id: str


class _Provider(msgspec.Struct, frozen=True):
    name: str
    wire: str
    models: msgspec.Raw
    api: str | None = None
    doc: str = ""
    env: tuple[str, ...] = ()


class _File(msgspec.Struct, frozen=True):
    source: str
    providers: dict[str, _Provider]


class _Host(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of ``hosts.toml``."""

    base_url: str | None = None
    key_vars: tuple[str, ...] | None = None
    auth: str = "bearer"
    stream_usage: bool = True
    max_tokens_field: str | None = None
    drop: tuple[str, ...] = ()
    reason: str | None = None
    opt_in: str | None = None
    cap_field: str = "max_tokens"
    free_kinds: tuple[str, ...] = ()
    varying: tuple[str, ...] = ()
    provider: str = "openai"
    schema: str = "schema"
    choices: bool = True
    prefix: str = ""
    extensions: tuple[str, ...] = ()
    options: dict[str, tuple[str, ...]] = {}
    credential: str = "api_key"
    secret_vars: dict[str, str] = {}
    responses: tuple[str, ...] = ()


class _Dialect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of ``[dialects]``."""

    choices: bool = True


_ROWS = msgspec.json.Decoder(list[_Row])
_NAMES = msgspec.json.Decoder(list[_Name])


class Catalogue:
    """Hosts, models and makers. Immutable but for what it has decoded so far; safe to share between snapshots."""

    def __init__(self, models: bytes, hosts: str) -> None:
        document = msgspec.json.decode(models, type=_File)
        tables: dict[str, Any] = tomllib.loads(hosts)
        overlay = msgspec.convert(tables["hosts"], dict[str, _Host])
        self.source = document.source
        self._raw = {name: provider.models for name, provider in document.providers.items()}
        self._rows: dict[str, dict[str, _Row]] = {}
        self._facts: dict[str, dict[str, ModelFacts]] = {}
        self._offering: dict[str, dict[str, None]] = {}
        self._varying = {(name, model) for name, host in overlay.items() for model in host.varying}
        self._responses = {name: host.responses for name, host in overlay.items() if host.responses}
        self._images: dict[str, int] = tables.get("image_tokens", {})
        self._images_default = self._images.pop("default", ModelFacts("", "").image_tokens)
        self._long_cache: dict[str, int] = tables.get("long_cache", {})
        self._dialects = msgspec.convert(tables.get("dialects", {}), dict[str, _Dialect])
        none = _Host()
        rows = {name: _provider(name, p, overlay.get(name, none)) for name, p in document.providers.items()}
        fitted = {name: replace(row, quirks=self.quirks(row.provider, row.quirks)) for name, row in rows.items()}
        self.providers: Mapping[str, ProviderRow] = MappingProxyType(fitted)
        """Every host, reachable or not, by name."""
        self.makers: tuple[Maker, ...] = tuple(
            Maker(name, tuple(row["hosts"]), tuple(row["spellings"])) for name, row in tables["makers"].items()
        )

    def models(self, provider: str) -> Mapping[str, ModelFacts]:
        """The models that a host offers, by id; empty for a host that is not in the catalogue."""
        facts = self._facts.get(provider)
        if facts is None:
            facts = {row.id: self._model(provider, row) for row in self._columns(provider).values()}
            self._facts[provider] = facts
        return facts

    def model_ids(self, provider: str) -> tuple[str, ...]:
        """The ids alone."""
        raw = self._raw.get(provider)
        return () if raw is None else tuple([row.id for row in _NAMES.decode(raw)])

    def offering(self, name: str) -> tuple[str, ...]:
        """The hosts, enabled or not, that list a model of this name, spelled so or nearly so (`spelling.plain`)."""
        if not self._offering:
            for provider, model in ((host, model) for host in self._raw for model in self.model_ids(host)):
                self._offering.setdefault(plain(model), {})[provider] = None
        return tuple(self._offering.get(plain(name), ()))

    def provider_of(self, provider: str, model: str) -> str:
        """The file in `providers` that a model of this name needs at a host, be it listed or not; empty where it is the
        host's own.
        """
        patterns = self._responses.get(provider, ())
        return "responses" if any(fnmatchcase(model.lower(), pattern) for pattern in patterns) else ""

    def quirks(self, provider: str, stated: Quirks | None = None) -> Quirks:
        """The quirks of a host that a file in `providers` speaks to: those stated, less what its dialect lacks."""
        quirks, dialect = stated or Quirks(), self._dialects.get(provider)
        return quirks if dialect is None else replace(quirks, choices=quirks.choices and dialect.choices)

    def placed(self, facts: ModelFacts, provider: str) -> ModelFacts:
        """A model that needs another file in `providers` than its host's own."""
        return replace(facts, provider=provider, choices=self.quirks(provider).choices)

    def _model(self, provider: str, row: _Row) -> ModelFacts:
        facts = _model(row, self._image_tokens(row.id))
        if needed := self.provider_of(provider, row.id):
            facts = self.placed(facts, needed)
        if times := next((n for pattern, n in self._long_cache.items() if fnmatchcase(row.id.lower(), pattern)), 0):
            tiers = tuple([replace(tier, prices=_kept_long(tier.prices, times)) for tier in facts.tiers])
            facts = replace(facts, prices=_kept_long(facts.prices, times), tiers=tiers)
        return replace(facts, unstated_prices=("model",)) if (provider, row.id) in self._varying else facts

    def _image_tokens(self, model: str) -> int:
        """The most tokens that one image in a prompt becomes, by the row whose name begins the model's own."""
        name = model.rpartition("/")[2].lower()
        found = [row for row in self._images if name.startswith(row)]
        return self._images[max(found, key=len)] if found else self._images_default

    def _columns(self, provider: str) -> dict[str, _Row]:
        rows = self._rows.get(provider)
        if rows is None:
            raw = self._raw.get(provider)
            rows = self._rows[provider] = {row.id: row for row in _ROWS.decode(raw)} if raw is not None else {}
        return rows


def load() -> Catalogue:
    """The catalogue that ships in the package."""
    folder = files("tollhouse.catalog")
    return Catalogue(folder.joinpath("models.json").read_bytes(), folder.joinpath("hosts.toml").read_text("utf-8"))


def _provider(name: str, provider: _Provider, host: _Host) -> ProviderRow:
    base_url, reason = host.base_url, host.reason
    if base_url is None and reason is None:
        if provider.api and provider.wire == COMPATIBLE:
            base_url = provider.api
        else:
            reason = "its API is not OpenAI's, and this version does not speak it"
    key_vars = host.key_vars
    if key_vars is None:
        key_vars = tuple(variable for variable in provider.env if f"${{{variable}}}" not in (base_url or ""))
    return ProviderRow(
        name=name,
        label=provider.name,
        base_url=base_url.rstrip("/") if base_url else None,
        key_vars=key_vars,
        auth=host.auth,
        quirks=Quirks(
            *(host.stream_usage, host.max_tokens_field, host.drop, host.schema, host.choices, host.prefix),
            extensions=host.extensions,
        ),
        docs_url=provider.doc,
        reason=reason,
        opt_in=host.opt_in,
        cap_field=host.cap_field,
        free_kinds=host.free_kinds,
        provider=host.provider,
        options=MappingProxyType(host.options),
        credential=host.credential,
        secret_vars=MappingProxyType(host.secret_vars),
    )


def _kept_long(prices: Prices, times: int) -> Prices:
    """The prices with that of a cache write for an hour, where there is one for a shorter one alone."""
    if prices.cache_write is None or prices.input is None or prices.cache_write_1h is not None:
        return prices
    return replace(prices, cache_write_1h=prices.input * times)


def _model(row: _Row, image_tokens: int) -> ModelFacts:
    return ModelFacts(
        id=row.id,
        name=row.name or row.id,
        context_tokens=row.context or None,
        output_tokens=row.output or None,
        input_kinds=tuple(KINDS[letter] for letter in row.kinds_in),
        output_kinds=tuple(KINDS[letter] for letter in row.kinds_out),
        tools="t" in row.flags,
        reasoning="r" in row.flags,
        structured_output="s" in row.flags,
        temperature="f" not in row.flags,
        released_on=row.released,
        prices=Prices(*row.prices),
        tiers=tuple(PriceTier(tier[0] or 0, Prices(*tier[1:])) for tier in row.tiers),
        unstated_prices=tuple(row.others),
        image_tokens=image_tokens,
    )
