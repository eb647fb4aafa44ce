"""A client's call and how it is to be served: the values that travel down the request path.

What is made for each request is a msgspec Struct, frozen like the dataclasses beside it and five times cheaper to make.
"""

from dataclasses import dataclass, field
from typing import Any, Final, cast

from msgspec.structs import astuple

from tollhouse.types.secret import Secret
from tollhouse.types.values import Value
from tollhouse.types.wire import Timeouts


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling: the row behind a key's digest."""

    key_id: str
    name: str


class ChatCall:
    """One validated chat request. ``body`` is what is asked in the inner form (`docs/dialects.md`): OpenAI's chat
    completion, unknown fields too. Neither is changed once it is on its way.
    """

    __slots__ = (
        *("body", "dialect", "hosted", "include_usage", "keeps_seed", "losses", "model", "native", "stream"),
        *("unseen", "wire_headers"),
    )

    def __init__(
        self,
        model: str,
        body: dict[str, Any],
        stream: bool,
        include_usage: bool,
        dialect: str = "openai",
        native: dict[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.body = body
        self.stream = stream
        self.include_usage = include_usage
        self.dialect = dialect
        """What the client speaks."""
        self.native = native
        """What the client sent, where that is not ``body``: for hosts that speak its dialect too. Never mutated."""
        self.wire_headers: tuple[tuple[str, str], ...] = ()
        """Header lines of the client's that belong to ``native``, lower-case names: ``anthropic-beta`` and the like."""
        self.losses: tuple[Loss, ...] = ()
        """What ``native`` says and ``body`` cannot: lost wherever the call is not passed through."""
        self.hosted: str | None = None
        """What a host does beside answering, or dearer, because ``native`` alone asks for it: a field, or a tool's
        type."""
        self.unseen = False
        """``native`` alone names something whose size is not known here: a file that its host has stored."""
        self.keeps_seed = False
        """Whether the gateway gives the same answer to the same seed, whoever answers."""

    def but(self, **changes: Any) -> "ChatCall":
        """The same call, with some of it changed."""
        call = ChatCall(self.model, self.body, stream=self.stream, include_usage=self.include_usage)
        for name in _CALL:
            setattr(call, name, changes[name] if name in changes else getattr(self, name))
        return call


_CALL: Final = (
    *("model", "body", "stream", "include_usage", "dialect", "native", "wire_headers", "losses", "hosted", "unseen"),
    "keeps_seed",
)


class Loss(Value, frozen=True):
    """A parameter of the client's that a target does not honour as it stands."""

    param: str
    """Its name or path in the inner form, as ``temperature``, ``tools[0].function.strict``."""
    how: str = "dropped"
    """``dropped``, ``changed`` (another value is sent), or ``emulated`` (honoured by other means)."""
    why: str = ""
    """For people: one short clause."""


class RelayCall(Value, frozen=True):
    """One validated request of another OpenAI endpoint that is passed on in the same dialect.

    ``kind`` is the endpoint's path below ``/v1/``. ``model`` is ``None`` where the endpoint lets the host choose one.
    """

    kind: str
    model: str | None
    body: dict[str, Any]
    stream: bool


@dataclass(frozen=True, slots=True)
class Prices:
    """Pico-USD (1e-12) per token, integers; ``None`` where there is no figure (never to be read as 0).

    ``image`` and ``request`` are pico-USD for one image made and for one request, whatever its tokens.
    """

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    input_audio: int | None = None
    output_audio: int | None = None
    cache_write_1h: int | None = None
    image: int | None = None
    request: int | None = None


@dataclass(frozen=True, slots=True)
class PriceTier:
    """The prices of a request whose prompt is longer than ``above_tokens``. A class without a figure keeps the model's
    own price.
    """

    above_tokens: int
    prices: Prices


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the catalogue knows of one model at one provider. Token limits are ``None`` where unknown."""

    id: str
    name: str
    context_tokens: int | None = None
    output_tokens: int | None = None
    input_kinds: tuple[str, ...] = ("text",)
    output_kinds: tuple[str, ...] = ("text",)
    tools: bool = False
    reasoning: bool = False
    structured_output: bool = False
    temperature: bool = True
    released_on: str | None = None
    prices: Prices = field(default_factory=Prices)
    tiers: tuple[PriceTier, ...] = ()
    """By rising length."""
    unstated_prices: tuple[str, ...] = ()
    """Charges that the catalogue names without their unit (``request``, ``citation``): the model cannot be priced."""
    prices_from: str = "catalogue"
    """``catalogue``, or ``config`` where the operator states any of them."""
    image_tokens: int = 16_384
    """The most tokens that one image in a prompt becomes."""
    provider: str = ""
    """The file in `providers` that this model needs at its host; empty where it is the host's own."""
    choices: bool = True
    """Whether ``provider``'s dialect has ``n``."""
    quality: int | None = None
    """The operator's own figure from 0 to 100, for tollhouse/auto; None leaves the prior (`routing.quality`)."""


@dataclass(frozen=True, slots=True)
class Quirks:
    """How a compatible host departs from OpenAI's chat surface; rows of data, read by `providers.openai`."""

    stream_usage: bool = True
    """Takes ``stream_options.include_usage``; False drops it (Mistral answers 400 to it)."""
    max_tokens_field: str | None = None
    """``max_tokens`` or ``max_completion_tokens``: the only one of the two the host takes; None passes both."""
    drop: tuple[str, ...] = ()
    """Top-level request fields the host refuses; dropped, and listed in ``x-tollhouse-dropped-params``."""
    schema: str = "schema"
    """What of ``response_format`` the host enforces: ``schema``, ``object`` (JSON of any kind) or ``none``."""
    choices: bool = True
    """Takes ``n`` over 1."""
    prefix: str = ""
    """How it continues an answer from a prefix: ``plain`` (a last assistant message is continued), or the member of
    that message that asks for it (``prefix``, ``partial``); empty where it cannot.
    """
    extensions: tuple[str, ...] = ()
    """What of the inner form it takes beside OpenAI's own members: ``cache_control``, ``reasoning``, ``top_k``,
    ``reasoning_details``, ``reasoning_content``, ``extra_content``. For clients of other dialects; OpenAI's know.
    """


@dataclass(frozen=True, slots=True)
class Host:
    """One upstream host: a row of the catalogue or of the operator's file.

    ``auth`` says where the credential goes: ``bearer`` (Authorization), ``x-api-key``, ``api-key`` or ``none``.
    """

    name: str
    base_url: str
    credential: Secret | None = None
    auth: str = "bearer"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Their values, as the password in ``proxy``, are not in its ``repr``."""
    provider: str = "openai"
    """The file in `providers` that speaks this host's dialect."""
    quirks: Quirks = field(default_factory=Quirks)
    timeouts: Timeouts = field(default_factory=Timeouts)
    proxy: str | None = field(default=None, repr=False)
    label: str = ""
    max_event_bytes: int = 1 << 20
    """The largest single event of its streams."""
    free: bool | None = None
    """True: no price of the catalogue counts here. None: free if it is on this machine and nothing prices the model."""
    cap_field: str = "max_tokens"
    """Where a cap of ours goes when the client named none: ``max_tokens`` or ``max_completion_tokens``."""
    free_kinds: tuple[str, ...] = ()
    """Endpoint kinds that the vendor does not charge for."""
    options: tuple[tuple[str, str], ...] = ()
    """What the provider needs to know beside the URL: ``region``, ``project``, ``api_version``, ``guardrail``..."""
    secrets: tuple[tuple[str, Secret], ...] = ()
    """Credentials that a signature is made of, by name: ``access_key_id``, ``secret_access_key``, ``account``..."""
    slot: int = 0
    """Which of the host's keys this is, counted from 0."""
    inside: bool = False
    """Whether it is models in this process, which no connection leads to."""
    on_disconnect: str = "cancel"
    """When a client leaves: ``cancel`` hangs up and charges what was delivered; ``drain`` reads on, for the host bills
    the whole answer anyway.
    """


@dataclass(frozen=True, slots=True)
class Target:
    """One model at one host: where an attempt goes. ``model`` is the name the host knows."""

    host: Host
    model: str
    facts: ModelFacts | None = None
    id: str = field(init=False, repr=False, compare=False)
    """``host/model``, as the response header shows it; the name alone where a host is one model."""
    provider: str = field(init=False, repr=False, compare=False)
    """The file in `providers` that speaks to it."""
    choices: bool = field(init=False, repr=False, compare=False)
    """Whether one request to it may ask for several answers."""

    def __post_init__(self) -> None:
        host, facts = self.host, self.facts
        name = self.model if self.model == host.name else f"{host.name}/{self.model}"
        object.__setattr__(self, "id", name)
        object.__setattr__(self, "provider", (facts is not None and facts.provider) or host.provider)
        object.__setattr__(self, "choices", host.quirks.choices and (facts is None or facts.choices))


class Plan:
    """The targets of one call, in the order in which they are tried. Never empty, never changed."""

    __slots__ = ("requested", "targets")

    def __init__(self, requested: str, targets: tuple[Target, ...]) -> None:
        self.requested = requested
        self.targets = targets


class Usage(Value, frozen=True):
    """What a request took, in disjoint classes, each a non-negative integer.

    The prompt is ``input`` (uncached text), ``cache_read``, ``cache_write`` (kept 5 minutes), ``cache_write_1h`` and
    ``input_audio``; the answer is ``output`` and ``output_audio``.
    """

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    """Already part of ``output``; never added again."""
    estimated: bool = False
    cache_write_1h: int = 0
    input_audio: int = 0
    output_audio: int = 0
    images: int = 0
    """Images made, where they are priced by the piece."""

    @property
    def prompt(self) -> int:
        """Every token of the prompt: by its length the context tier is chosen."""
        return self.input + self.cache_read + self.cache_write + self.cache_write_1h + self.input_audio

    @property
    def completion(self) -> int:
        """Every token of the answer."""
        return self.output + self.output_audio


_values: Final = astuple
Counts = tuple[int, int, int, int, int, int, int, int, int, int]


def counts_of(usage: Usage) -> Counts:
    """Every field of a usage, in their order, taken all at once: a record is slow to look into."""
    return cast("Counts", _values(usage))


def tokens_of(usage: Usage) -> int:
    """Every token of the prompt and of the answer."""
    text, read, kept, output, _, _, kept_1h, heard, spoken, _ = counts_of(usage)
    return text + read + kept + kept_1h + heard + output + spoken
