"""Finding the upstream hosts: those declared, those whose key is in the environment, and engines on this machine.

Called by `app` at start and by ``tollhouse doctor``. The result says of each thing what was found, or why it is
missing and what to do. Nothing but this machine is contacted: a cloud host counts as found by its key alone.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tollhouse.catalog.names import Offer
from tollhouse.catalog.store import Catalogue, ProviderRow
from tollhouse.config import ProviderSettings, Settings
from tollhouse.loopback import ENGINES, QUIRKS, Engine, Fetch, Finding, fetch_loopback, probe
from tollhouse.settings.provider_keys import ModelPatch
from tollhouse.settings.secrets import as_secret
from tollhouse.settings.urls import check_url, expand, is_loopback, loopback_port, option_values
from tollhouse.types.calls import Host, ModelFacts


@dataclass(frozen=True, slots=True)
class Discovery:
    """The hosts to use, in the order of trying, and the report."""

    offers: tuple[Offer, ...]
    report: tuple[Finding, ...]


async def discover(
    settings: Settings,
    catalogue: Catalogue,
    environ: Mapping[str, str],
    *,
    fetch: Fetch | None = None,
    engines: Sequence[Engine] = ENGINES,
) -> Discovery:
    """Everything there is to use: declared hosts first, then keys in the environment, then local engines."""
    offers, report = declared(settings, catalogue)
    if settings.discovery.environment:
        more, lines = ambient(settings, catalogue, environ)
        offers, report = offers + more, report + lines
    if settings.discovery.loopback:
        more, lines = await local(settings, catalogue, offers, engines, fetch or fetch_loopback)
        offers, report = offers + more, report + lines
    return Discovery(tuple(offers), tuple(report))


# --- declared ----------------------------------------------------------------------------------------------------


def declared(settings: Settings, catalogue: Catalogue) -> tuple[list[Offer], list[Finding]]:
    """The hosts of ``[providers]``."""
    offers, report = [], []
    for provider in settings.providers.values():
        if not provider.enabled:
            report.append(Finding(provider.name, "skipped", "enabled = false in the settings"))
            continue
        row = catalogue.providers.get(provider.name)
        models = _declared_models(provider, catalogue)
        host = _declared_host(provider, row, settings)
        host = replace(host, quirks=catalogue.quirks(host.provider, host.quirks))
        keys = enumerate(provider.more_credentials, start=1)
        more = tuple(replace(host, credential=credential, slot=slot) for slot, credential in keys)
        offers.append(Offer(host, models, provider.closed, more=more))
        report.append(Finding(provider.name, "found", f"declared in the settings; {_count(models)}"))
    return offers, report


def _declared_host(provider: ProviderSettings, row: ProviderRow | None, settings: Settings) -> Host:
    proxy = provider.proxy.reveal() if provider.proxy else _proxy(provider.base_url, settings)
    host = Host(
        name=provider.name,
        base_url=provider.base_url,
        credential=provider.credential,
        auth=provider.auth,
        headers=tuple((name, value.reveal()) for name, value in provider.headers),
        timeouts=provider.timeouts,
        proxy=proxy,
        label=row.label if row else provider.name,
        max_event_bytes=settings.upstream.max_event_bytes,
        free=provider.free,
        cap_field=row.cap_field if row else "max_tokens",
        free_kinds=row.free_kinds if row else (),
        on_disconnect=provider.on_disconnect,
        provider=provider.provider or (row.provider if row else "openai"),
        options=provider.options,
        secrets=provider.secrets,
    )
    quirks = provider.quirks or (row.quirks if row else None)
    return replace(host, quirks=quirks) if quirks else host


def _declared_models(provider: ProviderSettings, catalogue: Catalogue) -> Mapping[str, ModelFacts]:
    """What is known of the host's models, under what the operator says of them."""
    known = catalogue.models(provider.name)
    if not provider.models:
        return known
    stated = {}
    for name, patch in provider.models.items():
        facts = known.get(name) or ModelFacts(name, name)
        patched = replace(facts, **patch.facts, **_stated_prices(facts, patch))
        stated[name] = catalogue.placed(patched, patched.provider) if patched.provider else patched
    return stated if provider.closed else {**known, **stated}


def _stated_prices(facts: ModelFacts, patch: ModelPatch) -> dict[str, Any]:
    """The operator's prices over those that are known."""
    if not patch.prices and patch.tiers is None:
        return {}
    tiers = facts.tiers if patch.tiers is None else patch.tiers
    return {"prices": replace(facts.prices, **patch.prices), "tiers": tiers, "prices_from": "config"}


