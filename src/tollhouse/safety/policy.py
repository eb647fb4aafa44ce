"""Policies: what is filtered of what was found, and what is only told.

`Policies` is made once with a snapshot. For a request, `Policies.resolve` joins the policies that its key, its alias
and its tier name; `Policy.decide` says of a verdict what follows. A text of which nothing was found costs a comparison:
what it is told is built with the policy and shared.

Theory of operation: a policy becomes two tables of levels, one for each side of an exchange: from which level a
category is filtered. `OFF` is above every level, and `ELSEWHERE` above every level that is found, but below `OFF`: then
only what an upstream has filtered already counts. A policy that only annotates has `OFF` everywhere. So the strictest
of several policies is the least of each entry, no policy can loosen another, and a policy that would not have blocked
adds nothing to one that does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import msgspec

from tollhouse.safety.judges.kinds import is_judged
from tollhouse.safety.personal.kinds import DEFAULT_KINDS
from tollhouse.safety.results import (
    ASIDE,
    BLOCKLISTS,
    DETAILED,
    PERSONAL,
    TOPICS,
    Results,
    Shape,
    Upstream,
    told,
)
from tollhouse.safety.templates import CATEGORIES, TEMPLATES
from tollhouse.settings.safety import (
    ASYNC,
    BLOCK,
    BUFFERED,
    MODES,
    PolicyKeys,
    PolicySettings,
    Safety,
)
from tollhouse.settings.safety import OFF as OFF_MODE
from tollhouse.types.safety import CLEAN, COMPLETION, HARMS, HIGH, LOW, PROMPT, SEVERITIES, Finding, Verdict, joined
from tollhouse.types.tenancy import Principal, Tier
from tollhouse.types.values import Value

ELSEWHERE, OFF = HIGH + 1, HIGH + 2
SWITCHES: Final = ("jailbreak", "indirect_attack", "profanity", "protected_material_text", "protected_material_code")
"""Categories that a policy turns on or off, for they have one level."""
OTHER: Final = "other"
"""Stands for every category that has no setting."""
GOVERNED: Final = (*HARMS, *SWITCHES, OTHER)
_NEVER: Final[Mapping[str, int]] = MappingProxyType(dict.fromkeys(GOVERNED, OFF))
_WORDS: Final[Mapping[str, int]] = MappingProxyType(
    {**{word: level for level, word in enumerate(SEVERITIES)}, "off": OFF}
)
_NOTHING: Final[frozenset[tuple[str, str]]] = frozenset()
_NAMED: Final = frozenset({*DETAILED, PERSONAL})
"""Categories of which a policy names what counts."""
_SIDES: Final = (PROMPT, COMPLETION)
STAND_IN: Final = "strict"
"""Stands in, beside every policy that is declared, for one that is named and is not there."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from a verdict on one side of an exchange."""

    side: str
    verdict: Verdict
    """With what an upstream reported."""
    results: Results
    """What the client is told (``content_filter_results``). Shared: not to be changed. Empty where the mode is off."""
    told: Results | msgspec.Raw
    """The same as answers hold it: JSON already, where many answers are told the same."""
    filtered: tuple[Finding, ...] = ()
    """What the policy does not let through."""
    categories: tuple[str, ...] = ()
    """Those of ``filtered``, and those that an upstream filtered and that the policy governs; each once."""
    blocked: bool = False
    """Whether the text is to be withheld: something was filtered, or a judge that must be heard did not answer."""

    @property
    def is_unjudged(self) -> bool:
        """Whether it is withheld for nothing but that: nobody found anything that is filtered."""
        return self.blocked and not self.categories


