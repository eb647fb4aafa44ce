"""Settings: one file and the environment become values, or every fault at once."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse import config
from tollhouse.catalog import store
from tollhouse.config import ConfigInvalid, Problem, Settings
from tollhouse.settings.keys import SECTIONS, ModelKeys, ProviderKeys, QuirkKeys
from tollhouse.settings.reading import MAX_FILE_BYTES, keys
from tollhouse.types.calls import Quirks
from tollhouse.types.secret import Secret
from tollhouse.types.wire import Timeouts

HOME = {"HOME": "/home/me"}


@dataclass(frozen=True, slots=True)
class Known:
    """A host of a catalogue."""

    base_url: str | None
    key_vars: tuple[str, ...] = ("OPENAI_API_KEY",)
    auth: str = "bearer"
    reason: str | None = None


KNOWN = {
    "openai": Known("https://api.openai.com/v1"),
    "google": Known("https://google.example/v1", ("GEMINI_API_KEY", "GOOGLE_API_KEY")),
    "azure": Known("https://${AZURE_RESOURCE}.example/v1", ("AZURE_API_KEY",), "api-key"),
    "bedrock": Known(None, ("AWS_KEY",), reason="it speaks a dialect of its own"),
}


def read(folder: Path, text: str, environ: Mapping[str, str] | None = None, *, mode: int = 0o600) -> Settings:
    """The settings of a file with this text."""
    path = folder / "tollhouse.toml"
    path.write_text(text)
    path.chmod(mode)
    return config.load(path, {**HOME, **(environ or {})}, KNOWN)


def faults(
    folder: Path, text: str, environ: Mapping[str, str] | None = None, *, mode: int = 0o600
) -> dict[str, Problem]:
    """The problems of a file with this text, by path."""
    with pytest.raises(ConfigInvalid) as caught:
        read(folder, text, environ, mode=mode)
    return {problem.path: problem for problem in caught.value.problems}


class TestDefaults:
    """Settings without a file."""

    def test_nothing_needs_to_be_set(self) -> None:
        """Without a file and variables every setting has its default."""
        settings = config.load(None, HOME, KNOWN)
        assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8787)
        assert settings.server.data_dir == Path("/home/me/.tollhouse")
        assert settings.timeouts == Timeouts()
        assert settings.providers == settings.aliases == {}
        assert settings.path is None

    def test_the_process_environment_is_read_on_demand(self) -> None:
        """The environment that commands pass on is a copy of the process's own."""
        assert config.environment() == dict(os.environ)

    def test_settings_cannot_be_changed(self) -> None:
        """A setting that has been read is what it is until the next reload."""
        settings = config.load(None, HOME, KNOWN)
        with pytest.raises(AttributeError):
            settings.server.port = 1  # type: ignore[misc]
        with pytest.raises(TypeError):
            settings.aliases["a"] = ("b",)  # type: ignore[index]

    def test_a_home_that_is_not_set_is_a_problem_only_where_it_counts(self) -> None:
        """A container without HOME names its data folder."""
        with pytest.raises(ConfigInvalid, match=r"server\.data_dir: HOME is not set"):
            config.load(None, {}, KNOWN)
        assert config.load(None, {"TOLLHOUSE_SERVER_DATA_DIR": "/data"}, KNOWN).server.data_dir == Path("/data")

    @pytest.mark.parametrize("section", [*SECTIONS.values(), ProviderKeys, ModelKeys, QuirkKeys])
    def test_every_key_says_what_it_is(self, section: type) -> None:
        """Every setting has one documentation line, and every duration and size its unit."""
        for key in keys(section):
            assert key.doc
            assert "\n" not in key.doc
            if key.name.endswith("_s"):
                assert key.unit in {"s", "bytes/s"}, key.name
            if key.name.endswith("_bytes"):
                assert key.unit == "bytes", key.name
        assert is_dataclass(section)
        assert len(fields(section)) == len(keys(section))


