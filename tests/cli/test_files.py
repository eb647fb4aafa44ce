"""The commands about files: keys, init, check, models, and the data folder beneath them."""

import json
import re
import stat
import threading
from pathlib import Path

import apsw
import click
import pytest

from tests.cli.terminal import host, run, settings
from tests.fakes.chaos import closed_port
from tollhouse import __version__
from tollhouse.cli.home import home_or_exit, lock_home, open_home
from tollhouse.errors import StorageUnavailable
from tollhouse.stores.tenancy import read_all
from tollhouse.tenancy.keys import digest_key

KEY = re.compile(r"sk-th-[A-Za-z0-9_-]{43}")


# --- keys ----------------------------------------------------------------------------------------------------------


def test_a_key_is_shown_once_and_kept_as_a_digest(tmp_path: Path) -> None:
    """The text is alone on standard output; no file of the folder holds it; its digest is there."""
    made = run("keys", "create", "laptop", "--data", tmp_path / "d")
    assert made.exit_code == 0
    key = made.stdout.strip()
    assert KEY.fullmatch(key)
    assert "cannot be shown again" in made.stderr
    assert all(key.encode() not in path.read_bytes() for path in (tmp_path / "d").iterdir())
    home = open_home(tmp_path / "d")
    digests = [secret.digest for secret in home.store.read_now(read_all).secrets]
    assert digests == [digest_key(home.pepper, key)]
    home.store.close()


def test_keys_are_listed_without_their_text_and_revoked_for_ever(tmp_path: Path) -> None:
    """A list shows id, hint, state and name, as text and as JSON lines; to revoke a key twice is an error."""
    data = ("--data", str(tmp_path / "d"))
    made = [json.loads(run("keys", "create", name, "--json", *data).stdout) for name in ("a", "b")]
    assert [set(one) for one in made] == [{"id", "name", "key"}] * 2
    revoked = run("keys", "revoke", made[0]["id"], *data)
    assert (revoked.exit_code, revoked.output) == (0, f"{made[0]['id']} is revoked.\n")
    again = run("keys", "revoke", made[0]["id"], *data)
    assert again.exit_code == 1
    assert "There is no active key" in again.stderr
    lines = run("keys", "list", *data).stdout.splitlines()
    assert {line.split()[-1]: "revoked" in line for line in lines} == {"a": True, "b": False}
    rows = [json.loads(line) for line in run("keys", "list", "--json", *data).stdout.splitlines()]
    assert {row["name"]: row["state"] for row in rows} == {"a": "revoked", "b": "active"}
    assert all(row["revoked_at"] is None or row["revoked_at"] >= row["created_at"] for row in rows)
    shown = run("keys", "list", *data).output + json.dumps(rows)
    assert not any(one["key"] in shown for one in made)


def test_an_empty_list_says_how_to_make_a_key(tmp_path: Path) -> None:
    """For people a hint, for programs nothing."""
    assert "tollhouse keys create" in run("keys", "list", "--data", tmp_path / "d").stderr
    assert run("keys", "list", "--json", "--data", tmp_path / "d").output == ""


def test_the_folder_of_the_settings_is_used_unless_one_is_given(tmp_path: Path) -> None:
    """``--data`` is over ``data_dir`` of the file, which is over the default."""
    file = settings(tmp_path, f'[server]\ndata_dir = "{tmp_path / "from-file"}"')
    assert run("keys", "create", "--config", file).exit_code == 0
    assert (tmp_path / "from-file" / "tollhouse.db").exists()
    assert run("keys", "create", "--config", file, "--data", tmp_path / "given").exit_code == 0
    assert (tmp_path / "given" / "tollhouse.db").exists()
    assert run("keys", "create", HOME=str(tmp_path)).exit_code == 0
    assert (tmp_path / ".tollhouse" / "tollhouse.db").exists()