@dataclass(frozen=True, slots=True)
class Side:
    """A policy on one side of an exchange."""

    levels: Mapping[str, int]
    """From which level each category is filtered."""
    barred: frozenset[tuple[str, str]]
    """Lists, topics and kinds of personal data that are filtered, each with its category."""
    shape: Shape
    clean: Decision
    """Of a text of which nothing was found."""
    blocks: bool
    """Whether anything can be filtered at all."""
    closed: frozenset[str] = frozenset()
    """Judges without whose verdict nothing passes."""

    def missing(self, verdict: Verdict) -> tuple[str, ...]:
        """Those of them that did not answer."""
        return tuple([name for name in verdict.failed if name in self.closed])


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for a request: one policy, or several as one."""

    name: str
    """For people: the names, joined by ``+``."""
    mode: str
    prompt: Side
    completion: Side
    stream: str
    blocklists: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    judges: tuple[str, ...] = ()
    kinds: frozenset[str] = frozenset()
    """Personal data that is looked for."""
    masked: frozenset[str] = frozenset()
    """Kinds of it that are masked, in prompts."""
    embedding: bool = False
    unknown: tuple[str, ...] = ()
    """Names that nobody has declared; see `STAND_IN`."""

    @property
    def is_off(self) -> bool:
        """Whether nothing is looked at and nothing said."""
        return self.mode == OFF_MODE

    @property
    def holds_back(self) -> bool:
        """Whether a stream's text waits until it was judged."""
        return self.completion.blocks and self.stream == BUFFERED

    @property
    def hidden(self) -> frozenset[str]:
        """Kinds of personal data that nobody else is sent: those that are masked, and those that are refused."""
        return self.masked.union([kind for category, kind in self.prompt.barred if category == PERSONAL])

    @property
    def guards_prompts(self) -> bool:
        """Whether a prompt may have to be refused, or changed, before anybody else sees it."""
        return self.prompt.blocks or bool(self.masked)

    def decide(self, verdict: Verdict, side: str, upstream: Upstream | None = None) -> Decision:
        """What follows from a verdict, and from what an upstream reported beside it."""
        rules = self.prompt if side == PROMPT else self.completion
        if verdict is CLEAN and upstream is None:
            return rules.clean
        return self._decide(verdict, rules, upstream)

    def observe(self, decision: Decision, verdict: Verdict, upstream: Upstream | None = None) -> Decision:
        """A decision with what was found beside it by those who filter nothing, or too late to."""
        rules = self.prompt if decision.side == PROMPT else self.completion
        found = joined(decision.verdict, verdict)
        if upstream is not None:
            found = joined(found, upstream.verdict)
        results = told(rules.shape, found, decision.filtered, upstream, rules.missing(found))
        return replace(decision, verdict=found, results=results, told=results)

    def _decide(self, verdict: Verdict, rules: Side, upstream: Upstream | None) -> Decision:
        if self.is_off:
            return rules.clean
        elsewhere: frozenset[str] = frozenset()
        if upstream is not None:
            verdict, elsewhere = joined(verdict, upstream.verdict), upstream.filtered
        filtered = tuple(finding for finding in verdict.findings if _is_filtered(finding, rules))
        also = (name for name in sorted(elsewhere) if rules.levels.get(name, rules.levels[OTHER]) <= ELSEWHERE)
        categories = tuple(dict.fromkeys((*(finding.category for finding in filtered), *also)))
        missing = rules.missing(verdict)
        results = told(rules.shape, verdict, filtered, upstream, missing)
        blocked = bool(categories or missing)
        return Decision(rules.shape.side, verdict, results, results, filtered, categories, blocked)


def _is_filtered(finding: Finding, rules: Side) -> bool:
    """A list, a topic or a kind of personal data is filtered where the policy names it; a judge that only says that
    there is one goes by `OTHER`.
    """
    category = finding.category
    if (category, finding.detail) in rules.barred:
        return True
    if (finding.detail and category in _NAMED) or category in ASIDE[rules.shape.side]:
        return False
    return finding.level >= rules.levels.get(category, rules.levels[OTHER])


# --- making them -------------------------------------------------------------------------------------------------


class _Draft(Value, frozen=True):
    """One policy with its template applied, ready to be joined with others. Levels and bars are by side."""

    names: tuple[str, ...]
    mode: str
    levels: Mapping[str, Mapping[str, int]]
    barred: Mapping[str, frozenset[tuple[str, str]]]
    stream: str
    blocklists: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    judges: tuple[str, ...] = ()
    closed: Mapping[str, frozenset[str]] = MappingProxyType({})
    kinds: frozenset[str] = frozenset()
    masked: frozenset[str] = frozenset()
    embedding: bool = False