class TestFile:
    """The file as a whole."""

    def test_a_file_is_read(self, tmp_path: Path) -> None:
        """What the file says goes over the defaults."""
        text = '[server]\nport = 9000\nheader_timeout_s = 3\n[cors]\norigins = ["https://a.example"]\n[log]\nlevel = "debug"\n'
        settings = read(tmp_path, text)
        assert (settings.server.port, settings.server.header_timeout_s) == (9000, 3.0)
        assert type(settings.server.header_timeout_s) is float
        assert settings.cors.origins == ("https://a.example",)
        assert settings.log.level == "debug"
        assert settings.path == tmp_path / "tollhouse.toml"

    def test_a_variable_can_name_the_file(self, tmp_path: Path) -> None:
        """TOLLHOUSE_CONFIG is the file where none is given."""
        path = tmp_path / "other.toml"
        path.write_text("[server]\nport = 1234\n")
        assert config.load(None, {**HOME, "TOLLHOUSE_CONFIG": str(path)}, KNOWN).server.port == 1234

    @pytest.mark.parametrize(
        ("data", "expected"),
        [
            (b"[server\nport = 1", "not TOML"),
            (b"\xff\xfe", "not UTF-8"),
            (b"a = " + b"9" * 5000, "a number is too long"),
            (b"a = " + b"[" * 100_000, "tables nest too deep"),
            (b"[server]\nport = 1\nport = 2\n", "not TOML"),
        ],
    )
    def test_a_broken_file_is_one_problem(self, tmp_path: Path, data: bytes, expected: str) -> None:
        """A file that is no TOML, half of one, or not text is refused with one line."""
        path = tmp_path / "broken.toml"
        path.write_bytes(data)
        with pytest.raises(ConfigInvalid) as caught:
            config.load(path, HOME, KNOWN)
        (problem,) = caught.value.problems
        assert problem.path == str(path)
        assert expected in problem.message

    def test_a_huge_file_is_refused_unread(self, tmp_path: Path) -> None:
        """A file over 1 MiB is no configuration, however large it is."""
        path = tmp_path / "huge.toml"
        with path.open("wb") as file:
            file.truncate(100 << 20)
        with pytest.raises(ConfigInvalid, match=f"over {MAX_FILE_BYTES} bytes"):
            config.load(path, HOME, KNOWN)

    def test_a_missing_file_a_folder_and_a_pipe_are_refused(self, tmp_path: Path) -> None:
        """What cannot be read as a file is a problem, and never a hang."""
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        for path in (tmp_path / "none.toml", tmp_path, pipe):
            with pytest.raises(ConfigInvalid) as caught:
                config.load(path, HOME, KNOWN)
            assert caught.value.problems[0].path == str(path)

    def test_all_faults_are_reported_at_once(self, tmp_path: Path) -> None:
        """One reading of a bad file names every fault in it, each with its path."""
        text = """
        [server]
        prot = 1
        port = "8787"
        max_headers = 1
        drain_s = true
        heartbeat = "sometimes"
        [logs]
        [timeouts]
        idle_s = -1
        total_s = nan
        [cors]
        origins = ["https://a.example", "example.com", "https://b.example/path"]
        [providers.openai]
        api_key = "env:NOT_SET"
        [providers.mine]
        [models]
        a = "b"
        b = "a"
        """
        assert faults(tmp_path, text).keys() == {
            "server.prot",
            "server.port",
            "server.max_headers",
            "server.drain_s",
            "server.heartbeat",
            "logs",
            "timeouts.idle_s",
            "timeouts.total_s",
            "cors.origins[1]",
            "cors.origins[2]",
            "providers.openai.api_key",
            "providers.mine.base_url",
            "models.a",
            "models.b",
        }

    def test_a_misspelt_key_is_told_the_right_one(self, tmp_path: Path) -> None:
        """An unknown key comes with the closest that exists."""
        found = faults(tmp_path, "[server]\nprot = 1\n[loging]\n[providers.openai]\napi-key = 'x'\n")
        assert found["server.prot"].fix == "did you mean 'port'?"
        assert found["loging"].fix == "did you mean 'log'?"
        assert found["providers.openai.api-key"].fix == "did you mean 'api_key'?"

    def test_a_problem_says_what_and_what_to_do(self, tmp_path: Path) -> None:
        """A problem reads as one line: path, fault, fix."""
        problem = faults(tmp_path, "[server]\nport = 70000\n")["server.port"]
        assert str(problem) == "server.port: must be at most 65535"
        assert str(Problem("a", "b", "c")) == "a: b -> c"

    def test_a_section_that_is_no_table(self, tmp_path: Path) -> None:
        """A value where a section belongs is a problem, and the rest is read on."""
        found = faults(tmp_path, "server = 1\nproviders = 2\nmodels = 3\nlog = 2020-01-01\n")
        assert found.keys() == {"server", "providers", "models", "log"}

    def test_two_listeners_cannot_share_a_port(self, tmp_path: Path) -> None:
        """The admin listener has a port of its own; 0 is no clash."""
        assert "server.admin_port" in faults(tmp_path, "[server]\nport = 8788\n")
        assert read(tmp_path, "[server]\nport = 0\nadmin_port = 0\n").server.port == 0


