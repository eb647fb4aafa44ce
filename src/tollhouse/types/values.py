"""The base of records in compiled modules (`scripts/compile`): mypyc leaves the options of a class statement out, so a
class that said them itself would lose them; from a base it has them.
"""

from msgspec import Struct


class Value(Struct, frozen=True):
    """Equal to another of the same content; never changes."""
