"""The hosts an operator declares: addresses, keys, models, and who may read them."""

import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.settings.reader import faults, read
from tollhouse.types.calls import Quirks
from tollhouse.types.secret import Secret
from tollhouse.types.wire import Timeouts


class TestProviders:
    """[providers.NAME]."""

    def test_a_known_host_needs_only_a_key(self, tmp_path: Path) -> None:
        """The catalogue fills in the address; the key is looked up and does not print."""
        settings = read(tmp_path, '[providers.openai]\napi_key = "env:MY_KEY"\n', {"MY_KEY": " sk-canary-1 \n"})
        provider = settings.providers["openai"]
        assert (provider.base_url, provider.auth) == ("https://api.openai.com/v1", "bearer")
        assert provider.credential == Secret("sk-canary-1")
        assert "sk-canary-1" not in repr(settings)

    def test_a_known_hosts_own_variable_is_the_default(self, tmp_path: Path) -> None:
        """Without api_key the first variable of the catalogue that is set counts."""
        settings = read(tmp_path, "[providers.google]\n", {"GOOGLE_API_KEY": "k2", "GEMINI_API_KEY": ""})
        assert settings.providers["google"].credential == Secret("k2")
        problem = faults(tmp_path, "[providers.google]\n")["providers.google.api_key"]
        assert "GEMINI_API_KEY or GOOGLE_API_KEY" in problem.fix

    def test_a_key_from_a_file(self, tmp_path: Path) -> None:
        """file: reads the key from a file, beside the configuration or by its full path."""
        (tmp_path / "key").write_text("sk-from-file\n")
        for reference in ("file:key", f"file:{tmp_path / 'key'}"):
            settings = read(tmp_path, f'[providers.openai]\napi_key = "{reference}"\n')
            assert settings.providers["openai"].credential == Secret("sk-from-file")

    @pytest.mark.parametrize(
        ("reference", "content"),
        [
            ("env:NONE", b""),
            ("env:", b""),
            ("file:none", b""),
            ("file:key", b"\xff"),
            ("file:key", b"a\nb"),
            ("file:key", b" \n"),
        ],
    )
    def test_a_key_that_cannot_be_had_is_a_problem(self, tmp_path: Path, reference: str, content: bytes) -> None:
        """A secret that is missing, empty or no header's text is found at once, not at the first request."""
        (tmp_path / "key").write_bytes(content)
        found = faults(tmp_path, f'[providers.openai]\napi_key = "{reference}"\n')
        assert found.keys() == {"providers.openai.api_key"}

    def test_an_unknown_host_needs_an_address(self, tmp_path: Path) -> None:
        """A host that the catalogue does not have needs a base_url; a slip of its name is noticed."""
        settings = read(tmp_path, '[providers.my-vllm]\nbase_url = "http://10.0.0.7:8000/v1/"\n')
        provider = settings.providers["my-vllm"]
        assert (provider.base_url, provider.credential, provider.auth) == ("http://10.0.0.7:8000/v1", None, "none")
        assert "did you mean 'openai'?" in faults(tmp_path, "[providers.opnai]\n")["providers.opnai.base_url"].fix

    def test_a_host_of_another_dialect_says_so(self, tmp_path: Path) -> None:
        """A host of the catalogue that cannot be reached gives its reason, and can be given an address."""
        assert "a dialect of its own" in faults(tmp_path, "[providers.bedrock]\n")["providers.bedrock"].message
        text = '[providers.bedrock]\nbase_url = "https://proxy.example/v1"\n'
        assert read(tmp_path, text, {"AWS_KEY": "k"}).providers["bedrock"].base_url == "https://proxy.example/v1"

    def test_variables_in_an_address(self, tmp_path: Path) -> None:
        """The parts of an address that are an account's own come from the environment."""
        environ = {"AZURE_RESOURCE": "acme", "AZURE_API_KEY": "k"}
        provider = read(tmp_path, "[providers.azure]\n", environ).providers["azure"]
        assert (provider.base_url, provider.auth) == ("https://acme.example/v1", "api-key")
        assert (
            "AZURE_RESOURCE"
            in faults(tmp_path, "[providers.azure]\n", {"AZURE_API_KEY": "k"})["providers.azure.base_url"].message
        )

    @pytest.mark.parametrize(
        "url",
        [
            "ftp://a.example", "a.example/v1", "https://", "https://a b/", "https://u:p@a.example/v1", "https://a.example/v1?x=1",
            "https://a.example/#x", "https://a.example:99999/", "https://a.example:0/", "https://[::1/", "https://exa_mple..com/",
            "https://a.example/\\u0001", "https://" + "a" * 3000,
        ],
    )  # fmt: skip
    def test_a_bad_address_is_a_problem(self, tmp_path: Path, url: str) -> None:
        """An address is an http or https URL without credentials, query or fragment."""
        found = faults(tmp_path, f'[providers.mine]\nbase_url = "{url}"\n')
        assert found.keys() == {"providers.mine.base_url"}

    @pytest.mark.parametrize(
        "url", ["http://localhost:8000/v1", "http://127.0.0.1:1/v1", "http://[::1]:8000/v1", "https://a.example"]
    )
    def test_a_key_may_go_to_this_machine_or_over_tls(self, tmp_path: Path, url: str) -> None:
        """A key is sent in clear only where nobody else can listen."""
        assert read(tmp_path, f'[providers.mine]\nbase_url = "{url}"\napi_key = "k"\n').providers["mine"].credential

    @pytest.mark.parametrize(
        "url",
        ["http://10.0.0.7/v1", "http://a.example/v1", "http://127.0.0.1.example.com/", "http://localhost.example/"],
    )
    def test_a_key_never_goes_in_clear_to_another_machine(self, tmp_path: Path, url: str) -> None:
        """A key over plain http needs insecure = true; without a key plain http is fine."""
        text = f'[providers.mine]\nbase_url = "{url}"\n'
        assert faults(tmp_path, text + 'api_key = "k"\n').keys() == {"providers.mine.base_url"}
        assert read(tmp_path, text + 'api_key = "k"\ninsecure = true\n').providers["mine"].credential
        assert read(tmp_path, text).providers["mine"].credential is None

    def test_a_host_turned_off_needs_nothing(self, tmp_path: Path) -> None:
        """Enabled = false keeps a host out, whatever else is said of it."""
        provider = read(tmp_path, '[providers.openai]\nenabled = false\napi_key = "env:NONE"\n').providers["openai"]
        assert not provider.enabled

    @pytest.mark.parametrize("name", ["tollhouse", '"a/b"', '"a#b"', '"A"', '""', '"a b"'])
    def test_a_name_that_would_be_misread_is_refused(self, tmp_path: Path, name: str) -> None:
        """A host's name has no slash and no #, which mean something in a model's name."""
        assert len(faults(tmp_path, f'[providers.{name}]\nbase_url = "https://a.example"\n')) == 1

    def test_headers_are_secrets(self, tmp_path: Path) -> None:
        """Headers may come from the environment, never print, and cannot be those that frame a request."""
        text = '[providers.openai.headers]\nX-Org = "acme"\nX-Token = "env:T"\n'
        provider = read(tmp_path, text, {"OPENAI_API_KEY": "k", "T": "canary"}).providers["openai"]
        assert dict(provider.headers) == {"x-org": Secret("acme"), "x-token": Secret("canary")}
        assert "canary" not in repr(provider)
        bad = '[providers.openai.headers]\nHost = "x"\n"Bad Name" = "x"\nOk = 1\nBreak = "a\\nb"\n'
        assert faults(tmp_path, bad, {"OPENAI_API_KEY": "k"}).keys() == {
            f"providers.openai.headers.{name}" for name in ("Host", "Bad Name", "Ok", "Break")
        }

    def test_a_value_where_a_table_belongs(self, tmp_path: Path) -> None:
        """A host, its headers, waits and quirks are tables."""
        assert faults(tmp_path, "[providers]\nopenai = 1\n").keys() == {"providers.openai"}
        text = '[providers.openai]\napi_key = "k"\nheaders = 1\ntimeouts = 2\nquirks = 3\n'
        assert faults(tmp_path, text).keys() == {
            f"providers.openai.{part}" for part in ("headers", "timeouts", "quirks")
        }

    def test_a_host_can_be_called_without_its_key(self, tmp_path: Path) -> None:
        """Auth = "none" sends no key, though one is in the environment."""
        provider = read(tmp_path, '[providers.openai]\nauth = "none"\n', {"OPENAI_API_KEY": "k"}).providers["openai"]
        assert (provider.credential, provider.auth) == (None, "none")

    def test_waits_of_one_host(self, tmp_path: Path) -> None:
        """A host's timeouts go over the common ones, key by key."""
        text = "[timeouts]\nconnect_s = 1\n[providers.openai.timeouts]\nidle_s = 9\n"
        provider = read(tmp_path, text, {"OPENAI_API_KEY": "k"}).providers["openai"]
        assert provider.timeouts == Timeouts(connect_s=1.0, idle_s=9.0)
        bad = "[providers.openai.timeouts]\nidle = 9\n"
        assert faults(tmp_path, bad, {"OPENAI_API_KEY": "k"}).keys() == {"providers.openai.timeouts.idle"}

    def test_quirks_of_one_host(self, tmp_path: Path) -> None:
        """The operator can state a host's departures from OpenAI's API, and else the catalogue's hold."""
        text = '[providers.openai.quirks]\nstream_usage = false\nmax_tokens_field = "max_tokens"\ndrop = ["seed"]\n'
        environ = {"OPENAI_API_KEY": "k"}
        assert read(tmp_path, text, environ).providers["openai"].quirks == Quirks(False, "max_tokens", ("seed",))
        assert read(tmp_path, "[providers.openai]\n", environ).providers["openai"].quirks is None
        assert "providers.openai.quirks.drop" in faults(tmp_path, "[providers.openai.quirks]\ndrop = [1]\n", environ)

    @pytest.mark.parametrize("url", ["socks5://a:1", "http://a/path", "nonsense", "https://a:1"])
    def test_a_bad_proxy_is_a_problem(self, tmp_path: Path, url: str) -> None:
        """A proxy is http://host:port."""
        found = faults(tmp_path, f'[upstream]\nproxy = "{url}"\n[providers.openai]\napi_key = "k"\nproxy = "{url}"\n')
        assert found.keys() == {"upstream.proxy", "providers.openai.proxy"}

    def test_the_common_proxy_has_no_password(self, tmp_path: Path) -> None:
        """A password belongs where it is kept as a secret, which the common proxy's address is not."""
        found = faults(tmp_path, '[upstream]\nproxy = "http://u:canary@p:8080"\n')
        assert found.keys() == {"upstream.proxy"}
        assert "canary" not in str(found)

    def test_a_proxy_with_a_password_does_not_print(self, tmp_path: Path) -> None:
        """A proxy's address may hold a password, and is kept as a secret."""
        provider = read(tmp_path, '[providers.openai]\napi_key = "k"\nproxy = "http://u:canary@p:8080"\n').providers[
            "openai"
        ]
        assert provider.proxy == Secret("http://u:canary@p:8080")
        assert "canary" not in repr(provider)


