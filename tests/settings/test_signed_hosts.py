"""``[providers]`` whose address is made of settings, or whose requests are signed."""

from pathlib import Path

import pytest

from tests.settings.reader import HOME
from tollhouse import config
from tollhouse.catalog.store import load
from tollhouse.config import ConfigInvalid, ProviderSettings
from tollhouse.types.secret import Secret

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "made-up"}
BEDROCK = "[providers.amazon-bedrock]\n"
STATED = 'access_key_id = "env:AWS_ACCESS_KEY_ID"\nsecret_access_key = "env:AWS_SECRET_ACCESS_KEY"\n'


def read(folder: Path, text: str, **environ: str) -> ProviderSettings:
    """The one provider of a file with this text, read with the shipped catalogue."""
    path = folder / "tollhouse.toml"
    path.write_text(text)
    path.chmod(0o600)
    (provider,) = config.load(path, {**HOME, **environ}, load().providers).providers.values()
    return provider


def problems(folder: Path, text: str, **environ: str) -> dict[str, str]:
    """What is wrong with such a file, by path."""
    with pytest.raises(ConfigInvalid) as caught:
        read(folder, text, **environ)
    return {problem.path: problem.message for problem in caught.value.problems}


def test_a_region_and_access_keys_make_a_signed_host(tmp_path: Path) -> None:
    """The address is made of the region, and the keys mean that requests are signed."""
    found = read(tmp_path, BEDROCK + 'region = "us-east-1"\n' + STATED, **KEYS)
    assert found.base_url == "https://bedrock-runtime.us-east-1.amazonaws.com"
    assert (found.auth, found.credential, found.options) == ("sigv4", None, (("region", "us-east-1"),))
    assert dict(found.secrets) == {
        "access_key_id": Secret("AKIDEXAMPLE"),
        "secret_access_key": Secret("made-up"),
    }


def test_the_environment_fills_in_what_is_not_stated(tmp_path: Path) -> None:
    """Region, keys and token come from AWS's own variables; the stated region counts before them."""
    more = {**KEYS, "AWS_SESSION_TOKEN": "token", "AWS_DEFAULT_REGION": "eu-west-1"}
    found = read(tmp_path, BEDROCK, **more)
    assert found.base_url == "https://bedrock-runtime.eu-west-1.amazonaws.com"
    assert [name for name, _ in found.secrets] == ["access_key_id", "secret_access_key", "session_token"]
    found = read(tmp_path, BEDROCK + 'region = "us-west-2"\n', **more)
    assert found.base_url == "https://bedrock-runtime.us-west-2.amazonaws.com"


def test_a_key_makes_signing_needless(tmp_path: Path) -> None:
    """A Bedrock API key, stated or in its variable, goes as a bearer token, whatever else is in the environment."""
    for text, more in (
        (BEDROCK + 'api_key = "env:KEY"\n', {"KEY": "bedrock-api-key"}),
        (BEDROCK, {"AWS_BEARER_TOKEN_BEDROCK": "bedrock-api-key"}),
    ):
        found = read(tmp_path, text, **KEYS, AWS_REGION="us-east-1", **more)
        assert (found.auth, found.credential, found.secrets) == ("bearer", Secret("bedrock-api-key"), ())


def test_a_stated_address_says_itself_where_it_leads(tmp_path: Path) -> None:
    """The environment's region does not sign for a host in another."""
    text = BEDROCK + 'base_url = "https://bedrock-runtime.eu-west-1.amazonaws.com"\n' + STATED
    assert read(tmp_path, text, **KEYS, AWS_REGION="us-east-1").options == ()


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """Without a region there is no address, without a secret no signature, and without either key no host."""
    assert "address" in problems(tmp_path, BEDROCK + STATED, **KEYS)["providers.amazon-bedrock.region"]
    half = BEDROCK + 'region = "us-east-1"\naccess_key_id = "env:AWS_ACCESS_KEY_ID"\n'
    assert problems(tmp_path, half, **KEYS) == {"providers.amazon-bedrock.secret_access_key": "missing"}
    none = BEDROCK + 'region = "us-east-1"\n'
    lone = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE"}
    assert problems(tmp_path, none, **lone) == {"providers.amazon-bedrock.api_key": "missing"}


@pytest.mark.parametrize("region", ["us east", "a/b", "x@evil.example", "..", "a.b:99999"])
def test_a_region_that_is_none_makes_no_address(tmp_path: Path, region: str) -> None:
    """What would lead elsewhere, or nowhere, is a problem."""
    text = BEDROCK + f'region = "{region}"\n' + STATED
    found = problems(tmp_path, text, **KEYS)
    assert found.keys() & {"providers.amazon-bedrock.base_url", "providers.amazon-bedrock.region"}


def test_a_guardrail_is_an_option(tmp_path: Path) -> None:
    """Bedrock's guardrail is named with its version."""
    found = read(tmp_path, BEDROCK + 'region = "us-east-1"\nguardrail = "xbgw7g293v7o:DRAFT"\n' + STATED, **KEYS)
    assert dict(found.options)["guardrail"] == "xbgw7g293v7o:DRAFT"


def test_azure_takes_a_version(tmp_path: Path) -> None:
    """The version is an option, the resource comes from the environment."""
    text = '[providers.azure]\napi_key = "env:KEY"\napi_version = "2024-10-21"\nmodels = ["my-nano"]\n'
    found = read(tmp_path, text, KEY="k" * 10, AZURE_RESOURCE_NAME="res")
    assert found.base_url == "https://res.openai.azure.com/openai/v1"
    assert (found.auth, found.options) == ("api-key", (("api_version", "2024-10-21"),))
