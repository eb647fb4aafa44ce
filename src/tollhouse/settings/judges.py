"""``[safety.judges.NAME]``: the stronger judges that the operator declares, what each is asked, and when.

Called by `config` for the tables of ``[safety]``. `safety.judges` makes the questions of it, `gateway.judging` asks
them. Secrets follow the rules of hosts: looked up (``env:NAME``, ``file:/path``), never repeated in a problem.
"""
# ruff: noqa: RUF009  `key` is `dataclasses.field` with metadata: it builds no shared value

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from tollhouse.settings.aliases import is_model_name
from tollhouse.settings.reading import describe, key, read_section
from tollhouse.settings.secrets import Sources, find_secret, is_literal
from tollhouse.settings.urls import check_url, is_loopback
from tollhouse.types.money import NUSD_PER_USD
from tollhouse.types.safety import COMPLETION, PROMPT, SEVERITIES
from tollhouse.types.secret import Secret

GATE, OBSERVE = "gate", "observe"
_DEADLINES_MS = {GATE: 1500, OBSERVE: 5000}
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""As hosts are named: a judge is an account of the ledger too."""
_CATEGORY = re.compile(r"[a-z][a-z0-9_]{0,63}")
_LABEL = re.compile(r"[\x20-\x7e]{1,64}")
_API_VERSION = re.compile(r"[0-9A-Za-z.-]{1,32}")
_MOST_CHARS = 1_000_000
AZURE_CHARS = 10_000
"""The longest text of one request (https://learn.microsoft.com/rest/api/contentsafety/text-operations/analyze-text)."""


@dataclass(frozen=True, slots=True)
class Form:
    """What one kind of judge has to be told, and may be."""

    at: str
    """``model``: asked through a model of this gateway; ``url``: it has an address of its own."""
    model: str = ""
    """The model where none is stated."""
    versions: tuple[str, ...] = ()
    """The last is meant where none is stated."""
    templates: tuple[str, ...] = ()
    """The first is meant where none is stated."""
    asks: tuple[str, ...] = ()
    """What it can be asked for, each with a request of its own."""
    usual: tuple[str, ...] = ()
    """What of that it is asked for where nothing is stated."""
    most_chars: int = _MOST_CHARS
    keyed: bool = False
    """Whether it cannot be asked without a key."""
    signs: bool = False
    """Whether its requests may be signed."""


_GRANITE = ("harm", "social_bias", "violence", "sexual_content", "jailbreak", "profanity", "unethical_behavior")
_SHIELDS = ("dangerous", "harassment", "hate", "sexual")
FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "openai": Form("model", model="openai/omni-moderation-latest"),
        "azure": Form("url", versions=("2024-09-01",), most_chars=AZURE_CHARS, keyed=True),
        "llama_guard": Form("model", versions=("1", "2", "3", "4"), templates=("host", "full")),
        "shieldgemma": Form("model", templates=("full", "host"), asks=_SHIELDS, usual=_SHIELDS),
        "granite_guardian": Form(
            "model",
            versions=("3", "3.3", "4.1"),
            templates=("host", "system", "full"),
            asks=_GRANITE,
            usual=("social_bias", "violence", "sexual_content", "jailbreak"),
        ),
        "qwen3guard": Form("model", templates=("host", "full")),
        "wildguard": Form("model", templates=("full",)),
        "webhook": Form("url", signs=True),
    }
)


