"""The settings of ``[replay]``: which answers are kept, to be given again, and what that costs.

`settings.keys` lists the section; `gateway.replay_wishes` and `gateway.replaying` obey it.
"""
# ruff: noqa: RUF009  `key` is `dataclasses.field` with metadata: it builds no shared value

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from tollhouse.settings.reading import key

SCOPES: Final = ("key", "org")
_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Replay:
    """Answers that are kept and given again: to a request with the same seed, or to one that asks for the cache."""

    seed: bool = key(False, "a request with a seed gets the answer that the same request got before")
    cache: bool = key(False, "so does any request that asks for it, with the header x-tollhouse-cache: on")
    keep_s: int = key(30 * _DAY_S, "how long an answer is kept", unit="s", least=1, most=3650 * _DAY_S)
    scope: str = key("key", "whose requests share answers: those of one key, or of one organisation", choices=SCOPES)
    seed_price: Decimal = key(
        Decimal(0), "what a replay by seed costs, as a share of the first answer's price", least=0, most=1
    )
    cache_price: Decimal = key(Decimal(0), "the same of an answer from the cache", least=0, most=1)
    max_answer_bytes: int = key(1 << 20, "largest answer that is kept", unit="bytes", least=1024, most=64 << 20)
    max_scope_bytes: int = key(
        64 << 20, "all answers of one scope; the oldest make room for new ones", unit="bytes", least=1024, most=1 << 40
    )
    max_bytes: int = key(
        4 << 30, "all answers together; beyond it nothing more is kept", unit="bytes", least=1024, most=1 << 50
    )

    @property
    def on(self) -> bool:
        """Whether anything is kept at all."""
        return self.seed or self.cache

    def price(self, by: str) -> Decimal:
        """The share for what a replay is asked for by: ``seed`` or ``cache``."""
        return self.seed_price if by == "seed" else self.cache_price