class TestEnvironment:
    """TOLLHOUSE_SECTION_KEY."""

    def test_variables_go_over_the_file(self, tmp_path: Path) -> None:
        """A variable wins against the file, in the type of its key."""
        environ = {
            "TOLLHOUSE_SERVER_PORT": "1111",
            "TOLLHOUSE_SERVER_HEADER_TIMEOUT_S": "2.5",
            "TOLLHOUSE_LOG_ACCESS": "false",
            "TOLLHOUSE_MODELS_API_ALLOW_MODEL_DELETE": "1",
            "TOLLHOUSE_CORS_ORIGINS": "https://a.example, https://b.example",
        }
        settings = read(tmp_path, "[server]\nport = 2222\nmax_headers = 64\n", environ)
        assert (settings.server.port, settings.server.header_timeout_s, settings.server.max_headers) == (1111, 2.5, 64)
        assert settings.log.access is False
        assert settings.models_api.allow_model_delete is True
        assert settings.cors.origins == ("https://a.example", "https://b.example")

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("SERVER_PORT", "many"),
            ("SERVER_PORT", "8_0"),
            ("SERVER_PORT", "9" * 40),
            ("SERVER_DRAIN_S", "inf"),
            ("SERVER_DRAIN_S", "1e999999999"),
            ("SERVER_DRAIN_S", ""),
            ("LOG_ACCESS", "maybe"),
            ("LOG_LEVEL", "loud"),
        ],
    )
    def test_a_variable_that_does_not_fit_is_a_problem(self, name: str, text: str) -> None:
        """A variable's text is judged as the file's value would be."""
        with pytest.raises(ConfigInvalid) as caught:
            config.load(None, {**HOME, f"TOLLHOUSE_{name}": text}, KNOWN)
        assert len(caught.value.problems) == 1

    def test_an_unknown_variable_is_a_problem(self) -> None:
        """A misspelt variable is not passed over in silence; others' variables are no concern."""
        with pytest.raises(ConfigInvalid, match="TOLLHOUSE_SERVER_PROT: no such setting -> did you mean"):
            config.load(None, {**HOME, "TOLLHOUSE_SERVER_PROT": "1", "OTHER_SERVER_PORT": "x"}, KNOWN)

    @given(
        st.dictionaries(
            st.sampled_from(["SERVER_PORT", "LOG_LEVEL", "SERVER_DRAIN_S", "CORS_ORIGINS"]), st.text(max_size=20)
        )
    )
    def test_no_text_in_a_variable_breaks_the_reading(self, variables: dict[str, str]) -> None:
        """Any text in a variable is a value or a problem, never a crash."""
        try:
            config.load(None, {**HOME, **{f"TOLLHOUSE_{k}": v for k, v in variables.items()}}, KNOWN)
        except ConfigInvalid as invalid:
            assert len(invalid.problems) >= 1


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
        """A price below zero or finer than a pico-dollar a token, a limit of nothing, and an unknown fact are refused."""
        assert len(faults(tmp_path, f'[providers.openai]\napi_key = "k"\n[providers.openai.models.m]\n{row}\n')) == 1

    @pytest.mark.parametrize("value", ['["a b"]', '[""]', "[1]", '["a#b"]', "7", '"gpt-4o"'])
    def test_a_bad_list_is_a_problem(self, tmp_path: Path, value: str) -> None:
        """Models are a list of names or a table."""
        assert len(faults(tmp_path, f'[providers.openai]\napi_key = "k"\nmodels = {value}\n')) == 1

    @given(st.decimals(min_value=0, max_value=10_000, places=6))
    def test_a_price_is_exact(self, price: Decimal) -> None:
        """No price with six decimals loses anything on its way to pico-USD per token."""
        stated = tomllib.loads(f"p = {price:f}", parse_float=Decimal)["p"]
        assert Decimal(int(stated * 1_000_000)) / 1_000_000 == price


