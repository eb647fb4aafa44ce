"""``[safety]``: what is done with the safety of prompts and answers, and the policies, lists and texts that it names.

Called by `config`; `safety.policy` makes policies of it, `safety.blocklists` and `safety.protected` read for the lists
and texts. Files that lists name are read here, once, so that a mistake in one shows in ``tollhouse check``.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

from tollhouse.settings.judges import JudgeSettings, read_judges
from tollhouse.settings.reading import Problems, closest, describe, key, keys, read_section, read_table
from tollhouse.settings.safety_files import ProtectedFile, TermList, find_protected, read_terms
from tollhouse.settings.secrets import Sources

T = TypeVar("T")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
OFF, ANNOTATE, BLOCK = "off", "annotate", "block"
MODES = (OFF, ANNOTATE, BLOCK)
"""By rising strictness."""
BUFFERED, ASYNC = "buffered", "async"
PERSONAL = (OFF, "mask", BLOCK)
TEMPLATES = ("strict", "moderate", "minimal", "child_safe", "enterprise")
"""The policies that are there without a word; `safety.templates` says what they hold."""
PERSONAL_KINDS = ("secret", "email", "iban", "card", "ssn", "phone", "ip")
"""Of personal data; `safety.personal.kinds` says what each is."""
NO_POLICY = "none"
"""What takes a policy from a key, where one is named."""
THRESHOLDS = ("off", "low", "medium", "high")
INNER = ("policies", "blocklists", "topics", "protected", "judges")
"""The tables inside ``[safety]``."""


@dataclass(frozen=True, slots=True)
class SafetyKeys:
    """What is done where neither the key nor the alias nor the tier of a request names a policy."""

    mode: str = key(
        ANNOTATE,
        "say nothing, annotate prompts and answers, or also block; beside policy, in place of that policy's mode",
        choices=MODES,
    )
    policy: str = key(
        "", "the policy: one of [safety.policies] or a template: strict, moderate, minimal, child_safe, enterprise"
    )
    stream: str = key(
        BUFFERED,
        "streams whose answer may be blocked: text is held until it was judged, or goes out and is cut on a hit",
        choices=(BUFFERED, ASYNC),
    )


@dataclass(frozen=True, slots=True)
class PolicyKeys:
    """A policy, for `safety` of [tiers.NAME], of [models.NAME] and of keys. What it leaves out is its template's."""

    template: str = key("", "what it starts from", choices=("", *TEMPLATES))
    mode: str = key(BLOCK, "say nothing, annotate, or block what reaches a threshold", choices=MODES)
    prompt: bool = key(True, "prompts may be blocked")
    completion: bool = key(True, "answers may be blocked")
    stream: str = key("", "as in [safety]; by default what that says", choices=("", BUFFERED, ASYNC))
    hate: str = key("high", "least severity that is blocked; off blocks none", choices=THRESHOLDS)
    self_harm: str = key("high", "the same", choices=THRESHOLDS)
    sexual: str = key("high", "the same", choices=THRESHOLDS)
    violence: str = key("high", "the same", choices=THRESHOLDS)
    jailbreak: bool = key(True, "prompts that attack the model's instructions are blocked")
    indirect_attack: bool = key(True, "so are such attacks in documents, where an upstream or a judge finds them")
    profanity: bool = key(False, "prompts and answers with profanity are blocked")
    protected_material_text: bool = key(True, "answers that repeat a text of [safety.protected] are blocked")
    protected_material_code: bool = key(True, "answers that repeat its code, or carry a licence header, are blocked")
    other: str = key("high", "the same for what else an upstream or a judge reports", choices=THRESHOLDS)
    blocklists: tuple[str, ...] = key((), "names of [safety.blocklists]: what holds a term of one is blocked")
    topics: tuple[str, ...] = key((), "names of [safety.topics]: what is about one is blocked")
    judges: tuple[str, ...] = key((), "names of [safety.judges] that are asked too")
    personal: str = key(OFF, "personal data and secrets: left, masked, or blocked", choices=PERSONAL)
    personal_kinds: tuple[str, ...] = key((), "kinds that are looked for; by default all but ip, which is in every log")
    embedding: bool = key(
        False, "also judge by sentence embeddings, 5 to 100 ms; needs [local] and a model: safety-embedding.md"
    )


@dataclass(frozen=True, slots=True)
class BlocklistKeys:
    """A list of words and phrases. Case, accents and what stands between words do not matter; words are whole."""

    terms: tuple[str, ...] = key((), 'words or phrases; a star at an end stands for any letters: "gambl*"')
    file: str = key("", "a file with one more term on each line; # begins a comment")


@dataclass(frozen=True, slots=True)
class TopicKeys:
    """A topic, told by its words: a text is about it when it holds several of them."""

    terms: tuple[str, ...] = key((), "words and phrases, as of a list")
    file: str = key("", "a file with one more term on each line; # begins a comment")
    at_least: int = key(2, "different terms that a text holds to be about the topic", least=1, most=1000)


@dataclass(frozen=True, slots=True)
class ProtectedKeys:
    """Texts and code that answers must not repeat: twelve words in a row are compared."""

    texts: tuple[str, ...] = key((), "files and folders of them; files of code are told by their ending")
    licences: bool = key(False, "also tell code that carries the header of a known licence (GPL, Apache, MIT, ...)")


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """A policy as it is written. ``stated`` are the keys that the file has: only they go over a template's."""

    name: str
    keys: PolicyKeys = field(default_factory=PolicyKeys)
    stated: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Safety:
    """All of ``[safety]``."""

    mode: str = ANNOTATE
    """Empty where the file says nothing and names a policy: then that policy's own."""
    policy: str = ""
    stream: str = BUFFERED
    policies: Mapping[str, PolicySettings] = field(default_factory=lambda: MappingProxyType({}))
    blocklists: Mapping[str, TermList] = field(default_factory=lambda: MappingProxyType({}))
    topics: Mapping[str, TermList] = field(default_factory=lambda: MappingProxyType({}))
    protected: tuple[ProtectedFile, ...] = ()
    licences: bool = False
    judges: Mapping[str, JudgeSettings] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def names(self) -> tuple[str, ...]:
        """Every policy that can be named."""
        return (*self.policies, *TEMPLATES)

    def knows(self, policy: str) -> bool:
        """Whether a policy can be named."""
        return policy in self.policies or policy in TEMPLATES


