"""The files that ``[safety]`` names: terms of lists, which are read here, and protected texts, which are only found.

Called by `settings.safety`. `safety.protected` reads the texts, once they are to be indexed. Relative paths start at
the folder of the settings file.
"""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unicodedata import category

from tollhouse.settings.reading import Problems, open_at_once
from tollhouse.settings.secrets import Sources

MAX_TERMS = 100_000
MAX_TERM_CHARS = 200
MAX_TERM_WORDS = 16
MAX_TERMS_BYTES = 8 << 20
MAX_FILES = 10_000
MAX_FILE_BYTES = 8 << 20
MAX_TEXTS_BYTES = 64 << 20
"""Of all protected texts; their index takes up to twice as much memory."""
_SEEN = frozenset("LNPS")
"""First letters of the Unicode categories of what is left when texts are compared (`safety.spelling`)."""
CODE = frozenset(
    (
        *(".asm", ".bash", ".c", ".cc", ".clj", ".cpp", ".cs", ".css", ".cu", ".cxx", ".dart", ".el", ".erl"),
        *(".ex", ".exs", ".f90", ".fs", ".go", ".gradle", ".groovy", ".h", ".hh", ".hpp", ".hs", ".java"),
        *(".jl", ".js", ".jsx", ".kt", ".kts", ".lisp", ".lua", ".m", ".ml", ".mm", ".mjs", ".nim", ".pas"),
        *(".php", ".pl", ".pm", ".proto", ".ps1", ".py", ".pyx", ".r", ".rb", ".rs", ".scala", ".scm", ".sh"),
        *(".sol", ".sql", ".svelte", ".swift", ".tcl", ".tf", ".ts", ".tsx", ".v", ".vb", ".vhd", ".vue"),
        *(".zig"),
    )
)
"""Endings of files of code."""


@dataclass(frozen=True, slots=True)
class TermList:
    """A list or a topic with the terms of its file. ``at_least`` different ones make a hit."""

    name: str
    terms: tuple[str, ...]
    at_least: int = 1


@dataclass(frozen=True, slots=True)
class ProtectedFile:
    """A file whose text answers must not repeat. Size and time tell whether it has changed."""

    path: Path
    size_bytes: int
    modified_ns: int

    @property
    def is_code(self) -> bool:
        """Whether it holds code, by its ending."""
        return self.path.suffix.lower() in CODE


# --- terms -------------------------------------------------------------------------------------------------------


def read_terms(stated: tuple[str, ...], name: str, path: str, sources: Sources) -> tuple[str, ...]:
    """The terms that stand in the settings, and those of the file, each once."""
    problems = sources.problems
    found: dict[str, None] = {}
    for index, term in enumerate(stated):
        fault = term_fault(term)
        if fault is not None:
            problems.add(f"{path}.terms[{index}]", *fault)
        else:
            found[term.strip()] = None
    for number, line in _lines(name, f"{path}.file", sources):
        fault = term_fault(line)
        if fault is not None:
            problems.add(f"{path}.file", f"line {number}: {fault[0]}", fault[1])
            break  # one wrong file is one mistake
        found[line] = None
    if not found and not (stated or name):
        problems.add(f"{path}.terms", "missing", "write terms = [...] or file = ...")
    if len(found) > MAX_TERMS:
        problems.add(path, f"more than {MAX_TERMS} terms")
    return tuple(found)


def term_fault(term: str) -> tuple[str, str] | None:
    """Why a term cannot be looked for, and what to do about it; None where it can."""
    bare = term.strip().removeprefix("*").removesuffix("*").strip()
    if not any(category(char)[0] in _SEEN for char in bare):
        return "holds nothing to look for", "write a word or a phrase"
    if "*" in bare and any(c.isalnum() for c in bare):
        return "a star inside", "a star stands at the beginning or the end of a term"
    if len(bare) > MAX_TERM_CHARS or len(bare.split()) > MAX_TERM_WORDS:
        return f"longer than {MAX_TERM_CHARS} characters or {MAX_TERM_WORDS} words", "a shorter part of it is enough"
    return None


def _lines(name: str, where: str, sources: Sources) -> Iterator[tuple[int, str]]:
    """The terms of a file with the numbers of their lines."""
    data = _read(name, where, sources) if name else b""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        sources.problems.add(where, f"not UTF-8 at byte {error.start}", "save the file as UTF-8")
        return
    for number, line in enumerate(text.splitlines(), 1):
        term = line.strip()
        if term and not term.startswith("#"):
            yield number, term


def _read(name: str, where: str, sources: Sources) -> bytes:
    try:
        with open(sources.folder / name, "rb", opener=open_at_once) as source:
            if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
                sources.problems.add(where, f"{name} is not a regular file", "check the path")
                return b""
            data = source.read(MAX_TERMS_BYTES + 1)
    except OSError as error:
        sources.problems.add(where, f"{name} cannot be read: {error.strerror}", "check the path and its permissions")
        return b""
    except ValueError:  # a NUL character
        sources.problems.add(where, "not a path", "check the path")
        return b""
    if len(data) > MAX_TERMS_BYTES:
        sources.problems.add(where, f"{name} is larger than {MAX_TERMS_BYTES >> 20} MiB", "split the list")
        return b""
    return data


# --- protected texts ---------------------------------------------------------------------------------------------


def find_protected(names: tuple[str, ...], sources: Sources) -> tuple[ProtectedFile, ...]:
    """The files of ``safety.protected.texts``: those named, and all below the folders named but for hidden ones."""
    found: dict[Path, ProtectedFile] = {}
    for index, name in enumerate(names):
        where = f"safety.protected.texts[{index}]"
        try:
            for path in _below(sources.folder / name):
                row = path.stat()
                found[path] = ProtectedFile(path, row.st_size, row.st_mtime_ns)
        except OSError as error:
            fix = "check the path and its permissions"
            sources.problems.add(where, f"{name} cannot be read: {error.strerror}", fix)
        except ValueError:  # a NUL character
            sources.problems.add(where, "not a path", "check the path")
    _check_sizes(tuple(found.values()), sources.problems)
    return tuple(found.values())


def _below(path: Path) -> Iterator[Path]:
    """A file itself, or the files of a folder, in a fixed order. A link to a folder is not followed."""
    if not path.is_dir():
        with open(path, "rb", opener=open_at_once) as source:  # raises where it is missing or not ours to read
            if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
                raise OSError(errno.EINVAL, "it is not a regular file")
            yield path
        return
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            file = Path(folder, name)
            if not name.startswith(".") and file.is_file():
                yield file


def _check_sizes(files: tuple[ProtectedFile, ...], problems: Problems) -> None:
    where = "safety.protected.texts"
    if len(files) > MAX_FILES:
        problems.add(where, f"{len(files)} files, and {MAX_FILES} at most are indexed", "name fewer folders")
    total = sum(file.size_bytes for file in files)
    if total > MAX_TEXTS_BYTES:
        problems.add(where, f"{total >> 20} MiB, and {MAX_TEXTS_BYTES >> 20} at most are indexed", "name fewer folders")
    for file in files:
        if file.size_bytes > MAX_FILE_BYTES:
            problems.add(where, f"{file.path} is larger than {MAX_FILE_BYTES >> 20} MiB", "split it")