class TestAliases:
    """[models]."""

    def test_names_of_ones_own(self, tmp_path: Path) -> None:
        """An alias is a string, or a table with targets in the order of trying."""
        text = """
        [models]
        fast-chat = "openai/gpt-4o-mini"
        "gpt-*" = "openai/*"
        "*" = "fast-chat"
        [models.smart]
        targets = ["openai/gpt-5", "gpt-5#openai"]
        """
        assert dict(read(tmp_path, text).aliases) == {
            "fast-chat": ("openai/gpt-4o-mini",),
            "gpt-*": ("openai/*",),
            "*": ("fast-chat",),
            "smart": ("openai/gpt-5", "gpt-5#openai"),
        }

    @pytest.mark.parametrize(
        ("text", "path"),
        [
            ("a = 1", "models.a"),
            ("a = {}", "models.a.targets"),
            ("a = {targets = []}", "models.a.targets"),
            ("a = {targets = [1]}", "models.a.targets"),
            ('a = {target = "x", targets = ["x"]}', "models.a.target"),
            ('a = ""', "models.a.targets[0]"),
            ('a = "x y"', "models.a.targets[0]"),
            ('a = "x#nowhere"', "models.a.targets[0]"),
            ('a = "openai/*"', "models.a.targets[0]"),
            ('"a*" = "open*"', "models.a*.targets[0]"),
            ('"*a" = "x"', "models.*a"),
            ('"a#b" = "x"', "models.a#b"),
            ('a = "a"', "models.a"),
        ],
    )
    def test_a_bad_alias_is_a_problem(self, tmp_path: Path, text: str, path: str) -> None:
        """An alias that cannot mean anything is found when the file is read."""
        assert faults(tmp_path, f"[models]\n{text}\n").keys() == {path}

    def test_a_loop_is_shown_whole(self, tmp_path: Path) -> None:
        """Aliases that lead back to themselves are a problem, each with its way round."""
        found = faults(tmp_path, '[models]\na = "b"\nb = "c"\nc = "a"\nd = "a"\n')
        assert found.keys() == {"models.a", "models.b", "models.c"}
        assert "a -> b -> c -> a" in found["models.a"].message

    def test_a_host_pinned_by_a_slip_is_told_the_right_one(self, tmp_path: Path) -> None:
        """A pin to a host that does not exist comes with the closest that does."""
        problem = faults(tmp_path, '[models]\na = "gpt-4o#opnai"\n')["models.a.targets[0]"]
        assert problem.fix == "did you mean 'openai'?"


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


class TestTexts:
    """The texts made from the keys."""

    def test_the_file_that_init_writes_is_valid_and_changes_nothing(self, tmp_path: Path) -> None:
        """A fresh configuration file holds every key, and means the defaults."""
        text = config.render_toml()
        settings = read(tmp_path, text)
        default = config.load(None, HOME, KNOWN)
        assert settings.server == default.server
        assert settings.timeouts == default.timeouts
        for section in [*SECTIONS.values(), ProviderKeys]:
            for key in keys(section):
                assert f"# {key.name} = " in text, key.name

    def test_every_key_can_be_uncommented(self, tmp_path: Path) -> None:
        """Each line of the fresh file means its default once the mark before it is taken out."""
        lines = config.render_toml().partition("# --- upstream hosts")[0].splitlines()
        bare = "\n".join(line.removeprefix("# ") if " = " in line and line.startswith("# ") else line for line in lines)
        assert read(tmp_path, bare).upstream == config.load(None, HOME, KNOWN).upstream

    def test_the_documentation_is_in_step(self) -> None:
        """The shipped page holds exactly the tables made from the keys."""
        page = files("tollhouse").joinpath("docs", "configuration.md").read_text("utf-8")
        _, _, rest = page.partition("<!-- made from the code: begin -->\n")
        tables, mark, _ = rest.partition("<!-- made from the code: end -->")
        assert mark
        assert tables.strip() == config.render_markdown().strip(), "run: python -m tests.test_config"

    def test_the_shipped_catalogue_fits_the_settings(self) -> None:
        """Every reachable host of the real catalogue can be declared with its name and a key."""
        catalogue = store.load()
        for row in catalogue.providers.values():
            environ = dict.fromkeys(("HOME", *row.key_vars, *_variables(row.base_url or "")), "value")
            if row.base_url is not None:
                text = {"providers": {row.name: {}}}
                assert _load_document(text, environ, catalogue).providers[row.name].credential, row.name


def _variables(url: str) -> list[str]:
    return [part.partition("}")[0] for part in url.split("${")[1:]]


def _load_document(
    document: dict[str, dict[str, dict[str, str]]], environ: Mapping[str, str], catalogue: store.Catalogue
) -> Settings:
    sources = config.Sources(environ, catalogue.providers, Path(), config.Problems())
    settings = config.read_document(document, sources)
    assert not sources.problems.found, sources.problems.found
    return settings
