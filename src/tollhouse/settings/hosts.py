"""``[providers.NAME]``: the hosts that the operator declares.

Called by `config`. A credential is looked up (``env:NAME``, ``file:/path``) and becomes a `Secret` in the statement
that reads it; no problem text ever repeats a value of its table.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from tollhouse.settings.aliases import is_model_name
from tollhouse.settings.keys import TimeoutKeys
from tollhouse.settings.prices import read_patch
from tollhouse.settings.provider_keys import ModelPatch, ProviderKeys, ProviderSettings, QuirkKeys
from tollhouse.settings.reading import closest, describe, read_section, read_table
from tollhouse.settings.secrets import KnownHost, Sources, find_secret, is_literal
from tollhouse.settings.urls import OPTION, check_proxy, check_url, expand, is_loopback, option_values
from tollhouse.types.calls import Quirks
from tollhouse.types.secret import Secret
from tollhouse.types.wire import Timeouts

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
SENSITIVE = re.compile(r"auth|cookie|key|token|secret", re.IGNORECASE)
RESERVED = frozenset(
    {"host", "content-length", "connection", "transfer-encoding", "upgrade", "expect", "te", "trailer"}
)
EMBEDDED = "tollhouse"
_OPTIONS = ("region", "project", "api_version", "guardrail")
_SECRETS = ("account", "access_key_id", "secret_access_key", "session_token")
_SIGNED_WITH = {"access_key_id": "sigv4", "account": "google"}
"""The credential that a signature begins with, and the ``auth`` that it means."""
_MAY_LACK = frozenset({"session_token"})


def read_providers(tables: object, timeouts: Timeouts, sources: Sources) -> dict[str, ProviderSettings]:
    """The declared hosts, in the order of the file; ``timeouts`` are those of hosts that state none."""
    if not isinstance(tables, dict):
        sources.problems.add("providers", f"expected tables, got {describe(tables)}", "write [providers.NAME]")
        return {}
    found = {}
    for name, table in tables.items():
        provider = _ProviderReader(name, timeouts, sources).read(table)
        if provider is not None:
            found[name] = provider
    return found


@dataclass(slots=True)
class _ProviderReader:
    """The reading of one provider's table; ``literals`` gathers the keys whose secrets stand in the file itself."""

    name: str
    timeouts: Timeouts
    sources: Sources
    literals: list[str] = field(default_factory=list)

    def note(self, where: str, message: str, fix: str = "") -> None:
        path = f"providers.{self.name}"
        self.sources.problems.add(f"{path}.{where}" if where else path, message, fix)

    def read(self, table: object) -> ProviderSettings | None:
        """The host, or None where its table cannot stand for one."""
        if not NAME.fullmatch(self.name) or self.name == EMBEDDED:
            self.note("", "not a usable name", "lower-case letters, digits, dot, dash; not tollhouse")
            return None
        if not isinstance(table, dict):
            self.note("", f"expected a table, got {describe(table)}", f"write [providers.{self.name}]")
            return None
        before = len(self.sources.problems.found)
        parts = {part: table.get(part) for part in ("models", "headers", "timeouts", "quirks")}
        rest = {k: v for k, v in table.items() if k not in parts}
        row = read_section(ProviderKeys, rest, f"providers.{self.name}", self.sources.problems)
        if not row.enabled:
            return ProviderSettings(self.name, "", enabled=False)
        known = self.sources.known.get(self.name)
        options = self._options(row, known)
        base_url = self._base_url(row, known, options)
        secrets = self._secrets(row, known)
        credential = self._credential(row, known, base_url, signed=bool(secrets))
        signed = [auth for name, auth in _SIGNED_WITH.items() if name in dict(secrets)]
        auth = row.auth or (signed[0] if signed else known.auth if known else "bearer")
        more = [self._secret(each, f"api_keys[{at}]") for at, each in enumerate(row.api_keys)]
        if more and credential is None:
            credential, *more = more
        models, closed = self._models(parts["models"])
        headers, timeouts, quirks = (
            self._headers(parts["headers"]),
            self._timeouts(parts["timeouts"]),
            self._quirks(parts["quirks"]),
        )
        proxy = self._proxy(row.proxy)
        if len(self.sources.problems.found) > before:
            return None
        return ProviderSettings(
            name=self.name,
            base_url=base_url,
            credential=credential,
            auth=auth if credential or secrets else "none",
            headers=headers,
            timeouts=timeouts,
            proxy=proxy,
            quirks=quirks,
            free=row.free if "free" in table else None,
            on_disconnect=row.on_disconnect,
            provider=row.provider,
            more_credentials=tuple([secret for secret in more if secret is not None]),
            options=tuple(options.items()),
            secrets=secrets,
            models=models,
            closed=closed,
            literal_secrets=tuple(self.literals),
        )

    def _options(self, row: ProviderKeys, known: KnownHost | None) -> dict[str, str]:
        """What the address is made of. An address that is stated says itself where it leads, not the environment."""
        stated = {name: value for name in _OPTIONS if (value := str(getattr(row, name)))}
        for name, value in stated.items():
            if not OPTION.fullmatch(value):
                self.note(name, "not a name that an address can be made of", "letters, digits, dot, dash")
        if known is None or row.base_url:
            return stated
        return option_values(known.options, stated, self.sources.environ)

    def _base_url(self, row: ProviderKeys, known: KnownHost | None, options: Mapping[str, str]) -> str:
        template = row.base_url or (known.base_url if known else None)
        if template is None:
            if known is not None:
                self.note(
                    "", known.reason or "its address is not known", "set base_url to an OpenAI-compatible API of it"
                )
            else:
                close = closest(self.name, self.sources.known)
                hint = f"set base_url; or did you mean {close!r}?" if close else "set base_url"
                self.note("base_url", "missing, and the catalogue has no host of this name", hint)
            return ""
        url, missing = expand(template, {**self.sources.environ, **options})
        for name in missing:
            if known is not None and name in known.options:
                fix = f'write {name} = "...", or set {" or ".join(known.options[name])}'
                self.note(name, "missing, and the address is made of it", fix)
                return ""
        if missing:
            self.note("base_url", f"needs the variable {', '.join(missing)}, which is not set", "set it, or base_url")
            return ""
        fault = check_url(url)
        if fault is not None:
            self.note("base_url", fault, 'write base_url = "https://host/v1"')
            return ""
        return url.rstrip("/")

    def _credential(self, row: ProviderKeys, known: KnownHost | None, base_url: str, *, signed: bool) -> Secret | None:
        """The key from the file or the catalogue's variable, once it is safe to send where ``base_url`` leads."""
        if row.auth == "none" or row.account or row.access_key_id or signed or row.api_keys:
            return self._secret(row.api_key, "api_key") if row.api_key else None
        credential = self._secret(row.api_key, "api_key") if row.api_key else self._ambient(row, known, base_url)
        plain = base_url.startswith("http://") and not is_loopback(base_url)
        if credential and plain and not row.insecure:
            self.note("base_url", "sends a key over plain http to another machine", "use https, or set insecure = true")
        return credential

    def _ambient(self, row: ProviderKeys, known: KnownHost | None, base_url: str) -> Secret | None:
        names = known.key_vars if known else ()
        set_names = [name for name in names if self.sources.environ.get(name)]
        if set_names:
            return self._secret(f"env:{set_names[0]}", "api_key")
        if row.auth or (known is not None and not is_loopback(base_url or "http://localhost")):
            fix = f"set the variable {' or '.join(names)}, or api_key" if names else "set api_key"
            self.note("api_key", "missing", fix)
        return None

    def _secret(self, reference: str, where: str) -> Secret | None:
        """The credential that a reference leads to."""
        if is_literal(reference):
            self.literals.append(where)
        return find_secret(reference, f"providers.{self.name}.{where}", self.sources)

    def _secrets(self, row: ProviderKeys, known: KnownHost | None) -> tuple[tuple[str, Secret], ...]:
        """The credentials that a signature is made of: those stated, else those of the environment, if there is no key
        that makes them needless.
        """
        stated = [(name, str(getattr(row, name))) for name in _SECRETS if getattr(row, name)]
        if "access_key_id" in dict(stated) and "secret_access_key" not in dict(stated):
            self.note("secret_access_key", "missing", 'write secret_access_key = "env:AWS_SECRET_ACCESS_KEY"')
        if known is not None and not stated and not row.api_key and not row.api_keys and row.auth in ("", "sigv4"):
            stated = self._ambient_secrets(known)
        found = [(name, self._secret(reference, name)) for name, reference in stated]
        return tuple([(name, secret) for name, secret in found if secret is not None])

    def _ambient_secrets(self, known: KnownHost) -> list[tuple[str, str]]:
        environ = self.sources.environ
        if any(environ.get(name) for name in known.key_vars):
            return []
        needed = known.secret_vars.keys() - _MAY_LACK
        if not all(environ.get(known.secret_vars[name]) for name in needed):
            return []
        return [(name, f"env:{variable}") for name, variable in known.secret_vars.items() if environ.get(variable)]

    def _proxy(self, reference: str) -> Secret | None:
        if not reference:
            return None
        named = reference.startswith(("env:", "file:"))
        secret = self._secret(reference, "proxy")
        if not named and "@" not in reference:
            self.literals.remove("proxy")
        fault = check_proxy(secret.reveal()) if secret else None
        if fault is not None:
            self.note("proxy", fault)
        return secret

    def _headers(self, table: object) -> tuple[tuple[str, Secret], ...]:
        if table is None:
            return ()
        if not isinstance(table, dict):
            self.note("headers", f"expected a table, got {describe(table)}")
            return ()
        found = []
        for name, value in table.items():
            where = f"headers.{name}"
            if not HEADER.fullmatch(name) or name.lower() in RESERVED:
                self.note(where, "not a header that can be set here")
            elif not isinstance(value, str):
                self.note(where, f"expected a string, got {describe(value)}")
            elif (secret := self._secret(value, where)) is not None:
                found.append((name.lower(), secret))
                if where in self.literals and not SENSITIVE.search(name):
                    self.literals.remove(where)
        return tuple(found)

    def _timeouts(self, table: object) -> Timeouts:
        if table is None:
            return self.timeouts
        path = f"providers.{self.name}.timeouts"
        stated = read_table(TimeoutKeys, table, path, self.sources.problems)
        return replace(self.timeouts, **stated)

    def _quirks(self, table: object) -> Quirks | None:
        if table is None:
            return None
        row = read_section(QuirkKeys, table, f"providers.{self.name}.quirks", self.sources.problems)
        return Quirks(
            *(row.stream_usage, row.max_tokens_field or None, row.drop, row.schema, row.choices, row.prefix),
            extensions=row.extensions,
        )

    def _models(self, table: object) -> tuple[Mapping[str, ModelPatch], bool]:
        """A list closes the host to all else; a table adds to what is known of it."""
        found: dict[str, ModelPatch] = {}
        if isinstance(table, list):
            for index, name in enumerate(table):
                if isinstance(name, str) and is_model_name(name):
                    found[name] = ModelPatch()
                else:
                    self.note(f"models[{index}]", "not a model name")
        elif isinstance(table, dict):
            for name, row in table.items():
                if not is_model_name(name):
                    self.note(f"models.{name}", "not a model name")
                found[name] = read_patch(row, f"providers.{self.name}.models.{name}", self.sources.problems)
        elif table is not None:
            self.note("models", f"expected a list or a table, got {describe(table)}")
        return MappingProxyType(found), isinstance(table, list)
