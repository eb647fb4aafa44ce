"""The texts made from the settings' own descriptions."""

from importlib.resources import files
from pathlib import Path

from tests.settings.reader import HOME, KNOWN, read
from tollhouse import config
from tollhouse.catalog import store
from tollhouse.settings.keys import SECTIONS
from tollhouse.settings.provider_keys import ProviderKeys
from tollhouse.settings.reading import keys
from tollhouse.settings.urls import VARIABLE


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

    def test_the_shipped_catalogue_fits_the_settings(self, tmp_path: Path) -> None:
        """Every reachable host of the real catalogue can be declared by its name, with its own variables."""
        catalogue = store.load()
        rows = [row for row in catalogue.providers.values() if row.base_url is not None]
        path = tmp_path / "all.toml"
        path.write_text("".join(f'[providers."{row.name}"]\n' for row in rows))
        variables = {name for row in rows for name in (*row.key_vars, *VARIABLE.findall(row.base_url or ""))}
        environ = dict.fromkeys((*variables, "HOME"), "value")
        environ["NEON_AI_GATEWAY_BASE_URL"] = "https://neon.example"
        settings = config.load(path, environ, catalogue.providers)
        assert [name for name, provider in settings.providers.items() if provider.credential] == [
            row.name for row in rows
        ]
