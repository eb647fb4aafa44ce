"""Fuzzes `config.load`: damaged files and variables.

What must hold: settings, or `ConfigInvalid` with problems that can be printed and hold no credential; nothing else.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from tests.fakes.door import CATALOGUE
from tests.fuzz.engine import Case
from tests.fuzz.mutate import damage
from tollhouse import config
from tollhouse.config import ConfigInvalid, Settings
from tollhouse.settings.keys import SECTIONS
from tollhouse.settings.reading import keys

SECRET = "sk-CANARY-0123456789abcdef"
FILE = f"""[server]
host = "127.0.0.1"
port = 8787
keep_alive_s = 75.0
[cors]
origins = ["https://app.example", "http://localhost:*"]
[timeouts]
connect_s = 1
total_s = 1e3
[providers.openai]
api_key = "env:OPENAI_API_KEY"
[providers.own]
base_url = "http://127.0.0.1:9/v1"
api_key = "{SECRET}"
headers = {{ "x-team" = "blue" }}
models = ["a", "b"]
proxy = "http://127.0.0.1:3128"
timeouts = {{ first_byte_s = 3 }}
quirks = {{ stream_usage = false, max_tokens_field = "max_tokens", drop = ["seed"] }}
[providers.gpu]
base_url = "http://127.0.0.1:8/v1"
models.b = {{ name = "B", context_tokens = 8000, input_kinds = ["text"], input_usd_per_1m = 0.15 }}
[models]
fast = "own/a"
"o-*" = "openai/*"
[models.best]
targets = ["own/a", "openai/gpt-5"]
""".encode()
TOML_VALUES = (
    *(b"1979-05-27T07:32:00Z", b"nan", b"-inf", b"-1", b"0", b"1e400", b"1e-400", b"1e999999999", b"0.1", b"9" * 5000),
    *(b"true", b"[]", b"{}", b'""', b'[1, "a", []]', b"[[[]]]", b"0x7fffffffffffffffffff", b"{ a = { b = 1 } }"),
    *(b'"env:"', b'"env:NOT SET"', b'"env:OPENAI_API_KEY"', b'"file:/dev/zero"', b'"file:/nonexistent"', b'"file:"'),
    *(b'"http://[::1"', b'"http://a:99999999/"', b'"http://user:pass@h/v1"', b'"https://h/v1?x=y#z"', b'"own/a"'),
    *(
        b'"\\u0000"',
        b'"env:\\u0000"',
        b'"\\u001b"',
        b'"*"',
        b'"/"',
        b'"#"',
        b'"a#b"',
        b'["own/a", "own/a"]',
        b'"' + b"a" * 3000 + b'"',
    ),
    *(
        b'"best"',
        b'"fast"',
        b'{ targets = ["best"] }',
        b'"~"',
        b'"caf\xc3\xa9"',
        b'"file:/proc/self/mem"',
        b'"file:\\u0000"',
        b'"file:."',
        b'"http://\xc3\xa9"',
    ),
)
WORDS = (
    *TOML_VALUES,
    *(b"[[providers]]\n", b"[providers]\n", b"[models]\n", b"[server.x]\n", b"[providers.own.models]\n", b"[log]\n"),
    *(b"'''", b"#", b"\xff", b"\n", b"[" * 200, b"a." * 500 + b"b = 1\n", b"api_key = 1\n", b"models = 1\n"),
    *(f"{key.name} = ".encode() for section in SECTIONS.values() for key in keys(section)),
)
VALUES = (b"", b"1", b"-1", b"true", b"nan", b"1e400", b"1e99999999999", b"9" * 5000, b"a,b", b"*", b"\xff\xfe", b"0x1")


class ConfigFiles:
    """The target. The first member of a case is an environment variable, the second the file."""

    fixed = 0

    def __init__(self, folder: Path) -> None:
        self._file = folder / "tollhouse.toml"
        self._file.touch(0o600)
        self._environ = {"HOME": str(folder), "OPENAI_API_KEY": SECRET}

    def make(self, random: Random) -> Case:
        """Damage to the text, to the order of its lines, or to what stands behind an equals sign."""
        lines = FILE.splitlines(keepends=True)
        for _ in range(random.randrange(4)):
            lines.insert(random.randrange(len(lines)), lines.pop(random.randrange(len(lines))))
        for index in random.sample(range(len(lines)), random.randrange(4)):
            key, equals, _ = lines[index].partition(b" = ")
            if equals:
                lines[index] = key + equals + random.choice(TOML_VALUES) + b"\n"
        text = b"".join(lines)
        name, section = random.choice(list(SECTIONS.items()))
        variable = f"TOLLHOUSE_{name}_{random.choice(keys(section)).name}".upper().encode()
        setting = damage(random, variable, most=1) if random.random() < 0.2 else variable
        return (
            setting + b"=" + random.choice(VALUES),
            damage(random, text, WORDS, 2) if random.random() < 0.4 else text,
        )

    async def check(self, case: Case) -> None:
        """Loads it."""
        variable, _, text = (case[0] if case else b"").replace(b"\x00", b"").partition(b"=")
        self._file.write_bytes(b"".join(case[1:]))
        name = variable.decode("utf-8", "surrogateescape")
        environ = {**self._environ, **({name: text.decode("utf-8", "surrogateescape")} if name else {})}
        found: Settings | ConfigInvalid
        try:
            found = config.load(self._file, environ, CATALOGUE.providers)
        except ConfigInvalid as invalid:
            found = invalid
        if isinstance(found, Settings):
            return
        assert found.problems
        assert SECRET not in str(found), "a problem shows a credential"


@asynccontextmanager
async def opened() -> AsyncIterator[ConfigFiles]:
    """The target, with a folder of its own."""
    with TemporaryDirectory() as folder:
        yield ConfigFiles(Path(folder))
