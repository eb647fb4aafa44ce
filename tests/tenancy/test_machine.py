"""Any sequence of operations, against the database itself and a model of what a key may do."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from tests.tenancy.kit import PEPPER, Base, Ledger
from tollhouse.errors import ClientFault
from tollhouse.stores.tenancy import read_all
from tollhouse.tenancy.desk import Desk, NewKey
from tollhouse.tenancy.directory import Directory
from tollhouse.tenancy.keys import digest_key
from tollhouse.tenancy.office import operate

FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["a", "b", ""]),
        "budget": st.sampled_from([None, {"limit_usd": "1"}, {"limit_usd": "2", "period": "day"}, {"limit_usd": "-1"}]),
        "models": st.sampled_from([None, ["openai/*"], ["openai/gpt-4o"], ["mistral/x"], []]),
        "kinds": st.sampled_from([None, ["embeddings"], ["images/*"], ["nothing"]]),
        "tier": st.sampled_from([None, "free", "starter", "paid", "gold"]),
    },
)


class Tree(RuleBasedStateMachine):
    """Two directories follow: one by revisions, one is read anew. They must never differ."""

    nodes = Bundle("nodes")
    texts = Bundle("texts")

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.base = Base(Path(self.folder.name) / "t.db")
        self.directory = self.base.directory()
        self.changes = 0
        self.dead: set[str] = set()
        self.owners: dict[str, str] = {}

    def teardown(self) -> None:
        """Closes the database."""
        self.base.db.close()
        self.folder.cleanup()

    def act(self, work: Callable[[Desk], Any]) -> Any:
        """One operation; None when it was refused, and then the database is as it was."""
        before = self.base.dump()
        try:
            result, rows = self.base.write_now(lambda db: operate(db, self.base.house, "machine", work))
        except ClientFault:
            assert self.base.dump() == before
            return None
        self.changes += self.base.dump() != before
        self.directory = self.directory.revise(rows)
        return result

    @rule(target=nodes)
    def start(self) -> Any:
        """The organisation that is always there."""
        return "org_default"

    @rule(target=nodes, fields=FIELDS)
    def create_org(self, fields: dict[str, Any]) -> Any:
        """An organisation, if its fields are good."""
        view = self.act(lambda desk: desk.create_org({"name": "o", **fields}))
        return multiple() if view is None else view.node.id

    @rule(target=nodes, kind=st.sampled_from(["create_team", "create_user"]), parent=nodes, fields=FIELDS)
    def create_node(self, kind: str, parent: str, fields: dict[str, Any]) -> Any:
        """A team or a user below anything, if that may be."""
        view = self.act(lambda desk: getattr(desk, kind)(parent, {"name": "n", **fields}))
        return multiple() if view is None else view.node.id

    @rule(target=texts, parent=nodes, fields=FIELDS)
    def create_key(self, parent: str, fields: dict[str, Any]) -> Any:
        """A key below anything, if that may be."""
        return self.keep(self.act(lambda desk: desk.create_key(parent, {"name": "k", **fields})))

    @rule(target=texts, text=texts, overlap_s=st.sampled_from([0, 5, 50, -1]))
    def rotate(self, text: str, overlap_s: int) -> Any:
        """Another text for a key."""
        return self.keep(self.act(lambda desk: desk.rotate(self.owners[text], overlap_s)))

    def keep(self, made: NewKey | None) -> Any:
        """Remembers whose a text is."""
        if made is None:
            return multiple()
        self.owners[made.text.reveal()] = made.view.node.id
        return made.text.reveal()

    @rule(node_id=nodes, fields=FIELDS)
    def change(self, node_id: str, fields: dict[str, Any]) -> None:
        """New fields for a node."""
        self.act(lambda desk: desk.change(node_id, fields))

    @rule(text=texts, fields=FIELDS)
    def change_key(self, text: str, fields: dict[str, Any]) -> None:
        """New fields for a key."""
        self.act(lambda desk: desk.change(self.owners[text], fields))

    @rule(node_id=nodes, deed=st.sampled_from(["disable", "enable", "revoke"]))
    def switch(self, node_id: str, deed: str) -> None:
        """A node is switched off or on."""
        self.act(lambda desk: getattr(desk, deed)(node_id))

    @rule(text=texts, deed=st.sampled_from(["disable", "enable", "revoke"]))
    def switch_key(self, text: str, deed: str) -> None:
        """A key is switched off or on, or ended."""
        if self.act(lambda desk: getattr(desk, deed)(self.owners[text])) is not None and deed == "revoke":
            self.dead.add(self.owners[text])

    @rule(seconds=st.integers(0, 60))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.base.now_s += seconds

    @invariant()
    def revisions_equal_the_database(self) -> None:
        """What is in force in the process is what is stored."""
        fresh = Directory().revise(read_all(self.base.db))
        assert self.directory.nodes == fresh.nodes
        assert self.directory.numbers == fresh.numbers
        assert self.directory.secrets == fresh.secrets
        assert self.directory.details == fresh.details
        assert {key: set(own) for key, own in self.directory.texts.items()} == {
            key: set(own) for key, own in fresh.texts.items()
        }
        for number in (None, *fresh.nodes):
            assert self.directory.children(number) == fresh.children(number)

    @invariant()
    def every_change_is_in_the_audit(self) -> None:
        """One row for each change, and none for anything else (I28)."""
        assert len(self.base.audit()) == self.changes

    @invariant()
    def nobody_lives_who_was_ended(self) -> None:
        """A revoked key is nobody for ever; any other is limited by everything above it."""
        for text, key_id in self.owners.items():
            principal = self.directory.principal(digest_key(PEPPER, text), Ledger().number)
            node = self.directory.find(key_id)
            assert node is not None
            assert (principal is None) == (node.disabled_at is not None)
            assert key_id not in self.dead or principal is None
            if principal is not None:
                line = self.directory.line(node.number)
                assert principal.models == tuple(one.models for one in line if one.models is not None)
                assert principal.chain.nodes == tuple(one.number for one in line)
                assert line[-1].kind == "org"


Tree.TestCase.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
TestTree = Tree.TestCase
