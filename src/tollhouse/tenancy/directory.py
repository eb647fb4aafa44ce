"""The tree in memory: immutable, revised by the rows that a write has changed, swapped whole. Nothing here waits.

The hot path reads a `Principal` from it once for each key and version (`gateway.auth` keeps them by digest); the admin
pages read nodes, children and secrets; the wallet reads `nodes` for the budgets. A new version costs a copy of its
tables, never a second reading of the tree.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from tollhouse.errors import ObjectNotFound
from tollhouse.stores.tenancy import Rows
from tollhouse.types.tenancy import Chain, KeyDetails, KeySecret, Node, Principal
from tollhouse.validate.spelling import shorten

ChainNumber = Callable[[tuple[int, ...], int], int]
"""The ledger's number of a chain: of its nodes, key first, and of the organisation that pays."""
REVOKED = "revoked"
"""The reason by which a key that is off for ever is told from one that is suspended."""

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node with all that an operator may see of it. ``details`` is of keys only, and so are ``secrets``."""

    node: Node
    parent_id: str | None
    details: KeyDetails | None = None
    secrets: tuple[KeySecret, ...] = ()


@dataclass(frozen=True, slots=True)
class Directory:
    """The whole tree at one moment. `Directory()` is empty; `revise` makes the next one."""

    nodes: Mapping[int, Node] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)
    """The number of each id."""
    details: Mapping[int, KeyDetails] = field(default_factory=dict)
    secrets: Mapping[bytes, KeySecret] = field(default_factory=dict)
    """By digest, those that have expired too."""
    texts: Mapping[int, tuple[bytes, ...]] = field(default_factory=dict)
    """The digests of each key."""
    branches: Mapping[int | None, tuple[int, ...]] = field(default_factory=dict)
    """The numbers of each node's children; the organisations' under None."""

    def revise(self, rows: Rows) -> "Directory":
        """The directory with some rows in place of what it had of them, or added to it."""
        fresh = [node for node in rows.nodes if node.number not in self.nodes]
        new_secrets = [secret for secret in rows.secrets if secret.digest not in self.secrets]
        return replace(
            self,
            nodes={**self.nodes, **{node.number: node for node in rows.nodes}},
            numbers={**self.numbers, **{node.id: node.number for node in fresh}} if fresh else self.numbers,
            details={**self.details, **{one.number: one for one in rows.details}} if rows.details else self.details,
            secrets={**self.secrets, **{one.digest: one for one in rows.secrets}} if rows.secrets else self.secrets,
            texts=_grown(self.texts, ((one.key, one.digest) for one in new_secrets)),
            branches=_grown(self.branches, ((node.parent, node.number) for node in fresh)),
        )

    # --- the tree --------------------------------------------------------------------------------------------

    def find(self, node_id: str) -> Node | None:
        """The node with an id."""
        number = self.numbers.get(node_id)
        return None if number is None else self.nodes[number]

    def line(self, number: int) -> tuple[Node, ...]:
        """A node and all above it, the organisation last."""
        node = self.nodes[number]
        found = [node]
        while node.parent is not None:
            node = self.nodes[node.parent]
            found.append(node)
        return tuple(found)

    def children(self, number: int | None) -> tuple[Node, ...]:
        """The nodes right below one, oldest first; all organisations for None."""
        return tuple(self.nodes[child] for child in sorted(self.branches.get(number, ())))

    def subtree(self, number: int) -> Iterator[Node]:
        """A node and all below it, parents before children."""
        yield self.nodes[number]
        for child in self.branches.get(number, ()):
            yield from self.subtree(child)

    def contains(self, ancestor: int, number: int) -> bool:
        """Whether a node is another one or below it."""
        return any(node.number == ancestor for node in self.line(number))

    def view(self, node_id: str, within: str | None = None) -> NodeView:
        """A node with its details. Raises `ObjectNotFound` where nothing has the id, and where it is not ``within`` the
        node of that other id (S09).
        """
        node, outer = self.find(node_id), self.find(within) if within is not None else None
        if node is None or (within is not None and (outer is None or not self.contains(outer.number, node.number))):
            raise not_found(node_id)
        return self._view(node)

    def select(self, kind: str, within: str | None = None, after: str | None = None) -> Iterator[NodeView]:
        """The nodes of a kind, oldest first, from the one that follows the node with the id ``after``; of one subtree
        where ``within`` names its root. Raises `ObjectNotFound` for an unknown root or ``after``.
        """
        among = self.nodes.values() if within is None else self.subtree(self._number(within))
        least = 0 if after is None else self._number(after)
        found = sorted((node for node in among if node.kind == kind and node.number > least), key=_by_number)
        return map(self._view, found)

    def _number(self, node_id: str) -> int:
        if node_id not in self.numbers:
            raise not_found(node_id)
        return self.numbers[node_id]

    def _view(self, node: Node) -> NodeView:
        parent_id = None if node.parent is None else self.nodes[node.parent].id
        secrets = tuple(self.secrets[digest] for digest in self.texts.get(node.number, ()))
        return NodeView(node, parent_id, self.details.get(node.number), secrets)

    # --- who calls -------------------------------------------------------------------------------------------

    def chain_of(self, number: int, chain_number: ChainNumber) -> Chain:
        """What a key's requests spend on."""
        nodes = tuple(node.number for node in self.line(number))
        return Chain(chain_number(nodes, nodes[-1]), nodes, nodes[-1])

    def principal(self, digest: bytes, chain_number: ChainNumber) -> Principal | None:
        """Who a key is; None for a digest that is unknown and for a key that is revoked or suspended itself. What it
        hangs on may be suspended: `suspended` tells. Expiry is in ``not_after``, for the clock is the caller's.
        """
        secret = self.secrets.get(digest)
        if secret is None or self.nodes[secret.key].disabled_at is not None:
            return None
        line = self.line(secret.key)
        details = self.details[secret.key]
        key = line[0]
        return Principal(
            key_id=key.id,
            name=key.name,
            number=key.number,
            chain=self.chain_of(key.number, chain_number),
            permission=details.permission,
            tier=next((node.tier for node in line if node.tier is not None), None),
            models=tuple(node.models for node in line if node.models is not None),
            kinds=tuple(frozenset(node.kinds) for node in line if node.kinds is not None),
            safety=tuple(dict.fromkeys(node.safety for node in line if node.safety is not None)),
            not_after=min((at for at in (details.expires_at, secret.expires_at) if at is not None), default=None),
        )

    def suspended(self, number: int) -> bool:
        """Whether a node or one above it is switched off."""
        return any(node.disabled_at is not None for node in self.line(number))


