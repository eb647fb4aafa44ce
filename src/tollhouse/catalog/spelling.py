"""When two spellings are the same model's name: `names` asks, and nothing here guesses.

Two keys per name. The plain key ignores case and takes a dot for a dash (``Claude-Sonnet-4.5``). The loose key also
ignores the order of words, but keeps each run of version numbers as it stands and in its order, so that
``claude-4-5-sonnet`` is ``claude-sonnet-4-5`` while ``gpt-4.5`` never is ``gpt-5.4``. No prefix of a name and no edit
of it ever counts as the name: a wrong model is worse than none (it has another price).
"""

import re

MIN_DATE_DIGITS = 4
"""A run of this many digits is a date or a release (2507, 20250929): a word of its own, not part of a version."""
_PARTS = re.compile(r"[-_:@ ]")


def plain(name: str) -> str:
    """The key under which only case, and dots for dashes, are forgiven."""
    return name.lower().replace(".", "-")


def loose(name: str) -> str:
    """The key under which the order of words is forgiven too; it can never equal a plain key."""
    words: list[str] = []
    versions: list[str] = []
    was_number = False
    for part in plain(name).split("-"):
        is_number = part.isdigit() and len(part) < MIN_DATE_DIGITS
        if is_number and was_number:
            versions[-1] += "-" + part
        elif is_number:
            versions.append(part)
        else:
            words.append(part)
        was_number = is_number
    return " ".join(sorted(words)) + "|" + " ".join(versions)


def words(name: str) -> frozenset[str]:
    """The parts of a name, for finding names that look like it."""
    return frozenset(part for part in _PARTS.split(plain(name).replace("/", "-")) if part)
