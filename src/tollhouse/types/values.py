"""The kinds of record there are: msgspec's `Struct`, with what is said of it said once.

Compiled modules need these (`scripts/compile`): mypyc leaves the options of a class statement out, bases it keeps.
"""

from msgspec import Struct


class Value(Struct, frozen=True):
    """Equal to another of the same content; never changes."""


class Fixture(Struct, frozen=True, eq=False):
    """Equal to itself alone; never changes."""


class Exact(Struct, frozen=True, forbid_unknown_fields=True):
    """A value that is read from JSON, of the members that are named and no others."""
