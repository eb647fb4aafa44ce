"""Every setting there is: one dataclass a section of the file, one `key` a setting.

`config` fills them and `settings.text` writes the documentation from them: the default, the unit, the range and the one
documentation line of a setting are stated here and nowhere else.
"""
# ruff: noqa: RUF009  `key` is `dataclasses.field` with metadata: it builds no shared value

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from tollhouse.settings.provider_keys import ProviderSettings
from tollhouse.settings.reading import key
from tollhouse.settings.replay import Replay
from tollhouse.settings.routing import RoutePolicy, Routing
from tollhouse.settings.safety import Safety, SafetyKeys
from tollhouse.types.secret import Secret
from tollhouse.types.tenancy import Tier
from tollhouse.types.wire import Timeouts

_WAIT = Timeouts()


@dataclass(frozen=True, slots=True)
class Server:
    """Where the gateway listens, and what it takes from a client before it says no."""

    host: str = key("127.0.0.1", "address to listen on; 0.0.0.0 or :: opens it to the network")
    port: int = key(8787, "port of the API; 0 takes a free one", least=0, most=65535)
    admin_port: int = key(
        8788, "port of the loopback-only admin listener (metrics, reload); 0 turns it off", least=0, most=65535
    )
    data_dir: Path = key(Path("~/.tollhouse"), "folder of the database; made on first start")
    max_body_bytes: int = key(32 << 20, "largest request body", unit="bytes", least=1024, most=1 << 30)
    max_header_bytes: int = key(
        32768, "largest request line and headers together", unit="bytes", least=1024, most=1 << 20
    )
    max_headers: int = key(128, "most header fields of a request", least=8, most=4096)
    header_timeout_s: float = key(10.0, "time a client has to send its headers", unit="s", least=0.1, most=600)
    body_timeout_s: float = key(60.0, "time a client has to send its body", unit="s", least=0.1, most=3600)
    body_min_bytes_per_s: int = key(
        1024, "slowest body accepted, after a few seconds of grace; 0 accepts any", unit="bytes/s", least=0
    )
    keep_alive_s: float = key(75.0, "how long an idle client connection stays open", unit="s", least=0, most=3600)
    write_timeout_s: float = key(
        60.0, "how long a client may stop reading before it counts as gone", unit="s", least=0.1, most=3600
    )
    max_connections: int = key(10_000, "client connections open at once", least=1, most=1_000_000)
    max_in_flight: int = key(2000, "requests served at once; one more gets 503", least=1, most=1_000_000)
    drain_grace_s: float = key(
        0.5, "after SIGTERM, how long /readyz says 503 before connections are refused", unit="s", least=0, most=600
    )
    drain_s: float = key(300.0, "how long live answers may run on after SIGTERM", unit="s", least=0, most=3600)
    heartbeat_s: float = key(
        15.0, "longest silence on an open stream before a heartbeat is sent", unit="s", least=0.1, most=600
    )
    heartbeat: str = key(
        "chunk", "heartbeat as an empty chunk, as an SSE comment, or none", choices=("chunk", "comment", "off")
    )


@dataclass(frozen=True, slots=True)
class Cors:
    """Which web pages may call the API from a browser."""

    origins: tuple[str, ...] = key(
        ("http://localhost:*", "http://127.0.0.1:*"),
        'origins allowed; ":*" stands for any port, "*" alone for any origin (never with credentials)',
    )
    max_age_s: int = key(86_400, "how long a browser may keep a preflight's answer", unit="s", least=0, most=604_800)


@dataclass(frozen=True, slots=True)
class TimeoutKeys:
    """How long an upstream may take; [providers.NAME.timeouts] takes the same keys for one host."""

    connect_s: float = key(
        _WAIT.connect_s, "until the connection, TLS included, stands", unit="s", least=0.01, most=600
    )
    first_byte_s: float = key(
        _WAIT.first_byte_s,
        "from the request's last byte to the answer's first body byte",
        unit="s",
        least=0.01,
        most=86_400,
    )
    idle_s: float = key(_WAIT.idle_s, "between two pieces of an answer", unit="s", least=0.01, most=86_400)
    total_s: float = key(_WAIT.total_s, "the whole exchange", unit="s", least=0.01, most=604_800)


@dataclass(frozen=True, slots=True)
class Upstream:
    """The client that talks to upstream hosts."""

    max_connections_per_host: int = key(
        512, "connections open to one host; further requests wait", least=1, most=100_000
    )
    idle_expiry_s: float = key(
        45.0, "idle connections are closed after this; many hosts drop them at 60", unit="s", least=0, most=59
    )
    max_response_bytes: int = key(64 << 20, "largest whole answer", unit="bytes", least=1024, most=1 << 30)
    max_event_bytes: int = key(1 << 20, "largest single stream event", unit="bytes", least=1024, most=64 << 20)
    max_attempts: int = key(
        3, "targets tried for one request before the first byte reaches the client", least=1, most=16
    )
    proxy: str = key("", "HTTP proxy for every host, as http://host:port; HTTP_PROXY variables are not read")
    ca_file: str = key("", "PEM file of certificate authorities to trust besides the system's")


@dataclass(frozen=True, slots=True)
class Log:
    """What is written to standard error. Never prompts, answers or keys."""

    level: str = key("info", "least severe event that is written", choices=("debug", "info", "warning", "error"))
    format: str = key("json", "one JSON object a line, or text for people", choices=("json", "text"))
    access: bool = key(True, "one event for each request served")