class Policies:
    """The policies of a configuration. What changes is a memory: of each combination of names, once asked for."""

    __slots__ = ("_declared", "_default", "_detectors_off", "_known", "_settings", "_tier", "_tiers", "unknown")

    def __init__(self, settings: Safety, tiers: Mapping[str, Tier] | None = None, default_tier: str = "") -> None:
        self._settings = settings
        self._tiers = tiers or {}
        self._tier = default_tier
        self._declared = {name: self._draft(row) for name, row in settings.policies.items()}
        self._default = self._draft_default()
        self._known: dict[tuple[tuple[str, ...], str | None, str], Policy] = {}
        self.unknown: set[str] = set()
        """Names that were asked for and that nobody has declared: an operator's slip, to be told."""
        self._detectors_off = frozenset(
            name
            for name, files in (
                ("protected_material_text", any(not file.is_code for file in settings.protected)),
                ("protected_material_code", settings.licences or any(file.is_code for file in settings.protected)),
            )
            if not files
        )

    def resolve(self, own: tuple[str, ...] = (), tier: str | None = None, alias: str = "") -> Policy:
        """What holds for a request.

        ``own`` are the policies that its key and the nodes above it name (`Principal.safety`), ``tier`` is the name of
        the key's tier, ``alias`` the policy of the alias that was asked for (`RoutePolicy.safety`). Of all that are
        named the strictest counts; the default of ``[safety]`` holds where none is.
        """
        known = self._known.get((own, tier, alias))
        if known is None:
            known = self._known[own, tier, alias] = self._resolve(own, tier, alias)
        return known

    def of(self, principal: Principal, alias: str = "") -> Policy:
        """What holds for a caller; ``alias`` as `resolve` has it."""
        return self.resolve(principal.safety, principal.tier, alias)

    def named(self, name: str) -> Policy:
        """One policy by its name, as if a key had it alone."""
        return self.resolve((name,))

    def _resolve(self, own: tuple[str, ...], tier: str | None, alias: str) -> Policy:
        names = tuple(dict.fromkeys(name for name in (*own, alias, *self._of_tier(tier)) if name))
        unknown = tuple(name for name in names if not self._settings.knows(name))
        drafts = [self._find(name) for name in names if name not in unknown]
        if unknown:
            self.unknown.update(unknown)
            drafts += [*self._declared.values(), self._find(STAND_IN)]
        return self._made(_joined(drafts) if drafts else self._default, unknown)

    def _of_tier(self, name: str | None) -> tuple[str, ...]:
        """The policy of a tier. One that is not set up has those of every tier: an operator's slip opens nothing."""
        tier = self._tiers.get(name or self._tier)
        if tier is not None:
            return (tier.safety,)
        return tuple(one.safety for one in self._tiers.values()) if name else ()

    def _find(self, name: str) -> _Draft:
        return self._declared.get(name) or self._draft(PolicySettings(name, PolicyKeys(template=name)))

    def _draft_default(self) -> _Draft:
        settings = self._settings
        if not settings.policy:
            return self._draft(PolicySettings("default", PolicyKeys(mode=settings.mode), frozenset({"mode"})))
        row = settings.policies.get(settings.policy)
        if row is None:
            row = PolicySettings(settings.policy, PolicyKeys(template=settings.policy))
        if settings.mode:
            row = replace(row, keys=replace(row.keys, mode=settings.mode))
        return self._draft(row)

    def _draft(self, row: PolicySettings) -> _Draft:
        keys = row.keys
        if keys.mode == OFF_MODE:
            return _Draft((row.name,), OFF_MODE, dict.fromkeys(_SIDES, _NEVER), dict.fromkeys(_SIDES, _NOTHING), ASYNC)
        levels = _levels(row)
        blocking = {PROMPT: keys.prompt and keys.mode == BLOCK, COMPLETION: keys.completion and keys.mode == BLOCK}
        kinds = frozenset(keys.personal_kinds or DEFAULT_KINDS) if keys.personal != OFF_MODE else frozenset()
        return _Draft(
            (row.name,),
            keys.mode,
            {side: levels if blocks else _NEVER for side, blocks in blocking.items()},
            {side: _barred(keys, side) if blocks else _NOTHING for side, blocks in blocking.items()},
            (keys.stream or self._settings.stream) if blocking[COMPLETION] else ASYNC,
            keys.blocklists,
            keys.topics,
            keys.judges,
            {side: self._closed(keys.judges, side) for side, blocks in blocking.items() if blocks},
            kinds,
            kinds if keys.personal == "mask" else frozenset(),
            keys.embedding,
        )

    def _made(self, draft: _Draft, unknown: tuple[str, ...]) -> Policy:
        barred = draft.barred[PROMPT]
        return Policy(
            name="+".join(draft.names),
            mode=draft.mode,
            prompt=self._side(draft, PROMPT),
            completion=self._side(draft, COMPLETION),
            stream=draft.stream,
            blocklists=draft.blocklists,
            topics=draft.topics,
            judges=draft.judges,
            kinds=draft.kinds,
            masked=frozenset(kind for kind in draft.masked if (PERSONAL, kind) not in barred),
            embedding=draft.embedding,
            unknown=unknown,
        )

    def _side(self, draft: _Draft, side: str) -> Side:
        shape = Shape(
            side,
            self._detectors_off,
            blocklists=bool(draft.blocklists),
            topics=bool(draft.topics),
            personal=side == PROMPT and bool(draft.kinds),
            masked=draft.masked,
        )
        levels, barred = draft.levels[side], draft.barred[side]
        results = told(shape, CLEAN) if draft.mode != OFF_MODE else {}
        closed = draft.closed.get(side, frozenset())
        blocks = bool(barred or closed) or min(levels.values()) <= HIGH
        clean = Decision(side, CLEAN, results, msgspec.Raw(msgspec.json.encode(results)))
        return Side(levels, barred, shape, clean, blocks, closed)

    def _closed(self, names: Iterable[str], side: str) -> frozenset[str]:
        """Those of some judges that shut the gate on this side when they do not answer."""
        judges = [self._settings.judges[name] for name in names]
        return frozenset(judge.name for judge in judges if judge.closed and is_judged(judge, side))


