"""The stretches of a text that are mostly digits. Pure.

`finding` looks for them once, and every detector of numbers reads nothing else: most texts have few.
"""

import re

Span = tuple[int, int]

_STRETCH = re.compile(r"[0-9](?:[ ().\-/]{0,3}+[0-9]){6,}+")


def find_stretches(text: str) -> list[Span]:
    """Where seven digits or more stand together, with no more than three blanks, brackets, dots, dashes or slashes
    between any two.
    """
    return [match.span() for match in _STRETCH.finditer(text)]