@dataclass(frozen=True, slots=True)
class DiscoveryKeys:
    """What is looked for at start besides the hosts declared here."""

    environment: bool = key(True, "use provider keys found in the environment (OPENAI_API_KEY and others)")
    loopback: bool = key(True, "use engines found on this machine (Ollama, llama.cpp, vLLM, LM Studio)")
    timeout_s: float = key(0.3, "how long a local engine has to answer", unit="s", least=0.01, most=30)


@dataclass(frozen=True, slots=True)
class Local:
    """Models run inside this process by llama.cpp; needs the [local] extra."""

    gguf: tuple[str, ...] = key((), "GGUF files to serve, each under its file name")
    context_tokens: int = key(
        0, "context of each model; 0 takes what the file says", unit="tokens", least=0, most=16_777_216
    )
    threads: int = key(0, "threads for inference; 0 takes every core", least=0, most=1024)


@dataclass(frozen=True, slots=True)
class Embedded:
    """The models that ship inside Tollhouse."""

    sim: bool = key(True, "tollhouse/sim, the simulated model for tests of one's own application")
    guide: bool = key(True, "tollhouse/guide, which answers questions about Tollhouse from its documentation")
    tiny: bool = key(True, "tollhouse/tiny, a very small real model; needs the [local] extra")


@dataclass(frozen=True, slots=True)
class ModelsApi:
    """What GET and DELETE /v1/models do."""

    allow_model_delete: bool = key(False, "whether DELETE /v1/models/{id} is passed to the model's host")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much keys may ask for; [tiers.NAME] says what a tier allows."""

    default_tier: str = key("", "tier of keys that name none; by default they have no limits")


@dataclass(frozen=True, slots=True)
class RateKeys:
    """What a tier allows each of its keys in any 60 seconds; what is left out is not limited."""

    requests_per_minute: int = key(0, "requests", unit="per minute", least=1, most=1_000_000_000)
    tokens_per_minute: int = key(
        0, "tokens, of prompt and answer together", unit="per minute", least=1, most=1_000_000_000_000
    )
    concurrent: int = key(0, "requests served at once", least=1, most=1_000_000)
    soft: tuple[str, ...] = key((), 'limits that are only flagged when exceeded: "requests", "tokens"')


@dataclass(frozen=True, slots=True)
class AllowanceKeys(RateKeys):
    """What a tier allows each of its keys in any 60 seconds, and how their texts are judged."""

    safety: str = key("", "policy of [safety] for its keys: the strictest of all that a request has counts")


@dataclass(frozen=True, slots=True)
class Billing:
    """Credits, and what happens where a price, a cap or the end of an answer is missing."""

    credits_per_usd: int = key(100, "credits to the US dollar, in everything that shows credits", least=1, most=10**6)
    balance_warning_credits: int = key(
        10, "_balance_warning is true on replies when fewer than this are left", unit="credits", least=0, most=10**12
    )
    unpriced: str = key("refuse", "a model without a price is refused (403), or free", choices=("refuse", "free"))
    default_max_output_tokens: int = key(
        16_384,
        "longest answer reserved and asked for when the client states none and a balance or budget binds",
        unit="tokens",
        least=16,
        most=1 << 20,
    )
    charge_interrupted: str = key(
        "delivered",
        "an answer that breaks off at the upstream is charged as far as it was delivered, or not at all",
        choices=("delivered", "none"),
    )
    stripe_webhook_secret: str = key(
        "", 'signing secret of POST /webhooks/stripe: "env:NAME", "file:/path", or written out; "" turns it off'
    )
    max_drains: int = key(64, "answers read on at once after their clients left (on_disconnect)", least=0, most=100_000)
    drain_s: float = key(60.0, "how long such an answer is read on", unit="s", least=0, most=3600)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything an operator can choose. ``providers`` and ``aliases`` keep the order of the file."""

    server: Server = field(default_factory=Server)
    cors: Cors = field(default_factory=Cors)
    timeouts: Timeouts = field(default_factory=Timeouts)
    upstream: Upstream = field(default_factory=Upstream)
    log: Log = field(default_factory=Log)
    discovery: DiscoveryKeys = field(default_factory=DiscoveryKeys)
    local: Local = field(default_factory=Local)
    embedded: Embedded = field(default_factory=Embedded)
    models_api: ModelsApi = field(default_factory=ModelsApi)
    billing: Billing = field(default_factory=Billing)
    """Its ``stripe_webhook_secret`` is always empty: what it leads to is the field of that name here."""
    stripe_webhook_secret: Secret | None = None
    limits: Limits = field(default_factory=Limits)
    routing: Routing = field(default_factory=Routing)
    replay: Replay = field(default_factory=Replay)
    safety: Safety = field(default_factory=Safety)
    tiers: Mapping[str, Tier] = field(default_factory=lambda: MappingProxyType({}))
    providers: Mapping[str, ProviderSettings] = field(default_factory=lambda: MappingProxyType({}))
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """[models]: a name, or a pattern with a trailing star, to the names it stands for, in the order of trying."""
    routes: Mapping[str, RoutePolicy] = field(default_factory=lambda: MappingProxyType({}))
    """The same aliases with all that is said of them; one that is missing here is tried as `aliases` has it."""
    path: Path | None = None


SECTIONS: Mapping[str, type] = MappingProxyType(
    {
        "server": Server,
        "cors": Cors,
        "timeouts": TimeoutKeys,
        "upstream": Upstream,
        "log": Log,
        "discovery": DiscoveryKeys,
        "local": Local,
        "embedded": Embedded,
        "models_api": ModelsApi,
        "billing": Billing,
        "limits": Limits,
        "routing": Routing,
        "replay": Replay,
        "safety": SafetyKeys,
    }
)