def _levels(row: PolicySettings) -> Mapping[str, int]:
    """From which level each category is filtered: as the template has it, and as is stated over it."""
    keys = row.keys
    template = TEMPLATES.get(keys.template)
    levels = dict(_NEVER)
    stated: Iterable[str] = GOVERNED
    if template is not None:
        level = ELSEWHERE if template.level is None else template.level
        levels |= dict.fromkeys(template.categories, level)
        if template.categories == CATEGORIES:
            levels[OTHER] = level
        stated = row.stated.intersection(GOVERNED)
    for name in stated:
        value = getattr(keys, name)
        levels[name] = _WORDS[value] if isinstance(value, str) else LOW if value else OFF
    return levels


def _barred(keys: PolicyKeys, side: str) -> frozenset[tuple[str, str]]:
    """What is filtered whenever it is found. Personal data is looked for in prompts."""
    kinds = (keys.personal_kinds or DEFAULT_KINDS) if keys.personal == BLOCK and side == PROMPT else ()
    pairs = ((BLOCKLISTS, keys.blocklists), (TOPICS, keys.topics), (PERSONAL, kinds))
    return frozenset((category, name) for category, names in pairs for name in names)


def _joined(drafts: Sequence[_Draft]) -> _Draft:
    """The strictest of every setting of some policies."""
    if len(drafts) == 1:
        return drafts[0]
    return _Draft(
        _union(draft.names for draft in drafts),
        max((draft.mode for draft in drafts), key=MODES.index),
        {side: {name: min(draft.levels[side][name] for draft in drafts) for name in GOVERNED} for side in _SIDES},
        {side: frozenset().union(*(draft.barred[side] for draft in drafts)) for side in _SIDES},
        BUFFERED if any(draft.stream == BUFFERED for draft in drafts) else ASYNC,
        _union(draft.blocklists for draft in drafts),
        _union(draft.topics for draft in drafts),
        _union(draft.judges for draft in drafts),
        {side: frozenset().union(*(draft.closed.get(side, frozenset()) for draft in drafts)) for side in _SIDES},
        frozenset().union(*(draft.kinds for draft in drafts)),
        frozenset().union(*(draft.masked for draft in drafts)),
        any(draft.embedding for draft in drafts),
    )


def _union(names: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for some in names for name in some))