def test_a_bad_configuration_stops_every_command(tmp_path: Path) -> None:
    """Commands that read settings end with 78 and the problems, before they touch anything."""
    file = tmp_path / "bad.toml"
    file.write_text("[server]\nprot = 1\n")
    for command in (["keys", "list"], ["models"], ["doctor"], ["chat", "m", "x"], ["up"]):
        result = run(*command, "--config", file, HOME=str(tmp_path))
        assert result.exit_code == 78
        assert "server.prot: no such key" in result.stderr
        assert "did you mean 'port'" in result.stderr
    assert not (tmp_path / ".tollhouse").exists()


# --- the data folder -----------------------------------------------------------------------------------------------


def test_the_folder_and_all_in_it_are_their_owners(tmp_path: Path) -> None:
    """What is made on first use can be read by nobody else, and is the same the next time."""
    first = open_home(tmp_path / "deep" / "d")
    first.store.close()
    second = open_home(tmp_path / "deep" / "d")
    second.store.close()
    assert (first.pepper, first.admin_key) == (second.pepper, second.admin_key)
    assert len(first.pepper) == 32
    assert first.admin_key.reveal().startswith("sk-th-admin-")
    folder = tmp_path / "deep" / "d"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert {path.name for path in folder.iterdir()} >= {"pepper", "admin.key", "tollhouse.db"}


def test_two_that_start_at_once_agree(tmp_path: Path) -> None:
    """Whoever is second takes the first one's secrets, and nothing is left lying about."""
    tmp_path.joinpath("d").mkdir()
    found: list[bytes] = []

    def start() -> None:
        home = open_home(tmp_path / "d")
        found.append(home.pepper + home.admin_key.reveal().encode())
        home.store.close()

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert not [path for path in (tmp_path / "d").iterdir() if path.name.count(".") > 1]


@pytest.mark.parametrize("text", ["", "  \n", "zz", "abcd", "00" * 31, "00" * 33])
def test_a_damaged_pepper_is_refused(tmp_path: Path, text: str) -> None:
    """A pepper that is empty, cut or no hex would make keys wrong or guessable: nothing starts with it."""
    open_home(tmp_path).store.close()
    (tmp_path / "pepper").write_text(text)
    with pytest.raises(StorageUnavailable, match="damaged"):
        open_home(tmp_path)
    result = run("keys", "list", "--data", tmp_path)
    assert result.exit_code == 78
    assert "cannot be used" in result.stderr


@pytest.mark.parametrize("command", [["keys", "list"], ["keys", "create"], ["up", "--port", "0"]])
def test_a_folder_that_cannot_be_is_a_plain_error(tmp_path: Path, command: list[str]) -> None:
    """Below a file there is no folder: one line says so."""
    (tmp_path / "file").write_text("x")
    file = settings(tmp_path, f'[server]\ndata_dir = "{tmp_path / "file" / "below"}"')
    with pytest.raises(click.ClickException, match="cannot be used"):
        home_or_exit(tmp_path / "file" / "below")
    if command[0] != "up":  # which hardens its whole process first
        result = run(*command, "--config", file)
        assert result.exit_code == 78
        assert result.stderr.startswith("Error: The data folder ")


def test_one_folder_serves_one_server(tmp_path: Path) -> None:
    """I16: a second one is refused while the first holds it, and not after, so no two replicas share an account."""
    held = lock_home(tmp_path)
    with pytest.raises(click.ClickException, match="Another Tollhouse"):
        lock_home(tmp_path)
    held.close()
    lock_home(tmp_path).close()


# --- init, check, models -------------------------------------------------------------------------------------------


def test_init_writes_what_check_accepts(tmp_path: Path) -> None:
    """The file is private, whole, valid as it is, and never overwritten."""
    file = tmp_path / "t.toml"
    assert run("init", file).exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run("check", file).output.startswith(f"{file} is good: 0 hosts, 0 aliases declared.")
    before = file.read_text()
    again = run("init", file)
    assert again.exit_code == 1
    assert "left as it is" in again.stderr
    assert file.read_text() == before
    nowhere = run("init", tmp_path / "none" / "t.toml")
    assert nowhere.exit_code == 1
    assert "cannot be written" in nowhere.stderr