def allows_model(principal: Principal, *names: str) -> bool:
    """Whether a key may call a model, given every name the model goes by: as requested, as ``host/model``, and so on.
    Each restriction of the chain must allow one of them (S08).
    """
    return all(any(covers(entry, name) for entry in own for name in names) for own in principal.models)


def allows_kind(principal: Principal, kind: str) -> bool:
    """Whether a key may use an endpoint kind. Each restriction of the chain must allow it (S08)."""
    return all(kind in own or any(covers(entry, kind) for entry in own) for own in principal.kinds)


def covers(entry: str, name: str) -> bool:
    """Whether an entry of a restriction allows a name: its own; where it ends in ``*``, any that begins so."""
    return name.startswith(entry[:-1]) if entry.endswith("*") else name == entry


def is_revoked(node: Node) -> bool:
    """Whether a key is off for ever."""
    return node.kind == "key" and node.disabled_at is not None and node.disabled_reason == REVOKED


def not_found(node_id: str) -> ObjectNotFound:
    """The one answer for an id that nothing has and for one that the caller may not see."""
    return ObjectNotFound(f"There is nothing with the id '{shorten(node_id)}' here.")


def _grown(table: Mapping[K, tuple[V, ...]], additions: Iterable[tuple[K, V]]) -> Mapping[K, tuple[V, ...]]:
    """A table of tuples with some more members."""
    added: dict[K, list[V]] = {}
    for key, value in additions:
        added.setdefault(key, []).append(value)
    if not added:
        return table
    return {**table, **{key: (*table.get(key, ()), *values) for key, values in added.items()}}


def _by_number(node: Node) -> int:
    return node.number