class TestModelsOfAHost:
    """[providers.NAME] models."""

    def test_a_list_closes_the_host(self, tmp_path: Path) -> None:
        """A list names all that may be called."""
        provider = read(tmp_path, '[providers.openai]\napi_key = "k"\nmodels = ["gpt-4o", "org/m"]\n').providers[
            "openai"
        ]
        assert list(provider.models) == ["gpt-4o", "org/m"]
        assert provider.closed

    def test_a_table_adds_prices_and_limits(self, tmp_path: Path) -> None:
        """Prices are dollars for a million tokens, exact to six decimals, and kept as integers."""
        text = """
        [providers.openai]
        api_key = "k"
        [providers.openai.models."my/model"]
        context_tokens = 8192
        tools = true
        input_usd_per_1m = 0.0375
        output_usd_per_1m = 3
        """
        provider = read(tmp_path, text).providers["openai"]
        patch = provider.models["my/model"]
        assert not provider.closed
        assert dict(patch.facts) == {"context_tokens": 8192, "tools": True}
        assert dict(patch.prices) == {"input": 37_500, "output": 3_000_000}

    @pytest.mark.parametrize(
        "row",
        [
            "input_usd_per_1m = -1",
            "input_usd_per_1m = 0.0000001",
            "context_tokens = 0",
            'tools = "yes"',
            "contxt_tokens = 5",
        ],
    )
    def test_a_bad_fact_is_a_problem(self, tmp_path: Path, row: str) -> None:
        """A price below zero or finer than a pico-dollar a token, an empty limit and an unknown fact are refused."""
        assert len(faults(tmp_path, f'[providers.openai]\napi_key = "k"\n[providers.openai.models.m]\n{row}\n')) == 1

    @pytest.mark.parametrize("value", ['["a b"]', '[""]', "[1]", '["a#b"]', "7", '"gpt-4o"'])
    def test_a_bad_list_is_a_problem(self, tmp_path: Path, value: str) -> None:
        """Models are a list of names or a table."""
        assert len(faults(tmp_path, f'[providers.openai]\napi_key = "k"\nmodels = {value}\n')) == 1

    def test_a_table_with_a_name_that_cannot_be_asked_for(self, tmp_path: Path) -> None:
        """A model's name in a table is judged as in a list."""
        text = '[providers.openai]\napi_key = "k"\n[providers.openai.models."a b"]\ntools = true\n'
        assert faults(tmp_path, text).keys() == {"providers.openai.models.a b"}

    @given(st.decimals(min_value=0, max_value=10_000, places=6))
    def test_a_price_is_exact(self, price: Decimal) -> None:
        """No price with six decimals loses anything on its way to pico-USD per token."""
        stated = tomllib.loads(f"p = {price:f}", parse_float=Decimal)["p"]
        assert Decimal(int(stated * 1_000_000)) / 1_000_000 == price


