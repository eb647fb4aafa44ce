"""What is found at start, in which order, and what is said of the rest."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from tollhouse import config
from tollhouse.catalog import store
from tollhouse.catalog.names import Names
from tollhouse.catalog.store import Catalogue
from tollhouse.config import Settings
from tollhouse.discovery import Discovery, discover
from tollhouse.loopback import Finding
from tollhouse.types.calls import Prices, Quirks
from tollhouse.types.secret import Secret
from tollhouse.types.wire import Timeouts


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The catalogue that ships."""
    return store.load()


class Machine:
    """Ports of a made-up machine; remembers which were asked."""

    def __init__(self, answers: Mapping[int, tuple[int, bytes]] | None = None) -> None:
        self._answers = answers or {}
        self.asked: list[int] = []

    async def get(self, port: int, path: str) -> tuple[int, bytes]:
        """The answer of a port, or what a closed port gives."""
        if path == "/api/version":
            return 200, b'{"version": "0.12.6"}'
        assert path == "/v1/models"
        self.asked.append(port)
        if port not in self._answers:
            raise ConnectionRefusedError
        return self._answers[port]


def listing(*models: str, owner: str) -> tuple[int, bytes]:
    """An engine's answer."""
    rows = [{"id": model, "owned_by": owner} for model in models]
    return 200, msgspec.json.encode({"object": "list", "data": rows})


def settings(folder: Path, text: str, environ: Mapping[str, str], catalogue: Catalogue) -> Settings:
    """The settings of a file with this text."""
    path = folder / "tollhouse.toml"
    path.write_text(text)
    path.chmod(0o600)
    return config.load(path, {"HOME": "/home/me", **environ}, catalogue.providers)


class Finder:
    """Runs a discovery on a made-up machine."""

    def __init__(self, folder: Path, catalogue: Catalogue) -> None:
        self.folder = folder
        self.catalogue = catalogue

    async def __call__(
        self, text: str = "", environ: Mapping[str, str] | None = None, machine: Machine | None = None
    ) -> Discovery:
        """What is found with this file, these variables and these ports."""
        environ = environ or {}
        read = settings(self.folder, text, environ, self.catalogue)
        return await discover(read, self.catalogue, environ, fetch=(machine or Machine()).get)


@pytest.fixture
def find(tmp_path: Path, catalogue: Catalogue) -> Finder:
    """A discovery on a made-up machine."""
    return Finder(tmp_path, catalogue)


def line(found: Discovery, name: str) -> Finding:
    """The one line of the report on this name."""
    (finding,) = [one for one in found.report if one.name == name]
    return finding


def hosts(found: Discovery) -> list[str]:
    """The hosts found, in order."""
    return [offer.host.name for offer in found.offers]


async def test_a_bare_machine_says_what_to_do(find: Finder) -> None:
    """With nothing to be found, each engine and the cloud keys are reported missing, with the way to get them."""
    found = await find()
    assert found.offers == ()
    assert {finding.name: finding.state for finding in found.report} == dict.fromkeys(
        ("cloud", "ollama", "llamacpp", "vllm", "lmstudio"), "missing"
    )
    assert all(finding.fix for finding in found.report)


async def test_a_key_in_the_environment_enables_its_host(find: Finder) -> None:
    """OPENAI_API_KEY alone is a host with the catalogue's models, and the key prints nowhere."""
    found = await find(environ={"OPENAI_API_KEY": "sk-canary"})
    (offer,) = found.offers
    assert offer.host.base_url == "https://api.openai.com/v1"
    assert offer.host.credential == Secret("sk-canary")
    assert (offer.host.auth, offer.host.label, offer.closed) == ("bearer", "OpenAI", False)
    assert "gpt-4o" in offer.models
    assert line(found, "openai").state == "found"
    assert "sk-canary" not in repr(found)


async def test_a_hosts_quirks_come_with_it(find: Finder) -> None:
    """A host from the environment is spoken to as the catalogue's row says."""
    (offer,) = (await find(environ={"MISTRAL_API_KEY": "k"})).offers
    assert offer.host.quirks.stream_usage is False


