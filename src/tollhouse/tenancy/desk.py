"""What an operator can do to the tree, each as one synchronous operation inside one transaction.

`tenancy.office` runs a desk in the writer's transaction of a running server, the command line directly on a connection
when there is no server: one implementation for both. Everything is checked on the rows that the transaction sees, so
that nothing changes between the check and the write, and every change writes its audit row beside it (I28).
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import apsw

from tollhouse.errors import Conflict, InvalidRequest
from tollhouse.stores import tenancy as store
from tollhouse.stores.tenancy import Rows
from tollhouse.tenancy import audit, rules
from tollhouse.tenancy.directory import REVOKED, NodeView, is_revoked, not_found
from tollhouse.tenancy.fields import FIELDS, Fields, read, read_fields, read_number
from tollhouse.tenancy.keys import KEY_PREFIX, mint_id, mint_key
from tollhouse.types.secret import Secret
from tollhouse.types.tenancy import KeyDetails, KeySecret, Node
from tollhouse.validate.problems import missing

DEFAULT_OVERLAP_S = 86_400
MAX_OVERLAP_S = 31_536_000


@dataclass(frozen=True, slots=True)
class House:
    """What the operations read beside the database. ``clock_s`` is the wall clock that also judges expiry (I26)."""

    pepper: bytes = field(repr=False)
    clock_s: Callable[[], float] = time.time
    tiers: Callable[[], rules.Tiers] | None = None
    """The tiers that are set up at the moment; None lets any name pass unchecked."""
    kinds: frozenset[str] | None = None
    """The endpoint kinds that exist; None lets any name pass unchecked."""
    policies: Callable[[], Collection[str]] | None = None
    """The names of the safety policies of the moment; None lets any name pass unchecked."""
    key_prefix: str = KEY_PREFIX


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was made or rotated. ``text`` is shown once and kept nowhere."""

    view: NodeView
    text: Secret


