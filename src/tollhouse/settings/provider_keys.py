"""Every setting of ``[providers.NAME]``, and what is made of them. `settings.hosts` fills them."""
# ruff: noqa: RUF009  `key` is `dataclasses.field` with metadata: it builds no shared value

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tollhouse.settings.reading import key
from tollhouse.types.calls import PriceTier, Quirks
from tollhouse.types.secret import Secret
from tollhouse.types.wire import Timeouts


@dataclass(frozen=True, slots=True, repr=False)  # it holds credentials as they are written
class ProviderKeys:
    """One upstream host. A name of the catalogue needs no more than a key; any other needs a base_url."""

    enabled: bool = key(True, "false leaves the host out, also when its key is in the environment")
    api_key: str = key("", 'its key: "env:NAME", "file:/path", or written out; by default the catalogue\'s variable')
    base_url: str = key("", "where its API answers, up to and without /chat/completions or /messages")
    provider: str = key(
        "",
        'the API it speaks: "openai", "anthropic", "gemini"... (docs/dialects.md); by default as the catalogue says',
    )
    api_keys: tuple[str, ...] = key(
        (), "several keys, each as api_key is written; requests are spread over them, and each has its own limits"
    )
    region: str = key("", "region, for hosts whose address has one (Bedrock, Vertex)")
    project: str = key("", "project, for hosts whose address has one (Vertex)")
    api_version: str = key("", "api-version of the address (Azure)")
    guardrail: str = key("", 'guardrail that all its answers are given under, as "ID:VERSION" (Bedrock)')
    account: str = key("", 'service account of Google Cloud, JSON: "file:/path" or "env:NAME"')
    access_key_id: str = key("", 'AWS access key id: "env:NAME", "file:/path", or written out')
    secret_access_key: str = key("", 'AWS secret access key: "env:NAME", "file:/path", or written out')
    session_token: str = key("", 'AWS session token of temporary credentials: "env:NAME", "file:/path"')
    auth: str = key(
        "",
        'where the key goes: "bearer" (Authorization), "x-api-key", "api-key", "x-goog-api-key", "sigv4" (AWS), '
        '"google" (a service account) or "none"; by default as the host has it',
        choices=("", "bearer", "x-api-key", "api-key", "x-goog-api-key", "sigv4", "google", "none"),
    )
    insecure: bool = key(False, "allow the key to travel over plain http to another machine")
    proxy: str = key("", "HTTP proxy for this host, as http://host:port; also env: and file:")
    free: bool = key(
        False, "true: its models cost nothing, but for those priced here; unstated, so do unpriced ones on this machine"
    )
    on_disconnect: str = key(
        "cancel",
        "when a client leaves: hang up and charge what was delivered, or read on and charge what the host bills",
        choices=("cancel", "drain"),
    )
    models: tuple[str, ...] = key((), "the only models to offer; or a table, which adds to the catalogue's models")
    headers: dict[str, str] = key(None, "table of headers sent with each request; values also as env: and file:")
    timeouts: dict[str, float] = key(None, "table with keys of [timeouts], for this host alone")
    quirks: dict[str, object] = key(
        None, "table of departures from OpenAI's API: stream_usage, max_tokens_field, drop, schema, choices, prefix"
    )


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """US dollars per million tokens, exact to six decimals. A class left out has the price of the one it is part of."""

    input_usd_per_1m: Decimal = key(None, "price of prompt tokens", unit="USD/1M tokens", least=0, most=1_000_000)
    output_usd_per_1m: Decimal = key(None, "price of answer tokens", unit="USD/1M tokens", least=0, most=1_000_000)
    cache_read_usd_per_1m: Decimal = key(
        None, "price of prompt tokens read from a cache", unit="USD/1M tokens", least=0, most=1_000_000
    )
    cache_write_usd_per_1m: Decimal = key(
        None, "price of prompt tokens written to a cache for 5 minutes", unit="USD/1M tokens", least=0, most=1_000_000
    )
    cache_write_1h_usd_per_1m: Decimal = key(
        None, "price of prompt tokens written to a cache for an hour", unit="USD/1M tokens", least=0, most=1_000_000
    )
    reasoning_usd_per_1m: Decimal = key(
        None, "price of answer tokens that are reasoning", unit="USD/1M tokens", least=0, most=1_000_000
    )
    input_audio_usd_per_1m: Decimal = key(
        None,
        "price of prompt tokens that are audio, or of its seconds",
        unit="USD/1M tokens",
        least=0,
        most=1_000_000,
    )
    output_audio_usd_per_1m: Decimal = key(
        None, "price of answer tokens that are audio", unit="USD/1M tokens", least=0, most=1_000_000
    )


