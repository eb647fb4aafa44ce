"""The seam between the gateway and its storage. One contract suite tests every kind of store."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from tollhouse.types.ledger import Op

T = TypeVar("T")


class Call:
    """A function to run inside a batch's transaction, and what became of it."""

    __slots__ = ("error", "function", "result")

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function
        self.result: Any = None
        self.error: Exception | None = None


class Batch:
    """Groups of operations to write in one transaction, in their order. A group is written whole or not at all."""

    __slots__ = ("groups", "number")

    def __init__(self, groups: "list[tuple[Op | Call, ...]]") -> None:
        self.groups = groups
        self.number = 0
        """Given by the store when it first tries: a commit whose outcome is unknown is looked up by it."""


class OpenRow(Struct, frozen=True):
    """A hold that the last process left open."""

    id: int
    key: int
    chain: int
    payer: int
    kind: str
    amount: int
    opened_at: int
    progress: int
    input: int
    price: int | None
    target: str


class Opening(Struct, frozen=True):
    """What a ledger starts from."""

    accounts: dict[str, tuple[int, int, bool]]
    """By name: number, posted amount, whether it may owe."""
    chains: dict[int, tuple[tuple[int, ...], int]]
    prices: dict[bytes, tuple[int, str]]
    """By digest: number, canonical JSON."""
    spends: dict[tuple[int, int], int]
    holds: tuple[OpenRow, ...]
    last_number: int
    """Of a hold or a movement, which have one sequence."""
    last_price: int


class JournalStore(Protocol):
    """What a journal writes to. Every method may raise `StorageUnavailable`."""

    def load(self) -> Opening:
        """The state at start."""

    def apply(self, batch: Batch) -> dict[int, str]:
        """Writes a batch, durably. Returns the places of groups that the database refused, and why: those alone were
        not written. After `StorageUnavailable` the same batch is given again, and lands once.
        """

    def read_now(self, function: Callable[[Any], T]) -> T:
        """What a function reads, in one snapshot. Any thread."""

    def close(self) -> None:
        """Releases the store."""