class Desk:
    """The operations, for one actor in one transaction. Each raises `InvalidRequest`, `ObjectNotFound` or `Conflict`,
    and then nothing of it is to be kept: the caller rolls back.

    ``within`` is the id of a node that what is named must be, or be below; anything outside does not exist (S09).
    """

    def __init__(self, db: apsw.Connection, house: House, actor: str) -> None:
        self._db = db
        self._house = house
        self._actor = actor
        self._at = int(house.clock_s())
        self._touched: dict[str, None] = {}

    def create_org(self, fields: Mapping[str, Any]) -> NodeView:
        """An organisation, prepaid unless ``billing`` says otherwise."""
        return self._view(self._create("org", (), read_fields("org", fields)))

    def create_team(self, parent_id: str, fields: Mapping[str, Any], within: str | None = None) -> NodeView:
        """A team of an organisation."""
        return self._view(self._create("team", self._find(parent_id, within), read_fields("team", fields)))

    def create_user(self, parent_id: str, fields: Mapping[str, Any], within: str | None = None) -> NodeView:
        """A user of a team or an organisation: a person, or a service."""
        return self._view(self._create("user", self._find(parent_id, within), read_fields("user", fields)))

    def create_key(self, parent_id: str, fields: Mapping[str, Any], within: str | None = None) -> NewKey:
        """A key of an organisation, a team or a user."""
        return self._new_text(self._create("key", self._find(parent_id, within), read_fields("key", fields)))

    def change(self, node_id: str, fields: Mapping[str, Any], within: str | None = None) -> NodeView:
        """Sets some fields, all or none. What is set to what it is writes nothing."""
        node, *above = self._find(node_id, within)
        wanted = read_fields(node.kind, fields)
        before = self._fields_of(node)
        changes = {name: value for name, value in wanted.items() if value != before[name]}
        self._check(cast("Fields", changes), above)
        if (tier := wanted.get("tier")) is not None:
            rules.check_tiers_below(tier, store.read_subtree(self._db, node.number)[1:], self._tiers())
        if changes:
            store.update_node(self._db, node.number, changes)
            if changes.get("billing") == "postpaid":  # never lowered again: what is in flight may still be owed then
                store.allow_debt(self._db, node.id)
            self._record(node, "change", {name: [before[name], value] for name, value in changes.items()})
        return self._view(node.id)

    def disable(self, node_id: str, reason: str = "", within: str | None = None) -> NodeView:
        """Suspends a node, and so every key below it, until it is enabled again."""
        node = self._find(node_id, within)[0]
        reason = read("reason", reason)
        if reason == REVOKED:
            raise InvalidRequest("That reason is kept for keys that are revoked.", param="reason", code="invalid_value")
        if node.disabled_at is None:
            store.disable_node(self._db, node.number, self._at, reason)
            self._record(node, "disable", {"reason": reason})
        return self._view(node.id)

    def enable(self, node_id: str, within: str | None = None) -> NodeView:
        """Takes a suspension back. Raises `Conflict` for a key that is revoked: that is for ever."""
        node = self._find(node_id, within)[0]
        if is_revoked(node):
            raise Conflict(f"{node.id} is revoked, and stays so. Make a new key.")
        if node.disabled_at is not None:
            store.enable_node(self._db, node.number)
            self._record(node, "enable", {"reason": node.disabled_reason})
        return self._view(node.id)

    def revoke(self, key_id: str, reason: str = "", within: str | None = None) -> NodeView:
        """Ends a key for ever. Of a second time the first moment stands."""
        node = self._find_key(key_id, within)
        reason = read("reason", reason)
        if not is_revoked(node):
            store.disable_node(self._db, node.number, self._at, REVOKED)
            self._record(node, "revoke", {"reason": reason})
        return self._view(node.id)

    def rotate(self, key_id: str, overlap_s: int = DEFAULT_OVERLAP_S, within: str | None = None) -> NewKey:
        """Gives a key a new text; those it has stay valid for ``overlap_s`` more, unless they end sooner."""
        node = self._find_key(key_id, within)
        overlap_s = read_number("overlap_s", overlap_s, 0, MAX_OVERLAP_S)
        if is_revoked(node):
            raise Conflict(f"{node.id} is revoked, and stays so. Make a new key.")
        expires_at = self._fields_of(node)["expires_at"]
        if expires_at is not None and expires_at <= self._at:
            raise Conflict(f"{node.id} has expired. Set its 'expires_at' first.")
        store.expire_secrets(self._db, node.number, self._at + overlap_s)
        self._record(node, "rotate", {"overlap_s": overlap_s})
        return self._new_text(node.id)

    def rows(self) -> Rows:
        """The rows that the operations so far have looked at or changed, and all above them, as they are now: what a
        directory is revised by when the transaction has committed.
        """
        nodes = {node.number: node for node_id in self._touched for node in store.read_line(self._db, node_id)}
        keys = [number for number, node in nodes.items() if node.kind == "key"]
        secrets = tuple(secret for number in keys for secret in store.read_secrets(self._db, number))
        details = tuple(one for number in keys if (one := store.read_details(self._db, number)) is not None)
        return Rows(tuple(nodes.values()), secrets, details)

    # --- parts -----------------------------------------------------------------------------------------------

    def _create(self, kind: str, above: tuple[Node, ...], wanted: Fields) -> str:
        """Stores a node below others, the nearest first. Returns its id."""
        if "name" not in wanted:
            raise missing("name").as_error()
        if above:
            rules.check_parent(kind, above[0])
        self._check(wanted, above)
        fresh = Node(
            number=0,
            id=mint_id(kind),
            kind=kind,
            parent=above[0].number if above else None,
            name=wanted["name"],
            created_at=self._at,
            budget=wanted.get("budget"),
            models=wanted.get("models"),
            kinds=wanted.get("kinds"),
            tier=wanted.get("tier"),
            billing=wanted.get("billing", "prepaid") if kind == "org" else None,
            safety=wanted.get("safety"),
        )
        number = store.insert_node(self._db, fresh)
        if kind == "key":
            permission, expires_at = wanted.get("permission", "write"), wanted.get("expires_at")
            store.insert_details(self._db, KeyDetails(number, permission, expires_at, wanted.get("owner", "")))
        said = {name: value for name, value in wanted.items() if value is not None}
        self._record(fresh, "create", {"parent_id": above[0].id if above else None, **said})
        return fresh.id

    def _check(self, wanted: Fields, above: Sequence[Node]) -> None:
        tiers = self._tiers()
        policies = self._house.policies() if self._house.policies is not None else None
        rules.check_known(wanted, tiers, self._house.kinds, policies)
        rules.check_inside(wanted, above, tiers)
        expires_at = wanted.get("expires_at")
        if expires_at is not None and expires_at <= self._at:
            message = "'expires_at' is not in the future. To end a key at once, revoke it."
            raise InvalidRequest(message, param="expires_at", code="invalid_value")

    def _tiers(self) -> rules.Tiers | None:
        return self._house.tiers() if self._house.tiers is not None else None

    def _find(self, node_id: str, within: str | None) -> tuple[Node, ...]:
        """A node and those above it, nearest first."""
        line = store.read_line(self._db, node_id)
        if not line or (within is not None and within not in {node.id for node in line}):
            raise not_found(node_id)
        self._touched[node_id] = None
        return line

    def _find_key(self, key_id: str, within: str | None) -> Node:
        node = self._find(key_id, within)[0]
        if node.kind != "key":
            raise not_found(key_id)
        return node

    def _fields_of(self, node: Node) -> dict[str, Any]:
        """All that may be changed of a node, as it is."""
        details = store.read_details(self._db, node.number)
        return {name: getattr(node if hasattr(node, name) else details, name) for name in FIELDS[node.kind]}

    def _new_text(self, key_id: str) -> NewKey:
        """Gives a key a text, its first or a further one."""
        number = store.read_line(self._db, key_id)[0].number
        minted = mint_key(self._house.pepper, self._house.key_prefix)
        store.add_secret(self._db, KeySecret(minted.digest, number, minted.hint, self._at))
        return NewKey(self._view(key_id), minted.text)

    def _record(self, node: Node, deed: str, detail: Mapping[str, Any]) -> None:
        self._touched[node.id] = None
        audit.record(self._db, self._at, self._actor, f"{node.kind}.{deed}", node.id, detail)

    def _view(self, node_id: str) -> NodeView:
        """A node as it is now."""
        node, *above = store.read_line(self._db, node_id)
        details = store.read_details(self._db, node.number)
        return NodeView(node, above[0].id if above else None, details, store.read_secrets(self._db, node.number))