@dataclass(frozen=True, slots=True)
class ModelKeys(TokenPrices):
    """What is known of one model. Prices are US dollars per million tokens, exact to six decimals."""

    name: str = key("", "name for people")
    context_tokens: int = key(0, "context window", unit="tokens", least=1)
    output_tokens: int = key(0, "longest answer", unit="tokens", least=1)
    input_kinds: tuple[str, ...] = key((), "what it reads: text, image, audio, video, pdf")
    output_kinds: tuple[str, ...] = key((), "what it writes")
    tools: bool = key(False, "whether it calls tools")
    reasoning: bool = key(False, "whether it reasons before it answers")
    structured_output: bool = key(False, "whether it follows a JSON schema")
    provider: str = key(
        "",
        "the API that it is asked by, where its host has several",
        choices=("", "openai", "responses", "anthropic"),
    )
    quality: int = key(
        0, "how good it is, for tollhouse/auto; by default made of price, age and abilities", least=0, most=100
    )
    usd_per_image: Decimal = key(None, "price of one image made", unit="USD", least=0, most=10_000)
    usd_per_request: Decimal = key(None, "price of one request, beside its tokens", unit="USD", least=0, most=10_000)
    tiers: list[dict[str, object]] = key(
        None, "list of tables { above_tokens, input_usd_per_1m, ... }: prices of prompts that are longer"
    )


@dataclass(frozen=True, slots=True)
class TierKeys(TokenPrices):
    """One of the ``tiers`` of a model: what stands here counts for the whole request once its prompt is longer."""

    above_tokens: int = key(0, "length of the prompt, cached or not", unit="tokens", least=1, most=1 << 31)


@dataclass(frozen=True, slots=True)
class QuirkKeys:
    """How a host departs from OpenAI's chat API."""

    stream_usage: bool = key(True, "whether it takes stream_options")
    max_tokens_field: str = key("", "the only one it takes", choices=("", "max_tokens", "max_completion_tokens"))
    drop: tuple[str, ...] = key((), "request fields it refuses")
    schema: str = key(
        "schema",
        "what of response_format it enforces: a schema, any JSON object, or nothing",
        choices=("schema", "object", "none"),
    )
    choices: bool = key(True, "whether it takes n over 1")
    extensions: tuple[str, ...] = key(
        (), "what of the inner form it takes beside OpenAI's own: cache_control, reasoning, top_k ..."
    )
    prefix: str = key(
        "",
        "how it continues an answer: a last assistant message as it is (plain), or with this member set",
        choices=("", "plain", "prefix", "partial"),
    )


@dataclass(frozen=True, slots=True)
class ModelPatch:
    """What the operator says of a model: fields of `ModelFacts` and of `Prices`, to put over what is known."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    prices: Mapping[str, int] = field(default_factory=dict)
    """Pico-USD: fields of `Prices`."""
    tiers: tuple[PriceTier, ...] | None = None
    """None leaves what is known."""


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """One declared host, looked up and checked. ``models`` is empty where nothing was said of them."""

    name: str
    base_url: str
    credential: Secret | None = None
    auth: str = "bearer"
    headers: tuple[tuple[str, Secret], ...] = ()
    timeouts: Timeouts = field(default_factory=Timeouts)
    proxy: Secret | None = None
    quirks: Quirks | None = None
    """None leaves the catalogue's."""
    models: Mapping[str, ModelPatch] = field(default_factory=dict)
    free: bool | None = None
    on_disconnect: str = "cancel"
    provider: str = ""
    """Empty leaves the catalogue's."""
    more_credentials: tuple[Secret, ...] = ()
    """The keys beside ``credential``, for the slots from 1 on."""
    options: tuple[tuple[str, str], ...] = ()
    secrets: tuple[tuple[str, Secret], ...] = ()
    closed: bool = False
    """Only ``models`` may be called; otherwise any name is passed to the host."""
    enabled: bool = True
    literal_secrets: tuple[str, ...] = ()
    """The keys whose secrets stand in the file itself."""