def _proxy(base_url: str, settings: Settings) -> str | None:
    """The proxy for every host. This machine is reached without one."""
    return None if is_loopback(base_url) else settings.upstream.proxy or None


def _count(models: Mapping[str, ModelFacts]) -> str:
    if not models:
        return "its models are not known: any name is passed on"
    return f"{len(models)} model{'s' if len(models) > 1 else ''}"


# --- the environment ---------------------------------------------------------------------------------------------


def ambient(settings: Settings, catalogue: Catalogue, environ: Mapping[str, str]) -> tuple[list[Offer], list[Finding]]:
    """The catalogue's hosts whose key is in the environment, but for those that the settings speak of."""
    offers, report = [], []
    for row in catalogue.providers.values():
        variable = next((name for name in row.key_vars if name in environ), None)
        if row.name in settings.providers or variable is None:
            continue
        found = _ambient_host(row, variable, environ, settings)
        if isinstance(found, Finding):
            report.append(found)
            continue
        models = catalogue.models(row.name)
        offers.append(Offer(found, models))
        report.append(Finding(row.name, "found", f"{variable} is set; {_count(models)}"))
    if not offers and not settings.providers:
        reason = f"no provider's key is in the environment ({len(catalogue.providers)} hosts are known)"
        report.append(
            Finding("cloud", "missing", reason, "export OPENAI_API_KEY=..., or another that docs/providers.md lists")
        )
    return offers, report


def _ambient_host(row: ProviderRow, variable: str, environ: Mapping[str, str], settings: Settings) -> Host | Finding:
    """The host that a variable gives, or why it gives none."""
    if row.base_url is None:
        fix = f"declare [providers.{row.name}] with the base_url of an OpenAI-compatible API, if it has one"
        return Finding(row.name, "skipped", f"{variable} is set, but {row.reason}", fix)
    if row.opt_in is not None:
        key = row.credential
        fix = f'declare [providers.{row.name}] with {key} = "env:{variable}"'
        return Finding(row.name, "skipped", f"{variable} is set, but {row.opt_in}", fix)
    credential = as_secret(environ[variable])
    if credential is None:
        return Finding(row.name, "missing", f"{variable} is empty, or no key by its look", f"export {variable}=...")
    options = option_values(row.options, {}, environ)
    base_url, missing = expand(row.base_url, {**environ, **options})
    if missing:
        names = " and ".join([row.options.get(name, (name,))[0] for name in missing])
        return Finding(row.name, "missing", f"{variable} is set, but {names} is not", f"export {names}=...")
    fault = check_url(base_url)
    if fault is not None:
        return Finding(
            row.name, "missing", f"its address, made from the environment, is {fault}", "check the variables"
        )
    return Host(
        name=row.name,
        base_url=base_url.rstrip("/"),
        credential=credential,
        auth=row.auth,
        quirks=row.quirks,
        timeouts=settings.timeouts,
        proxy=_proxy(base_url, settings),
        label=row.label,
        max_event_bytes=settings.upstream.max_event_bytes,
        cap_field=row.cap_field,
        free_kinds=row.free_kinds,
        provider=row.provider,
        options=tuple(options.items()),
    )


# --- local engines -----------------------------------------------------------------------------------------------


async def local(
    settings: Settings, catalogue: Catalogue, known: Sequence[Offer], engines: Sequence[Engine], fetch: Fetch
) -> tuple[list[Offer], list[Finding]]:
    """The engines of this machine, but for those that are known already. All are asked at once."""
    taken = {offer.host.name for offer in known} | settings.providers.keys()
    ports = {loopback_port(offer.host.base_url) for offer in known} | {settings.server.port, settings.server.admin_port}
    asked = [one for one in engines if one.port not in ports and one.name not in taken]
    offers, report = [], []
    for answer in await asyncio.gather(*(probe(engine, fetch, settings.discovery.timeout_s) for engine in asked)):
        engine, base_url = answer.engine, f"http://127.0.0.1:{answer.port}/v1"
        if answer.models is None:
            report.append(answer.finding)
        elif engine.name in taken:
            fix = f'declare it in [providers] under another name, with base_url = "{base_url}"'
            report.append(Finding(engine.name, "skipped", f"{base_url} is a second {engine.label}", fix))
        else:
            taken.add(engine.name)
            report.append(answer.finding)
            host = Host(
                engine.name,
                base_url,
                auth="none",
                quirks=catalogue.quirks(answer.provider, QUIRKS),
                timeouts=settings.timeouts,
                label=engine.label,
                max_event_bytes=settings.upstream.max_event_bytes,
                provider=answer.provider,
            )
            offers.append(Offer(host, answer.models))
    return offers, report