# --- reading -----------------------------------------------------------------------------------------------------


def read_safety(table: object, sources: Sources) -> Safety:
    """The section and all tables inside it; faulty parts keep their defaults and are noted."""
    problems = sources.problems
    if not isinstance(table, dict):
        problems.add("safety", f"expected a table, got {describe(table)}", "write [safety]")
        return Safety()
    flat = {name: value for name, value in table.items() if name not in INNER}
    _hint(flat, problems)
    stated = read_table(SafetyKeys, flat, "safety", problems)
    found = SafetyKeys(**stated)
    inner = {name: table.get(name, {}) for name in INNER}
    protected = read_section(ProtectedKeys, inner["protected"], "safety.protected", problems)
    safety = Safety(
        "" if found.policy and "mode" not in stated else found.mode,
        found.policy,
        found.stream,
        MappingProxyType(_each(inner["policies"], "policies", sources, _read_policy)),
        MappingProxyType(_each(inner["blocklists"], "blocklists", sources, _read_blocklist)),
        MappingProxyType(_each(inner["topics"], "topics", sources, _read_topic)),
        find_protected(protected.texts, sources),
        protected.licences,
        MappingProxyType(read_judges(inner["judges"], sources)),
    )
    _check_names(safety, table, problems)
    return safety


def check_policy(name: str, path: str, safety: Safety, problems: Problems) -> None:
    """Notes a policy that is named and is not there."""
    if name and not safety.knows(name):
        close = closest(name, safety.names)
        fix = f"did you mean {close!r}?" if close else f"write [safety.policies.{name}]"
        problems.add(path, f"no policy named {name!r}", fix)


def _hint(flat: dict[str, Any], problems: Problems) -> None:
    """A name close to one of the inner tables would else be compared with the keys alone."""
    known = tuple(spec.name for spec in keys(SafetyKeys))
    for name in [name for name in flat if name not in known and closest(name, [*known, *INNER]) in INNER]:
        del flat[name]
        problems.unknown(f"safety.{name}", name, INNER)


def _each(tables: object, where: str, sources: Sources, read: Callable[[str, str, object, Sources], T]) -> dict[str, T]:
    """Every ``[safety.WHERE.NAME]``."""
    path = f"safety.{where}"
    if not isinstance(tables, dict):
        sources.problems.add(path, f"expected a table, got {describe(tables)}", f"write [{path}.NAME]")
        return {}
    for name in tables:
        if not NAME.fullmatch(name):
            fix = "letters, digits, dots, dashes and underscores, up to 64"
            sources.problems.add(f"{path}.{name}", "not a usable name", fix)
    return {name: read(name, f"{path}.{name}", table, sources) for name, table in tables.items()}


def _read_policy(name: str, path: str, table: object, sources: Sources) -> PolicySettings:
    problems = sources.problems
    if name in TEMPLATES:
        fix = f'choose another name, and write template = "{name}"'
        problems.add(path, "the name of a template", fix)
    elif name == NO_POLICY:
        problems.add(path, "the word for no policy, where a key names one", "choose another name")
    stated = read_table(PolicyKeys, table, path, problems)
    found = PolicyKeys(**stated)
    for index, kind in enumerate(found.personal_kinds):
        if kind not in PERSONAL_KINDS:
            expected = f"expected one of {', '.join(map(repr, PERSONAL_KINDS))}"
            problems.add(f"{path}.personal_kinds[{index}]", expected)
    return PolicySettings(name, found, frozenset(stated))


def _read_blocklist(name: str, path: str, table: object, sources: Sources) -> TermList:
    row = read_section(BlocklistKeys, table, path, sources.problems)
    return TermList(name, read_terms(row.terms, row.file, path, sources))


def _read_topic(name: str, path: str, table: object, sources: Sources) -> TermList:
    row = read_section(TopicKeys, table, path, sources.problems)
    terms = read_terms(row.terms, row.file, path, sources)
    if len(terms) < row.at_least:
        problem = f"{row.at_least} terms are to be found, and there are {len(terms)}"
        sources.problems.add(f"{path}.at_least", problem, "lower it, or add terms")
    return TermList(name, terms, row.at_least)


def _check_names(safety: Safety, table: Mapping[str, Any], problems: Problems) -> None:
    """All that policies name exists."""
    check_policy(safety.policy, "safety.policy", safety, problems)
    judges = table.get("judges")
    known: Mapping[str, Collection[str]] = {
        "blocklists": safety.blocklists,
        "topics": safety.topics,
        "judges": judges if isinstance(judges, dict) else (),  # one with a fault is noted once
    }
    for policy in safety.policies.values():
        for kind, names in known.items():
            _check_list(getattr(policy.keys, kind), kind, names, f"safety.policies.{policy.name}.{kind}", problems)


def _check_list(named: tuple[str, ...], kind: str, known: Collection[str], path: str, problems: Problems) -> None:
    for index, name in enumerate(named):
        if name not in known:
            close = closest(name, known)
            fix = f"did you mean {close!r}?" if close else f"write [safety.{kind}.{name}]"
            problems.add(f"{path}[{index}]", f"there is no {name!r}", fix)
