"""Credentials in the settings: ``env:NAME``, ``file:/path``, or written out, become a `Secret` in the statement that
reads them. Called by `config` and `settings.hosts`; no problem text ever repeats one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tollhouse.settings.reading import Problems
from tollhouse.types.secret import Secret

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MAX_SECRET_BYTES = 65_536


class KnownHost(Protocol):
    """What settings need to know of a host in the catalogue."""

    @property
    def base_url(self) -> str | None:
        """Where it answers, or None; may hold ``${VARIABLE}``."""

    @property
    def key_vars(self) -> tuple[str, ...]:
        """The variables that may hold its key; the first that is set counts."""

    @property
    def auth(self) -> str:
        """As `Host.auth`."""

    @property
    def options(self) -> Mapping[str, tuple[str, ...]]:
        """The settings that ``base_url`` is made of (``${region}``), and the variables that may hold each."""

    @property
    def secret_vars(self) -> Mapping[str, str]:
        """The variables that may hold what its requests are signed with, by the name of the setting."""

    @property
    def reason(self) -> str | None:
        """Why it cannot be reached as it is, or None."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What the settings are read against; ``folder`` is where relative ``file:`` paths start."""

    environ: Mapping[str, str]
    known: Mapping[str, KnownHost]
    folder: Path
    problems: Problems


def as_secret(text: str) -> Secret | None:
    """A credential without the white space around it, or None: it goes into a header, so it must be visible ASCII."""
    text = text.strip()
    return Secret(text) if text and all(" " <= c <= "~" for c in text) else None


def is_literal(reference: str) -> bool:
    """Whether the reference is the credential itself, so that it stands in the settings."""
    return not reference.startswith(("env:", "file:"))


def find_secret(reference: str, where: str, sources: Sources) -> Secret | None:
    """The credential that a reference leads to; None after noting at ``where`` why there is none."""
    kind, _, rest = reference.partition(":")
    text: str | None
    if kind == "env":
        text = sources.environ.get(rest)
        if not text:
            name = rest if VARIABLE.fullmatch(rest) else "NAME"  # what is no name may be the credential itself
            why = f"the variable {name} is not set" if name == rest else "names no variable"
            sources.problems.add(where, why, f"export {name}=..." if name == rest else 'write "env:NAME"')
            return None
    elif kind == "file":
        text = _file(rest, where, sources)
        if text is None:
            return None
    else:
        text = reference
    secret = as_secret(text)
    if secret is None:
        sources.problems.add(where, "empty, or holds a line break or a character that no header may hold")
    return secret


def _file(name: str, where: str, sources: Sources) -> str | None:
    path = sources.folder / name
    try:
        with path.open("rb") as source:
            return source.read(MAX_SECRET_BYTES).decode()
    except OSError as error:
        sources.problems.add(where, f"{path} cannot be read: {error.strerror}", "check the path and its permissions")
    except UnicodeDecodeError:
        sources.problems.add(where, f"{path} is not text")
    except ValueError:  # a NUL character
        sources.problems.add(where, "not a path")
    return None
