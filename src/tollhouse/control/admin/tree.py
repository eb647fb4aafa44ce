"""Organisations, teams, users and keys: lists, single ones, and every change, each through `tenancy.office`.

The four differ in what is shown of them and in what may be written; all else is one set of handlers. A change is in
force when it is answered: durable, in the directory that requests read, and in the wallet that bounds them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from math import inf
from typing import Any

from msgspec import UNSET, Struct, to_builtins

from tollhouse.control.admin.pages import page_of
from tollhouse.control.admin.shapes import (
    Budget,
    Disabling,
    Key,
    KeyChange,
    KeyHint,
    KeyWithText,
    Listing,
    NewKeyShape,
    NewOrganization,
    NewTeam,
    NewUser,
    NodeChange,
    Organization,
    OrganizationChange,
    Page,
    Rotation,
    Team,
    User,
)
from tollhouse.control.admin.table import Call, Endpoint, Work
from tollhouse.tenancy.desk import Desk, NewKey
from tollhouse.tenancy.directory import Directory, NodeView, is_revoked, not_found
from tollhouse.tenancy.office import Office
from tollhouse.types.money import format_usd
from tollhouse.types.tenancy import KeySecret, Node


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of node: its words, the structs it is read and shown by, and which field of a new one is its parent."""

    name: str
    word: str
    plural: str
    shape: type[Struct]
    new: type[Struct]
    change: type[Struct]
    parent: str = ""


KINDS = (
    Kind("org", "organization", "organizations", Organization, NewOrganization, OrganizationChange),
    Kind("team", "team", "teams", Team, NewTeam, NodeChange, "organization_id"),
    Kind("user", "user", "users", User, NewUser, NodeChange, "parent_id"),
    Kind("key", "key", "keys", Key, NewKeyShape, KeyChange, "parent_id"),
)


