"""Reads a configuration's text the way the gateway reads its file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tollhouse import config
from tollhouse.config import ConfigInvalid, Problem, Settings

HOME = {"HOME": "/home/me"}


@dataclass(frozen=True, slots=True)
class Known:
    """A host of a catalogue."""

    base_url: str | None
    key_vars: tuple[str, ...] = ("OPENAI_API_KEY",)
    auth: str = "bearer"
    reason: str | None = None
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    secret_vars: Mapping[str, str] = field(default_factory=dict)


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