def test_check_counts_what_is_declared_and_lists_every_problem(tmp_path: Path) -> None:
    """A good file is summed up; a bad one ends with 78 and each problem with its path and fix."""
    good = settings(tmp_path, host(closed_port()) + '[models]\na = "stage/m"\nb = "stage/m"\n')
    assert "1 host, 2 aliases declared." in run("check", good).output
    bad = tmp_path / "bad.toml"
    bad.write_text('[server]\nport = -4\nprot = 1\n[providers.x]\n[models]\na = "a"\n')
    result = run("check", bad)
    assert result.exit_code == 78
    assert "The configuration has 4 problems:" in result.stderr
    for path in ("server.port", "server.prot", "providers.x.base_url", "models.a"):
        assert f"  {path}: " in result.stderr
    assert result.stderr.count("fix: ") >= 3
    assert run("check", tmp_path / "none.toml").exit_code == 2


def test_models_lists_names_with_context_and_prices(tmp_path: Path) -> None:
    """Aliases and models that can be called, filtered by a part of their name; prices as dollars per million."""
    host_with_key = '[providers.openai]\napi_key = "sk-0123456789abcdef"\n'
    file = settings(tmp_path, f'{host_with_key}[models]\nfast = ["openai/gpt-4o-mini", "openai/gpt-4o"]\n')
    lines = run("models", "--config", file).stdout.splitlines()
    assert lines[0].split() == ["fast", "128k", "0.15", "/", "0.6", "2", "targets"]
    assert any(line.startswith("tollhouse/sim") for line in lines)
    few = run("models", "GPT-4O-mini", "--config", file)
    assert {line.split()[0] for line in few.stdout.splitlines()} >= {"openai/gpt-4o-mini"}
    assert all("gpt-4o-mini" in line for line in few.stdout.splitlines())
    none = run("models", "no-such-thing", "--config", file)
    assert (none.exit_code, none.stdout) == (0, "")
    assert none.stderr.startswith("0 models.")


def test_a_model_without_facts_says_so(tmp_path: Path) -> None:
    """An alias to a name that nobody knows is listed as that; unknown prices are question marks, not zeros."""
    text = host(closed_port()).replace('models = ["m"]\n', "") + '[models]\nodd = "stage/unheard-of"\n'
    lines = run("models", "--config", settings(tmp_path, text)).stdout.splitlines()
    assert lines[0].split(maxsplit=1) == ["odd", "nothing is known of it"]
    lines = run("models", "stage", "--config", settings(tmp_path, host(closed_port()))).stdout.splitlines()
    assert lines[0].split() == ["stage/m", "-", "?", "/", "?"]


def test_the_version_and_the_help_need_nothing() -> None:
    """Both answer without a configuration; help names every command."""
    assert run("--version").output.startswith(f"tollhouse {__version__} (")
    shown = run("-h").output
    for command in ("up", "init", "check", "doctor", "chat", "models", "keys"):
        assert f"  {command} " in shown
        assert run(command, "--help").exit_code == 0


def test_f94_a_database_that_cannot_be_read_ends_with_one_line_and_78(tmp_path: Path) -> None:
    """A file that is no database, and one of a newer version, are told at once; neither is touched."""
    noise = tmp_path / "noise"
    noise.mkdir()
    (noise / "tollhouse.db").write_bytes(b"this is no database " * 500)
    newer = tmp_path / "newer"
    newer.mkdir()
    database = apsw.Connection(str(newer / "tollhouse.db"))
    database.pragma("journal_mode", "wal")
    database.pragma("user_version", 9999)
    database.close()
    for folder, why in ((noise, "atabase"), (newer, "newer Tollhouse")):
        before = (folder / "tollhouse.db").read_bytes()
        with pytest.raises(click.ClickException, match=why) as caught:
            home_or_exit(folder)
        assert caught.value.exit_code == 78
        assert str(folder) in caught.value.message
        assert "\n" not in caught.value.message
        assert (folder / "tollhouse.db").read_bytes() == before