@dataclass(frozen=True, slots=True)
class JudgeKeys:
    """A judge outside this process, for ``judges`` of policies; judges.md says what each kind needs, and of the tables
    ``categories`` and ``thresholds`` inside.
    """

    kind: str = key("", "what it is", choices=tuple(FORMS))
    model: str = key("", "model of this gateway to ask, as clients name it")
    version: str = key("", "version of a family (llama_guard 1 to 4; granite_guardian 3, 3.3, 4.1), or Azure's API")
    template: str = key("", "who makes the guard model's prompt: its host, or we (full); system: the risk's name alone")
    asks: tuple[str, ...] = key((), "risks of granite_guardian, or guidelines of shieldgemma; a request for each")
    logprobs: bool = key(False, "ask a guard model for the probability of its verdict; its host has to give it")
    url: str = key("", "address of a webhook, or of an Azure AI Content Safety resource")
    api_key: str = key("", 'its key: "env:NAME", "file:/path", or written out')
    secret: str = key("", "what a webhook's requests are signed with, likewise")
    insecure: bool = key(False, "allow texts to go over plain http to another machine")
    shield: bool = key(True, "ask Azure's Prompt Shields too, about prompts: a second request")
    eight_levels: bool = key(False, "ask Azure for severities 0 to 7, not 0, 2, 4, 6")
    when: str = key(OBSERVE, "gate: before the text goes on; observe: beside it", choices=(GATE, OBSERVE))
    sides: tuple[str, ...] = key((PROMPT, COMPLETION), "what it judges")
    deadline_ms: int = key(0, "how long it may take; 0 is 1500 for a gate, 5000 else", unit="ms", least=0, most=600_000)
    on_failure: str = key("open", "what a gate does without its verdict: open, or closed", choices=("open", "closed"))
    max_chars: int = key(10_000, "of longer texts it sees the end", unit="characters", least=100, most=_MOST_CHARS)
    sample: float = key(1.0, "share of requests that it judges", least=0, most=1)
    cost_usd: Decimal = key(Decimal(0), "what one request to it costs you", unit="USD", least=0, most=1000)
    level: str = key("high", "severity of a plain yes, without probability or degree", choices=SEVERITIES[1:])


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """One judge, ready to be asked."""

    name: str
    kind: str
    model: str = ""
    version: str = ""
    template: str = ""
    asks: tuple[str, ...] = ()
    logprobs: bool = False
    url: str = ""
    credential: Secret | None = None
    secret: Secret | None = None
    shield: bool = True
    eight_levels: bool = False
    when: str = OBSERVE
    sides: tuple[str, ...] = (PROMPT, COMPLETION)
    deadline_s: float = 5.0
    closed: bool = False
    """Whether a text may not pass without its verdict."""
    max_chars: int = 10_000
    sample: float = 1.0
    cost_nusd: int | None = None
    """Of one request; None where its model's price says."""
    level: int = 3
    categories: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Its own names of categories to ours; an empty one is left out."""
    thresholds: Mapping[str, tuple[float, float, float]] = field(default_factory=lambda: MappingProxyType({}))
    """By our category: the least probability of each severity, from low to high."""
    literal_secrets: tuple[str, ...] = ()
    """The keys whose secrets stand in the file itself."""


def read_judges(tables: object, sources: Sources) -> dict[str, JudgeSettings]:
    """The declared judges, in the order of the file, without those that cannot be used."""
    if not isinstance(tables, dict):
        message = f"expected tables, got {describe(tables)}"
        sources.problems.add("safety.judges", message, "write [safety.judges.NAME]")
        return {}
    read = {name: _JudgeReader(name, sources).read(table) for name, table in tables.items()}
    return {name: judge for name, judge in read.items() if judge is not None}


@dataclass(slots=True)
class _JudgeReader:
    """The reading of one judge's table."""

    name: str
    sources: Sources
    literals: list[str] = field(default_factory=list)

    def note(self, where: str, message: str, fix: str = "") -> None:
        path = f"safety.judges.{self.name}"
        self.sources.problems.add(f"{path}.{where}" if where else path, message, fix)

    def read(self, table: object) -> JudgeSettings | None:
        """The judge, or None where its table cannot stand for one."""
        before = len(self.sources.problems.found)
        if not NAME.fullmatch(self.name):
            self.note("", "not a usable name", "lower-case letters, digits, dot, dash")
        if not isinstance(table, dict):
            self.note("", f"expected a table, got {describe(table)}")
            return None
        parts = {part: table.get(part) for part in ("categories", "thresholds")}
        rest = {name: value for name, value in table.items() if name not in parts}
        row = read_section(JudgeKeys, rest, f"safety.judges.{self.name}", self.sources.problems)
        form = FORMS.get(row.kind)
        if form is None:
            if "kind" not in rest:
                self.note("kind", "missing", f"one of {', '.join(FORMS)}")
            return None
        self._check(row, form)
        judge = self._judge(row, form, rest, parts)
        return judge if len(self.sources.problems.found) == before else None

    def _judge(
        self, row: JudgeKeys, form: Form, stated: Mapping[str, object], parts: Mapping[str, object]
    ) -> JudgeSettings:
        cost = row.cost_usd * NUSD_PER_USD
        if cost != int(cost):
            self.note("cost_usd", "more than nine decimals", "the smallest amount is 0.000000001")
        return JudgeSettings(
            name=self.name,
            kind=row.kind,
            model=self._model(row, form),
            version=self._among(row.version, form.versions, "version") or (form.versions or ("",))[-1],
            template=self._among(row.template, form.templates, "template") or (form.templates or ("",))[0],
            asks=self._asks(row.asks, form),
            logprobs=row.logprobs,
            url=self._url(row, form),
            credential=self._secret(row.api_key, "api_key"),
            secret=self._secret(row.secret, "secret"),
            shield=row.shield,
            eight_levels=row.eight_levels,
            when=row.when,
            sides=tuple(dict.fromkeys(row.sides)),
            deadline_s=(row.deadline_ms or _DEADLINES_MS[row.when]) / 1000,
            closed=row.on_failure == "closed",
            max_chars=row.max_chars,
            sample=row.sample,
            cost_nusd=int(cost) if "cost_usd" in stated or form.at == "url" else None,
            level=SEVERITIES.index(row.level),
            categories=self._categories(parts["categories"]),
            thresholds=self._thresholds(parts["thresholds"]),
            literal_secrets=tuple(self.literals),
        )

    def _check(self, row: JudgeKeys, form: Form) -> None:
        """The rules between keys."""
        if not row.sides or not set(row.sides) <= {PROMPT, COMPLETION}:
            self.note("sides", f"expected {PROMPT!r}, {COMPLETION!r} or both")
        if row.on_failure == "closed" and row.when != GATE:
            self.note("on_failure", "a text that is only observed goes on in any case", 'write when = "gate"')
        if row.max_chars > form.most_chars:
            self.note("max_chars", f"its service takes {form.most_chars} at most")
        if form.at == "model":
            for name in ("url", "api_key", "secret"):
                if getattr(row, name):
                    self.note(name, "it is asked through a model of this gateway", "declare its host in [providers]")
        elif row.model:
            self.note("model", "it has an address of its own", "write url")
        if row.secret and not form.signs:
            self.note("secret", "only a webhook's requests are signed")
        if form.keyed and not row.api_key:
            self.note("api_key", "missing", 'write api_key = "env:NAME"')

    def _model(self, row: JudgeKeys, form: Form) -> str:
        model = row.model or form.model
        if form.at == "model" and not is_model_name(model):
            self.note("model", "missing, or not a model's name", 'write model = "host/name"')
        return model

    def _url(self, row: JudgeKeys, form: Form) -> str:
        if form.at != "url":
            return ""
        fault = check_url(row.url) if row.url else "missing"
        if fault is None and "\\" in row.url:
            fault = "not a URL: it holds a backslash"
        if fault is not None:
            self.note("url", fault, 'write url = "https://host/path"')
        elif row.url.startswith("http://") and not is_loopback(row.url) and not row.insecure:
            self.note("url", "texts would go over plain http to another machine", "use https, or set insecure = true")
        return row.url

    def _among(self, stated: str, known: tuple[str, ...], where: str) -> str:
        """A choice that depends on the kind. Azure's API versions are without number."""
        if stated and where == "version" and known and known[0].startswith("20") and _API_VERSION.fullmatch(stated):
            return stated
        if stated and stated not in known:
            expected = f"expected one of {', '.join(map(repr, known))}" if known else "this kind has none"
            self.note(where, expected)
        return stated

    def _asks(self, stated: tuple[str, ...], form: Form) -> tuple[str, ...]:
        for index, name in enumerate(stated):
            if name not in form.asks:
                expected = f"expected one of {', '.join(map(repr, form.asks))}" if form.asks else "this kind has none"
                self.note(f"asks[{index}]", expected)
        return tuple(dict.fromkeys(stated)) or form.usual

    def _secret(self, reference: str, where: str) -> Secret | None:
        if not reference:
            return None
        if is_literal(reference):
            self.literals.append(where)
        return find_secret(reference, f"safety.judges.{self.name}.{where}", self.sources)

    def _categories(self, table: object) -> Mapping[str, str]:
        def read(label: str, value: object) -> str | None:
            where = f"categories.{label}"
            if not _LABEL.fullmatch(label):
                self.note(where, "not a name of a category")
            elif not isinstance(value, str) or not (value == "" or _CATEGORY.fullmatch(value)):
                self.note(where, 'expected the name of a category, or "" to leave it out')
            else:
                return value
            return None

        return self._table(table, "categories", read)

    def _thresholds(self, table: object) -> Mapping[str, tuple[float, float, float]]:
        def read(category: str, value: object) -> tuple[float, float, float] | None:
            where = f"thresholds.{category}"
            if not _CATEGORY.fullmatch(category):
                self.note(where, "not a name of a category")
                return None
            steps = [float(one) for one in value if _is_share(one)] if isinstance(value, list) else []
            if not isinstance(value, list) or len(value) != 3 or len(steps) != 3 or steps != sorted(steps):
                self.note(where, "expected three rising numbers from 0 to 1, for low, medium and high")
                return None
            return steps[0], steps[1], steps[2]

        return self._table(table, "thresholds", read)

    def _table(self, table: object, where: str, read: Callable[[str, object], Any]) -> Mapping[str, Any]:
        if table is None:
            return MappingProxyType({})
        if not isinstance(table, dict):
            self.note(where, f"expected a table, got {describe(table)}")
            return MappingProxyType({})
        found = {name: read(name, value) for name, value in table.items()}
        return MappingProxyType({name: value for name, value in found.items() if value is not None})


def _is_share(value: object) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool) and 0 <= value <= 1