@pytest.mark.parametrize("key", ["", "   ", "a\nb", "clé"])
async def test_a_variable_that_holds_no_key_is_reported(find: Finder, key: str) -> None:
    """An empty or broken variable enables nothing, and the report does not repeat it."""
    found = await find(environ={"OPENAI_API_KEY": key})
    assert found.offers == ()
    assert line(found, "openai").state == "missing"
    assert "OPENAI_API_KEY" in line(found, "openai").reason


async def test_a_host_that_needs_two_variables_names_the_missing_one(find: Finder) -> None:
    """A key without the account that is part of the address is reported, and with it the host is there."""
    environ = {"SNOWFLAKE_CORTEX_PAT": "k"}
    finding = line(await find(environ=environ), "snowflake-cortex")
    assert (finding.state, finding.fix) == ("missing", "export SNOWFLAKE_ACCOUNT=...")
    (offer,) = (await find(environ={**environ, "SNOWFLAKE_ACCOUNT": "acme"})).offers
    assert offer.host.base_url == "https://acme.snowflakecomputing.com/api/v2/cortex/v1"


async def test_an_address_that_the_environment_spoils_is_reported(find: Finder) -> None:
    """A variable that makes no address of a URL enables nothing."""
    environ = {"SNOWFLAKE_CORTEX_PAT": "k", "SNOWFLAKE_ACCOUNT": "a b?"}
    assert line(await find(environ=environ), "snowflake-cortex").state == "missing"


async def test_a_scheme_in_a_hosts_variable_is_no_fault(find: Finder) -> None:
    """DATABRICKS_HOST is set with https:// as often as without."""
    text = '[providers.databricks]\napi_key = "k"\n'
    for value in ("https://acme.example/", "acme.example"):
        (offer,) = (await find(text, {"DATABRICKS_HOST": value})).offers
        assert offer.host.base_url == "https://acme.example/ai-gateway/mlflow/v1"


async def test_a_host_that_is_not_reached_is_a_reason(find: Finder) -> None:
    """A key of a host that cannot be reached yet is noticed, and the reason is given."""
    finding = line(await find(environ={"GITLAB_TOKEN": "k"}), "gitlab")
    assert finding.state == "skipped"
    assert "no chat completions API" in finding.reason


async def test_an_address_is_made_of_a_region(find: Finder) -> None:
    """Bedrock's key and a region are enough; without a region the report says which variable is missing."""
    key = {"AWS_BEARER_TOKEN_BEDROCK": "bedrock-api-key-made-up"}
    finding = line(await find(environ=key), "amazon-bedrock")
    assert (finding.state, finding.fix) == ("missing", "export AWS_REGION=...")
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        (offer,) = (await find(environ={**key, variable: "eu-west-1"})).offers
        assert offer.host.base_url == "https://bedrock-runtime.eu-west-1.amazonaws.com"
        assert offer.host.options == (("region", "eu-west-1"),)
        assert (offer.host.auth, offer.host.provider) == ("bearer", "bedrock")


async def test_access_keys_alone_enable_nothing(find: Finder) -> None:
    """AWS access keys are for a whole account: they count for a host that is declared, and only there."""
    keys = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "made-up", "AWS_REGION": "us-east-1"}
    assert (await find(environ=keys)).offers == ()
    (offer,) = (await find("[providers.amazon-bedrock]\n", keys)).offers
    assert (offer.host.auth, offer.host.credential) == ("sigv4", None)
    assert [name for name, _ in offer.host.secrets] == ["access_key_id", "secret_access_key"]


async def test_a_token_for_more_than_models_is_not_used_by_itself(find: Finder) -> None:
    """GITHUB_TOKEN enables nothing until the host is declared, and the report says how."""
    found = await find(environ={"GITHUB_TOKEN": "k"})
    assert found.offers == ()
    assert line(found, "github-models").fix == 'declare [providers.github-models] with api_key = "env:GITHUB_TOKEN"'
    declared = await find("[providers.github-models]\n", {"GITHUB_TOKEN": "k"})
    assert hosts(declared) == ["github-models"]