class TestSecrets:
    """What a file may hold, and who may read it."""

    @pytest.mark.parametrize(
        "text",
        [
            '[providers.openai]\napi_key = "sk-canary"\n',
            '[providers.openai]\napi_key = "env:K"\n[providers.openai.headers]\nAuthorization = "sk-canary"\n',
            '[providers.openai]\napi_key = "env:K"\nproxy = "http://u:sk-canary@p:1"\n',
        ],
    )
    def test_a_secret_in_a_file_that_all_can_read_is_refused(self, tmp_path: Path, text: str) -> None:
        """A literal secret needs a file that others cannot read, and the problem does not repeat it."""
        problem = next(iter(faults(tmp_path, text, {"K": "k"}, mode=0o644).values()))
        assert "chmod 600" in problem.fix
        assert "sk-canary" not in str(problem)
        assert read(tmp_path, text, {"K": "k"}, mode=0o640).providers

    def test_a_file_without_secrets_may_be_read_by_all(self, tmp_path: Path) -> None:
        """References to secrets are no secrets, and neither are plain headers."""
        text = '[providers.openai]\napi_key = "env:K"\n[providers.openai.headers]\nX-Title = "us"\n'
        assert read(tmp_path, text, {"K": "k"}, mode=0o644).providers

    def test_no_problem_repeats_a_secret(self, tmp_path: Path) -> None:
        """However a secret is misplaced, no problem's text holds it."""
        text = """
        [providers.openai]
        api_key = ["canary"]
        proxy = "canary://canary"
        auth = "canary"
        base_url = "http://canary:canary@canary"
        canary_key = "canary-value"
        [providers.openai.headers]
        X-Key = "canary\\u0000"
        [providers.openai.timeouts]
        idle_s = "canary-value"
        """
        for problem in faults(tmp_path, text).values():
            assert "canary" not in str(problem).replace("canary_key", "").replace("X-Key", "")
