"""What a version of a price states, as it is written down: the records that `ledger.prices` encodes and decodes.

They stand apart because msgspec decodes into them, which it cannot into what is compiled.
"""

from msgspec import Struct


class Rates(Struct, frozen=True):
    """Pico-USD per token of each class; none is missing."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    input_audio: int = 0
    output: int = 0
    reasoning: int = 0
    output_audio: int = 0


class Tier(Struct, frozen=True):
    """The rates of a prompt of more than ``above_tokens`` tokens."""

    above_tokens: int
    rates: Rates


class Body(Struct, frozen=True, forbid_unknown_fields=True):
    """What a version is a digest of: its canonical JSON has sorted names and no spaces."""

    host: str
    model: str
    source: str
    effective_from: int
    free: bool
    rates: Rates
    tiers: tuple[Tier, ...]
    image: int
    request: int