async def test_a_shared_variable_enables_one_host(find: Finder) -> None:
    """A key that four hosts would read goes to one of them."""
    found = await find(environ={"ZHIPU_API_KEY": "k"})
    assert hosts(found) == ["zai"]
    assert line(found, "zhipuai").state == "skipped"


async def test_declared_hosts_come_first_in_their_order(find: Finder) -> None:
    """Hosts are tried in the order of the file, then those of the environment, then local engines."""
    text = '[providers.mine]\nbase_url = "https://mine.example/v1"\n[providers.groq]\napi_key = "k"\n'
    machine = Machine({11434: listing("llama3:8b", owner="library")})
    found = await find(text, {"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}, machine)
    assert hosts(found) == ["mine", "groq", "anthropic", "openai", "ollama"]


async def test_a_declared_host_is_found_once(find: Finder) -> None:
    """A host that is declared is not found again by its variable, and one turned off not at all."""
    assert hosts(await find("[providers.openai]\n", {"OPENAI_API_KEY": "k"})) == ["openai"]
    off = await find("[providers.openai]\nenabled = false\n", {"OPENAI_API_KEY": "k"})
    assert off.offers == ()
    assert line(off, "openai").state == "skipped"


async def test_all_that_is_declared_reaches_the_host(find: Finder) -> None:
    """Address, key, headers, waits, proxy and quirks are those of the file."""
    text = """
    [providers.mine]
    base_url = "https://mine.example/v1"
    api_key = "k"
    auth = "x-api-key"
    proxy = "http://proxy:3128"
    headers = {X-Org = "acme"}
    timeouts = {idle_s = 7}
    quirks = {drop = ["seed"]}
    """
    (offer,) = (await find(text)).offers
    host = offer.host
    assert (host.base_url, host.credential, host.auth) == ("https://mine.example/v1", Secret("k"), "x-api-key")
    assert (host.headers, host.proxy) == ((("x-org", "acme"),), "http://proxy:3128")
    assert (host.timeouts, host.quirks) == (Timeouts(idle_s=7.0), Quirks(drop=("seed",)))
    assert offer.models == {}


async def test_the_common_proxy_is_not_for_this_machine(find: Finder) -> None:
    """upstream.proxy goes to hosts elsewhere, never to engines here."""
    text = '[upstream]\nproxy = "http://proxy:3128"\n[providers.here]\nbase_url = "http://127.0.0.1:9/v1"\n'
    machine = Machine({11434: listing("m", owner="library")})
    found = await find(text, {"OPENAI_API_KEY": "k"}, machine)
    assert [offer.host.proxy for offer in found.offers] == [None, "http://proxy:3128", None]


async def test_a_list_of_models_is_all_there_is(find: Finder) -> None:
    """Listed models keep the catalogue's facts, and nothing else is offered."""
    (offer,) = (await find('[providers.openai]\napi_key = "k"\nmodels = ["gpt-4o", "gpt-new"]\n')).offers
    assert list(offer.models) == ["gpt-4o", "gpt-new"]
    assert offer.models["gpt-4o"].prices.input == 2_500_000
    assert offer.models["gpt-new"].prices == Prices()
    assert offer.closed


async def test_a_table_of_models_goes_over_the_catalogue(find: Finder) -> None:
    """What the operator says of a model replaces that fact alone; the host's other models stay."""
    text = '[providers.openai]\napi_key = "k"\n[providers.openai.models.gpt-4o]\ninput_usd_per_1m = 1.5\n'
    (offer,) = (await find(text)).offers
    gpt = offer.models["gpt-4o"]
    assert (gpt.prices.input, gpt.prices.output, gpt.context_tokens) == (1_500_000, 10_000_000, 128_000)
    assert "gpt-4o-mini" in offer.models
    assert not offer.closed


async def test_what_the_operator_prices_is_the_operators(find: Finder) -> None:
    """A stated price says where it comes from, and puts the catalogue's tiers aside; other models keep theirs."""
    text = '[providers.openai]\napi_key = "k"\n[providers.openai.models."gpt-5.4"]\n'
    (offer,) = (await find(text + "input_usd_per_1m = 1.5\n")).offers
    stated, other = offer.models["gpt-5.4"], offer.models["gpt-5.5"]
    assert (stated.prices_from, stated.tiers) == ("config", ())
    assert other.prices_from == "catalogue"
    (offer,) = (await find(text + "context_tokens = 5\n")).offers
    assert offer.models["gpt-5.4"].prices_from == "catalogue"
    assert offer.models["gpt-5.4"].tiers
    (offer,) = (await find(text + "tiers = [{above_tokens = 9, input_usd_per_1m = 2}]\n")).offers
    assert [tier.above_tokens for tier in offer.models["gpt-5.4"].tiers] == [9]


async def test_what_is_said_of_a_hosts_billing_reaches_it(find: Finder) -> None:
    """Whether it is free, what happens when a client leaves, and the catalogue's own rows."""
    (offer,) = (await find('[providers.openai]\napi_key = "k"\nfree = true\non_disconnect = "drain"\n')).offers
    host = offer.host
    assert (host.free, host.on_disconnect) == (True, "drain")
    assert (host.cap_field, host.free_kinds) == ("max_completion_tokens", ("moderations",))
    (found,) = (await find(environ={"OPENAI_API_KEY": "k"})).offers
    assert (found.host.free, found.host.on_disconnect) == (None, "cancel")
    assert (found.host.cap_field, found.host.free_kinds) == ("max_completion_tokens", ("moderations",))


async def test_engines_of_this_machine_are_found(find: Finder, catalogue: Catalogue) -> None:
    """Each engine that answers is a host without a key, whose models can be called by name."""
    machine = Machine({11434: listing("llama3:8b", owner="library"), 8000: listing("qwen3-32b", owner="vllm")})
    found = await find(machine=machine)
    assert [(offer.host.name, offer.host.base_url, offer.host.auth) for offer in found.offers] == [
        ("ollama", "http://127.0.0.1:11434/v1", "none"),
        ("vllm", "http://127.0.0.1:8000/v1", "none"),
    ]
    assert all(offer.host.quirks.max_tokens_field == "max_tokens" for offer in found.offers)
    assert [offer.host.provider for offer in found.offers] == ["ollama", "openai"]
    names = Names(found.offers, {}, catalogue)
    assert [target.id for target in names.resolve("llama3:8b")] == ["ollama/llama3:8b"]
    assert [target.id for target in names.resolve("ollama/pulled-later")] == ["ollama/pulled-later"]


async def test_two_engines_of_one_kind_are_not_one(find: Finder) -> None:
    """A second vLLM is reported, for it needs a name of its own."""
    machine = Machine({8000: listing("a", owner="vllm"), 8080: listing("b", owner="vllm")})
    found = await find(machine=machine)
    assert hosts(found) == ["vllm"]
    assert [finding.state for finding in found.report if finding.name == "vllm"] == ["found", "skipped"]


async def test_a_declared_port_is_not_asked(find: Finder) -> None:
    """Engines that are declared, the ports of the gateway itself, and engines turned off are left alone."""
    text = """
    [server]
    port = 8000
    admin_port = 1234
    [providers.mine]
    base_url = "http://localhost:8080/v1"
    [providers.ollama]
    base_url = "http://10.0.0.7:11434/v1"
    """
    machine = Machine()
    await find(text, machine=machine)
    assert machine.asked == []


async def test_looking_can_be_turned_off(find: Finder) -> None:
    """With discovery off nothing is used but what is declared, and no port is asked."""
    machine = Machine({11434: listing("m", owner="library")})
    text = "[discovery]\nenvironment = false\nloopback = false\n"
    found = await find(text, {"OPENAI_API_KEY": "k"}, machine)
    assert found == Discovery((), ())
    assert machine.asked == []
