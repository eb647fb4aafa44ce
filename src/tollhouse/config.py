"""The settings: one TOML file plus ``TOLLHOUSE_SECTION_KEY`` variables become one frozen `Settings`.

Called by the CLI at start and by a reload. It is the only reader of the process environment, and it reports every
fault at once (`ConfigInvalid`); a reload that raises leaves the running settings as they were.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tollhouse.settings.aliases import plain_aliases, read_routes
from tollhouse.settings.files import check_authorities, check_weights
from tollhouse.settings.hosts import read_providers
from tollhouse.settings.keys import SECTIONS, Billing, Cors, Server, Settings, TimeoutKeys, Upstream
from tollhouse.settings.provider_keys import ProviderSettings
from tollhouse.settings.reading import (
    ConfigInvalid,
    Problem,
    Problems,
    closest,
    from_text,
    keys,
    read_file,
    read_section,
)
from tollhouse.settings.safety import check_policy, read_safety
from tollhouse.settings.secrets import KnownHost, Sources, find_secret, is_literal
from tollhouse.settings.text import render_markdown, render_toml
from tollhouse.settings.tiers import check_default, read_tiers
from tollhouse.settings.urls import check_proxy
from tollhouse.types.wire import Timeouts

__all__ = [
    "ConfigInvalid",
    "KnownHost",
    "Problem",
    "ProviderSettings",
    "Settings",
    "environment",
    "load",
    "render_markdown",
    "render_toml",
]

PREFIX = "TOLLHOUSE_"
FILE_VARIABLE = "TOLLHOUSE_CONFIG"
INJECTED = re.compile(r"TOLLHOUSE_(SERVICE|PORT)(_.*)?", re.DOTALL)
"""Kubernetes sets these in every pod beside a Service named tollhouse (TOLLHOUSE_PORT=tcp://...): no typing errors."""
LOCAL_HOSTS = ("tollhouse", "ollama", "llamacpp", "vllm", "lmstudio")
ORIGIN = re.compile(r"https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:(\d{1,5}|\*))?", re.ASCII)


def environment() -> Mapping[str, str]:
    """The process environment as it is now; callers pass it on, so that tests pass their own."""
    return dict(os.environ)


def load(path: Path | None, environ: Mapping[str, str], known: Mapping[str, KnownHost]) -> Settings:
    """The settings of the file, or of ``TOLLHOUSE_CONFIG``, or the defaults, with the environment's overrides.

    ``known`` are the hosts that need no base URL (`Catalogue.providers`). Raises `ConfigInvalid` with every fault.
    """
    problems = Problems()
    if path is None and environ.get(FILE_VARIABLE):
        path = Path(environ[FILE_VARIABLE])
    document, exposed = read_file(path, problems) if path else ({}, False)
    settings = _read(document, Sources(environ, known, path.parent if path else Path(), problems))
    if exposed and path is not None:
        _refuse_exposed(path, document, settings, problems)
    if problems.found:
        raise ConfigInvalid(problems.found)
    return replace(settings, path=path)


def _read(document: dict[str, Any], sources: Sources) -> Settings:
    tables, problems = dict(document), sources.problems
    hosts, aliases = tables.pop("providers", {}), tables.pop("models", {})
    tiers = read_tiers(tables.pop("tiers", {}), problems)
    _override(tables, sources.environ, problems)
    for name in tables:
        if name not in SECTIONS:
            problems.unknown(name, name, [*SECTIONS, "providers", "models", "tiers"])
    parts: dict[str, Any] = {
        name: read_section(section, tables.get(name, {}), name, problems)
        for name, section in SECTIONS.items()
        if name != "safety"
    }
    parts["safety"] = safety = read_safety(tables.get("safety", {}), sources)
    waits: TimeoutKeys = parts["timeouts"]
    parts["timeouts"] = Timeouts(waits.connect_s, waits.first_byte_s, waits.idle_s, waits.total_s)
    parts["server"] = replace(parts["server"], data_dir=_home(parts["server"].data_dir, sources.environ, problems))
    _check(parts["server"], parts["cors"], parts["upstream"], problems)
    check_authorities(parts["upstream"].ca_file, problems)
    check_weights(parts["local"].gguf, problems)
    check_default(parts["limits"].default_tier, tiers, problems)
    parts["tiers"] = MappingProxyType(tiers)
    parts |= _webhook_secret(parts["billing"], sources)
    providers = read_providers(hosts, parts["timeouts"], sources)
    routes = read_routes(aliases, {*providers, *sources.known, *LOCAL_HOSTS}, problems)
    parts |= {"routes": MappingProxyType(routes), "aliases": MappingProxyType(plain_aliases(routes))}
    for where, named in (("tiers", tiers), ("models", routes)):
        for name, row in named.items():
            check_policy(row.safety, f"{where}.{name}.safety", safety, problems)
    return Settings(**parts, providers=MappingProxyType(providers))


def _webhook_secret(billing: Billing, sources: Sources) -> dict[str, Any]:
    """The section without the reference, and what it leads to."""
    reference = billing.stripe_webhook_secret
    secret = find_secret(reference, "billing.stripe_webhook_secret", sources) if reference else None
    return {"billing": replace(billing, stripe_webhook_secret=""), "stripe_webhook_secret": secret}


def _override(tables: dict[str, Any], environ: Mapping[str, str], problems: Problems) -> None:
    """Puts ``TOLLHOUSE_SECTION_KEY`` variables over what the file says.

    A variable that names a section but no key of it is a typing error. Others are not settings and are left alone:
    TOLLHOUSE_KEY and TOLLHOUSE_URL are a client's, and whoever runs the process may set more.
    """
    known = {
        f"{PREFIX}{name}_{spec.name}".upper(): (name, spec)
        for name, section in SECTIONS.items()
        for spec in keys(section)
    }
    sections = tuple(f"{PREFIX}{name}_".upper() for name in SECTIONS)
    for variable, text in environ.items():
        if not variable.startswith(sections) or INJECTED.fullmatch(variable):
            continue
        if variable not in known:
            close = closest(variable, known)
            problems.add(variable, "no such setting", f"did you mean {close}?" if close else "unset it")
            continue
        name, spec = known[variable]
        table = tables.get(name, {})
        if isinstance(table, dict):
            tables[name] = {**table, spec.name: from_text(spec.kind, text)}


def _home(folder: Path, environ: Mapping[str, str], problems: Problems) -> Path:
    """The folder with a leading ``~`` replaced by HOME."""
    if folder.parts[:1] != ("~",):
        return folder
    if not environ.get("HOME"):
        problems.add("server.data_dir", "HOME is not set, so ~ has no meaning", "set server.data_dir to a full path")
        return folder
    return Path(environ["HOME"], *folder.parts[1:])


def _check(server: Server, cors: Cors, upstream: Upstream, problems: Problems) -> None:
    """The rules that hold between settings, or on the inside of a string."""
    if server.port and server.port == server.admin_port:
        problems.add("server.admin_port", "the same as server.port", "choose another, or 0 for none")
    if not server.host or any(c.isspace() for c in server.host):
        problems.add("server.host", "not an address", 'write host = "127.0.0.1"')
    for index, origin in enumerate(cors.origins):
        if origin != "*" and not ORIGIN.fullmatch(origin):
            fix = 'write scheme://host, scheme://host:port, scheme://host:* or "*", without a path'
            problems.add(f"cors.origins[{index}]", "not an origin", fix)
    if upstream.proxy:
        fault = check_proxy(upstream.proxy)
        if fault is not None:
            problems.add("upstream.proxy", fault, 'write proxy = "http://host:port"')
        elif "@" in upstream.proxy:
            problems.add("upstream.proxy", "holds a password", 'set proxy = "env:NAME" at each host instead')


def _refuse_exposed(path: Path, document: dict[str, Any], settings: Settings, problems: Problems) -> None:
    """A file that everybody on the machine can read must not hold a credential (requirement S22)."""
    literals = [
        f"providers.{name}.{where}" for name, host in settings.providers.items() for where in host.literal_secrets
    ]
    literals += [
        f"safety.judges.{name}.{where}"
        for name, judge in settings.safety.judges.items()
        for where in judge.literal_secrets
    ]
    billing = document.get("billing")
    webhook = billing.get("stripe_webhook_secret") if isinstance(billing, dict) else None
    if isinstance(webhook, str) and webhook and is_literal(webhook):
        literals.append("billing.stripe_webhook_secret")
    for where in literals:
        problems.add(
            where,
            f"a secret written out in {path}, which every user of this machine can read",
            f'chmod 600 {path}, or write "env:NAME" or "file:/path"',
        )
