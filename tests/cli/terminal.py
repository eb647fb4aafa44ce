"""Commands run in this process, with settings of the test's own and nothing of the machine's."""

from pathlib import Path

from click.testing import CliRunner, Result

from tests.e2e.backstage import Backstage
from tests.fakes.door import QUIET
from tollhouse.catalog import store as catalog
from tollhouse.cli import main

NO_KEYS = {variable: None for row in catalog.load().providers.values() for variable in row.key_vars}
"""Keys that the machine may have."""


def run(*arguments: str | Path, text: str = "", **environ: str) -> Result:
    """A command to its end; any exception but an exit is the test's failure."""
    result = CliRunner().invoke(main, [str(one) for one in arguments], input=text, env={**NO_KEYS, **environ})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def settings(folder: Path, text: str = "") -> Path:
    """A configuration file that looks for nothing beside what it says."""
    file = folder / "tollhouse.toml"
    file.write_text(f"{text}\n{QUIET}")
    file.chmod(0o600)
    return file


def host(stage: Backstage | int, name: str = "stage", model: str = "m") -> str:
    """A declared host with a key and one model."""
    port = stage if isinstance(stage, int) else stage.up.port
    return (
        f'[providers.{name}]\nbase_url = "http://127.0.0.1:{port}/v1"\napi_key = "sk-cli-CANARY-0123456789"\n'
        f'models = ["{model}"]\ntimeouts = {{ connect_s = 0.5, first_byte_s = 0.5 }}\n'
    )
