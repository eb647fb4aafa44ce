"""Settings: one file and the environment become values, or every fault at once."""

import os
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.settings.reader import HOME, KNOWN, faults, read
from tollhouse import config
from tollhouse.config import ConfigInvalid, Problem
from tollhouse.settings.keys import SECTIONS
from tollhouse.settings.provider_keys import ModelKeys, ProviderKeys, QuirkKeys
from tollhouse.settings.reading import MAX_FILE_BYTES, keys
from tollhouse.types.wire import Timeouts


class TestDefaults:
    """Settings without a file."""

    def test_nothing_needs_to_be_set(self) -> None:
        """Without a file and variables every setting has its default."""
        settings = config.load(None, HOME, KNOWN)
        assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8787)
        assert settings.server.data_dir == Path("/home/me/.tollhouse")
        assert settings.timeouts == Timeouts()
        assert not settings.providers
        assert not settings.aliases
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
        text = '[server]\nport = 9000\nheader_timeout_s = 3\n[cors]\norigins = ["https://a.example"]\n'
        text += '[log]\nlevel = "debug"\n'
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

    @pytest.mark.parametrize("host", ["", "a b"])
    def test_an_address_to_listen_on(self, tmp_path: Path, host: str) -> None:
        """An address that cannot be one is a problem before anything listens."""
        assert faults(tmp_path, f'[server]\nhost = "{host}"\n').keys() == {"server.host"}

    def test_a_variable_for_a_section_that_is_no_table(self, tmp_path: Path) -> None:
        """A variable does not hide that the file has a value where its section belongs."""
        assert faults(tmp_path, "server = 1\n", {"TOLLHOUSE_SERVER_PORT": "1"}).keys() == {"server"}

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

    @pytest.mark.parametrize("name", ["SERVER_PROT", "MODELS_API_ALLOW", "LOG_", "SERVER_PORT_8787_TCP"])
    def test_an_unknown_key_of_a_section_is_a_problem(self, name: str) -> None:
        """A variable that names a section but no key of it is not passed over in silence."""
        with pytest.raises(ConfigInvalid, match=f"^TOLLHOUSE_{name}: no such setting -> (did you mean TOLL|unset it)"):
            config.load(None, {**HOME, f"TOLLHOUSE_{name}": "1", "OTHER_SERVER_PORT": "x"}, KNOWN)

    def test_variables_that_are_no_settings_are_left_alone(self) -> None:
        """A client's key and URL, and what Kubernetes sets for a Service named tollhouse, stop no command."""
        foreign = {
            "TOLLHOUSE_KEY": "th-1",
            "TOLLHOUSE_URL": "http://127.0.0.1:8787",
            "TOLLHOUSE_SERVICE_HOST": "10.0.0.1",
            "TOLLHOUSE_SERVICE_PORT": "8787",
            "TOLLHOUSE_SERVICE_PORT_HTTP": "8787",
            "TOLLHOUSE_PORT": "tcp://10.0.0.1:8787",
            "TOLLHOUSE_PORT_8787_TCP": "tcp://10.0.0.1:8787",
            "TOLLHOUSE_PORT_8787_TCP_ADDR": "10.0.0.1",
            "TOLLHOUSE_SERVER_PORT": "9000",
        }
        assert config.load(None, {**HOME, **foreign}, KNOWN).server.port == 9000

    @given(st.sampled_from(["SERVER_PORT", "LOG_LEVEL", "SERVER_DRAIN_S", "CORS_ORIGINS"]), st.text(max_size=20))
    def test_no_text_in_a_variable_breaks_the_reading(self, name: str, text: str) -> None:
        """Any text in a variable is a value or a problem with its path, never a crash."""
        problems: tuple[Problem, ...] = ()
        try:
            config.load(None, {**HOME, f"TOLLHOUSE_{name}": text}, KNOWN)
        except ConfigInvalid as invalid:
            problems = invalid.problems
        assert {problem.path.partition("[")[0] for problem in problems} <= {name.lower().replace("_", ".", 1)}