class Tree:
    """The handlers. The office answers when a change is durable and in force."""

    def __init__(self, office: Office, clock_s: Callable[[], float] = time.time) -> None:
        self._office = office
        self._clock_s = clock_s

    # --- the rows --------------------------------------------------------------------------------------------

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The rows of this module."""
        one = "/admin/keys/{id}"
        rotated = "Give a key a new text; the old ones stay valid for a while. The new one is shown once."
        return (
            *(row for kind in KINDS for row in self._of_kind(kind)),
            Endpoint(
                *("POST", f"{one}/rotate", "rotate_key", rotated, self.rotate, KeyWithText),
                body=Rotation,
            ),
            Endpoint(
                *("POST", f"{one}/revoke", "revoke_key", "End a key for ever, at once.", self.revoke, Key),
                body=Disabling,
            ),
        )

    def _of_kind(self, kind: Kind) -> tuple[Endpoint, ...]:
        many, one = f"/admin/{kind.plural}", f"/admin/{kind.plural}/{{id}}"
        word, shape = kind.word, kind.shape
        made = KeyWithText if kind.name == "key" else shape
        a = "an" if kind.name == "org" else "a"
        shown = " Its text is shown once." if kind.name == "key" else ""
        listed = Page[shape]  # type: ignore[valid-type]
        return (
            Endpoint(
                *("GET", many, f"list_{kind.plural}", f"List {kind.plural}, oldest first.", self._list(kind), listed),
                query=Listing,
            ),
            Endpoint(
                *("POST", many, f"create_{word}", f"Make {a} {word}.{shown}", self._create(kind), made),
                body=kind.new,
                status=201,
            ),
            Endpoint("GET", one, f"get_{word}", f"Show {a} {word}.", self._get(kind), shape),
            Endpoint(
                *("PATCH", one, f"update_{word}", f"Change {a} {word}.", self._update(kind), shape),
                body=kind.change,
            ),
            Endpoint(
                *("POST", f"{one}/disable", f"disable_{word}", f"Suspend {a} {word} and all below it."),
                *(self._switch(kind, on=False), shape),
                body=Disabling,
            ),
            Endpoint(
                *("POST", f"{one}/enable", f"enable_{word}", f"Take the suspension of {a} {word} back."),
                *(self._switch(kind, on=True), shape),
            ),
        )

    # --- reading ---------------------------------------------------------------------------------------------

    def _list(self, kind: Kind) -> Work:
        async def answer(call: Call) -> Page[Any]:
            directory, query = self._office.directory, call.query
            views = directory.select(kind.name, query.under, query.after)
            wanted = (view for view in views if query.status is None or self._status(view, directory) == query.status)
            found = list(islice(wanted, query.limit + 1))
            shown = [self._show(view, directory) for view in found[: query.limit]]
            return page_of(shown, _id_of, more=len(found) > query.limit)

        return answer

    def _get(self, kind: Kind) -> Work:
        async def answer(call: Call) -> Struct:
            directory = self._office.directory
            find_node(directory, call.id, kind.name)
            return self._show(directory.view(call.id), directory)

        return answer

    # --- writing ---------------------------------------------------------------------------------------------

    def _create(self, kind: Kind) -> Work:
        async def answer(call: Call) -> Struct:
            fields = {name: value for name, value in _written(call.body).items() if value is not None}
            parent_id = fields.pop(kind.parent, "")
            made: NodeView | NewKey = await self._act(call, lambda desk: create(desk, kind.name, parent_id, fields))
            if isinstance(made, NewKey):
                return self._show(made.view, self._office.directory, made.text.reveal())
            return self._show(made, self._office.directory)

        return answer

    def _update(self, kind: Kind) -> Work:
        async def answer(call: Call) -> Struct:
            find_node(self._office.directory, call.id, kind.name)
            fields = _written(call.body)
            view = await self._act(call, lambda desk: desk.change(call.id, fields))
            return self._show(view, self._office.directory)

        return answer

    def _switch(self, kind: Kind, *, on: bool) -> Work:
        async def answer(call: Call) -> Struct:
            find_node(self._office.directory, call.id, kind.name)

            def work(desk: Desk) -> NodeView:
                return desk.enable(call.id) if on else desk.disable(call.id, call.body.reason)

            return self._show(await self._act(call, work), self._office.directory)

        return answer

    async def rotate(self, call: Call) -> Struct:
        """A new text for a key."""
        find_node(self._office.directory, call.id, "key")
        made = await self._act(call, lambda desk: desk.rotate(call.id, call.body.overlap_s))
        return self._show(made.view, self._office.directory, made.text.reveal())

    async def revoke(self, call: Call) -> Struct:
        """The end of a key."""
        find_node(self._office.directory, call.id, "key")
        view = await self._act(call, lambda desk: desk.revoke(call.id, call.body.reason))
        return self._show(view, self._office.directory)

    async def _act(self, call: Call, work: Callable[[Desk], Any]) -> Any:
        return await self._office.act(call.actor, work)

    # --- showing ---------------------------------------------------------------------------------------------

    def _show(self, view: NodeView, directory: Directory, text: str | None = None) -> Struct:
        """A node as it is answered; with ``text``, a key that was made just now."""
        node = view.node
        shared = {
            "id": node.id,
            "name": node.name,
            "created_at": node.created_at,
            "status": self._status(view, directory),
            "budget": show_budget(node),
            "models": None if node.models is None else list(node.models),
            "kinds": None if node.kinds is None else list(node.kinds),
            "tier": node.tier,
            "safety": node.safety,
            "disabled_at": node.disabled_at,
            "disabled_reason": node.disabled_reason,
        }
        if node.kind == "org":
            return Organization(**shared, billing=node.billing)  # type: ignore[arg-type]
        org_id = directory.line(node.number)[-1].id
        if node.kind == "team":
            return Team(**shared, organization_id=org_id)  # type: ignore[arg-type]
        shared |= {"parent_id": view.parent_id, "organization_id": org_id}
        if node.kind == "user" or view.details is None:
            return User(**shared)  # type: ignore[arg-type]
        secrets = [KeyHint(one.hint, one.created_at, one.expires_at) for one in sorted(view.secrets, key=_age)]
        shared |= {
            "permission": view.details.permission,
            "expires_at": view.details.expires_at,
            "revoked_at": node.disabled_at if is_revoked(node) else None,
            "owner": view.details.owner,
            "hint": secrets[-1].hint if secrets else "",
            "secrets": secrets,
        }
        return Key(**shared) if text is None else KeyWithText(**shared, key=text)  # type: ignore[arg-type]

    def _status(self, view: NodeView, directory: Directory) -> str:
        """What stands in the way of a node, the most final first."""
        if is_revoked(view.node):
            return "revoked"
        if view.node.disabled_at is not None:
            return "disabled"
        if directory.suspended(view.node.number):
            return "suspended"
        details = view.details
        expired = details is not None and details.expires_at is not None and details.expires_at <= self._clock_s()
        return "expired" if expired else "active"


def create(desk: Desk, kind: str, parent_id: str, fields: dict[str, Any]) -> NodeView | NewKey:
    """A new node of a kind."""
    if kind == "org":
        return desk.create_org(fields)
    if kind == "team":
        return desk.create_team(parent_id, fields)
    return desk.create_user(parent_id, fields) if kind == "user" else desk.create_key(parent_id, fields)


def find_node(directory: Directory, node_id: str, kind: str) -> Node:
    """The node of a kind with an id. Raises `ObjectNotFound`, also for an id of another kind."""
    node = directory.find(node_id)
    if node is None or node.kind != kind:
        raise not_found(node_id)
    return node


def show_budget(node: Node) -> Budget | None:
    """A node's own budget."""
    budget = node.budget
    if budget is None:
        return None
    return Budget(limit_usd=format_usd(budget.limit_nusd), period=budget.period, zone=budget.zone)  # type: ignore[arg-type]


def _written(body: Struct) -> dict[str, Any]:
    """The fields that a request gave, as the office reads them."""
    given = {name: getattr(body, name) for name in body.__struct_fields__}
    return {name: to_builtins(value) for name, value in given.items() if value is not UNSET}


def _age(secret: KeySecret) -> tuple[int, float]:
    """Oldest first; of two made in one second, the one that ends first."""
    return secret.created_at, inf if secret.expires_at is None else secret.expires_at


def _id_of(shown: Any) -> str:
    return str(shown.id)
