"""The office of a running server: a change is in force when it is answered, whatever happens to who asked."""

import asyncio
import gc
from pathlib import Path

import pytest

from tests.tenancy.kit import PEPPER, Base, Ledger, family
from tollhouse.errors import InvalidRequest, StorageUnavailable, Unauthorized
from tollhouse.gateway.auth import Keyring
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.stores.tenancy import read_all, read_audit
from tollhouse.tenancy.directory import Directory
from tollhouse.tenancy.keys import digest_key
from tollhouse.tenancy.office import Office, operate


class Scene:
    """An office over a database, and the keyring that follows it."""

    def __init__(self, base: Base) -> None:
        self.base = base
        self.ring = Keyring(PEPPER, Ledger().number, lambda: base.now_s)
        self.versions: list[Directory] = []
        self.office = Office(base.write, base.read, base.house, self.follow)

    def follow(self, directory: Directory) -> None:
        """What the composition root does with a change."""
        self.versions.append(directory)
        self.ring.replace(directory)

    def knows(self, text: str) -> bool:
        """Whether a key is in force."""
        return self.office.directory.principal(digest_key(PEPPER, text), Ledger().number) is not None


@pytest.fixture
def scene(base: Base) -> Scene:
    """An office that has not read anything yet."""
    return Scene(base)


async def test_an_office_reads_the_tree_once_and_then_follows(scene: Scene) -> None:
    """Before the first reading it is stale; from then on each change publishes the next version."""
    *_, text = family(scene.base)
    assert scene.office.stale
    await scene.office.refresh()
    assert not scene.office.stale
    assert scene.knows(text)
    made = await scene.office.act("ada", lambda desk: desk.create_key("org_default", {"name": "new"}))
    assert scene.knows(made.text.reveal())
    assert len(scene.versions) == 2
    assert scene.versions[1] is scene.office.directory
    assert scene.office.directory.nodes == scene.base.directory().nodes
    rows = await scene.office.audit(limit=1)
    assert [(row.actor, row.action, row.subject) for row in rows] == [("ada", "key.create", made.view.node.id)]
    assert [row.action for row in await scene.office.audit(before=rows[0].id, subject="org_default")] == []


async def test_i23_a_revocation_is_in_force_when_it_is_answered(scene: Scene) -> None:
    """The very next request with the key is refused, by the same keyring that has just let it pass."""
    *_, key, text = family(scene.base)
    await scene.office.refresh()
    headers = {b"x-api-key": text.encode()}
    assert scene.ring.identify(headers).key_id == key
    await scene.office.act("ada", lambda desk: desk.revoke(key))
    with pytest.raises(Unauthorized, match="Incorrect API key"):
        scene.ring.identify(headers)


async def test_a_caller_that_goes_away_does_not_keep_a_revocation_from_being_in_force(scene: Scene) -> None:
    """A cancellation at any moment of the write leaves the change made and known, or not made at all."""
    for moments in range(6):
        key, text = (made := scene.base.call("create_key", "org_default", {"name": "k"})).view.node.id, made.text
        await scene.office.refresh()
        task = asyncio.ensure_future(scene.office.act("ada", lambda desk, key=key: desk.revoke(key)))  # type: ignore[misc]
        for _ in range(moments):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        for _ in range(10):
            await asyncio.sleep(0)
        revoked = scene.base.directory().nodes[scene.office.directory.numbers[key]].disabled_at is not None
        assert scene.knows(text.reveal()) is not revoked
        assert revoked or moments == 0


async def test_a_fault_that_nobody_waits_for_makes_no_noise(scene: Scene) -> None:
    """An operation that is refused after its caller has gone leaves no complaint of a task behind."""
    await scene.office.refresh()
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    task = asyncio.ensure_future(scene.office.act("ada", lambda desk: desk.create_org({"name": ""})))
    await asyncio.sleep(0)
    task.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    assert task.cancelled()
    gc.collect()
    assert complaints == []


async def test_a_refused_operation_changes_nothing(scene: Scene) -> None:
    """The fault comes through, no version is published, and the database is as it was."""
    await scene.office.refresh()
    before = scene.base.dump()
    with pytest.raises(InvalidRequest, match="name"):
        await scene.office.act("ada", lambda desk: desk.create_org({"name": ""}))
    assert scene.base.dump() == before
    assert len(scene.versions) == 1
    assert not scene.office.stale


async def test_several_steps_of_one_act_happen_together_or_not_at_all(scene: Scene) -> None:
    """When the second step is refused, the first has not happened either."""
    await scene.office.refresh()
    before = scene.base.dump()
    with pytest.raises(InvalidRequest):
        await scene.office.act(
            "ada", lambda desk: desk.create_key(desk.create_org({"name": "o"}).node.id, {"name": "k", "owner": 1})
        )
    assert scene.base.dump() == before
    made = await scene.office.act(
        "ada", lambda desk: desk.create_key(desk.create_org({"name": "o"}).node.id, {"name": "k"})
    )
    assert scene.knows(made.text.reveal())
    assert scene.office.directory.nodes == scene.base.directory().nodes


async def test_a_write_of_unknown_outcome_is_looked_up(scene: Scene) -> None:
    """When the answer of a commit is lost, the caller hears of it, and the next reading knows what happened."""
    *_, key, text = family(scene.base)
    await scene.office.refresh()
    scene.base.failure = StorageUnavailable("lost")
    with pytest.raises(StorageUnavailable):
        await scene.office.act("ada", lambda desk: desk.revoke(key))
    assert scene.office.stale
    await scene.office.refresh()
    assert not scene.office.stale
    assert not scene.knows(text)


async def test_trying_again_after_an_unknown_outcome_puts_it_in_force_at_once(scene: Scene) -> None:
    """A second revocation finds the first one in the database and tells the process, without another audit row."""
    *_, key, text = family(scene.base)
    await scene.office.refresh()
    scene.base.failure = StorageUnavailable("lost")
    with pytest.raises(StorageUnavailable):
        await scene.office.act("ada", lambda desk: desk.revoke(key))
    rows = len(scene.base.audit())
    await scene.office.act("ada", lambda desk: desk.revoke(key))
    assert not scene.knows(text)
    assert len(scene.base.audit()) == rows


async def test_what_an_unknown_outcome_made_does_not_confuse_what_follows(scene: Scene) -> None:
    """A node below one that the directory has not heard of is published with all that is above it."""
    await scene.office.refresh()
    scene.base.failure = StorageUnavailable("lost")
    with pytest.raises(StorageUnavailable):
        await scene.office.act("ada", lambda desk: desk.create_org({"name": "unheard of"}))
    (org,) = {node.id for node in scene.base.directory().children(None)} - {"org_default"}
    team = await scene.office.act("ada", lambda desk: desk.create_team(org, {"name": "t"}))
    made = await scene.office.act("ada", lambda desk: desk.create_key(team.node.id, {"name": "k"}))
    assert scene.knows(made.text.reveal())
    assert scene.office.stale


async def test_operations_take_their_turns(scene: Scene) -> None:
    """Fifty at once end in the same tree in the process as in the database, with an audit row each."""
    await scene.office.refresh()
    acts = [
        scene.office.act("ada", lambda desk, n=number: desk.create_key("org_default", {"name": f"{n}"}))  # type: ignore[misc]
        for number in range(50)
    ]
    made = await asyncio.gather(*acts)
    assert len({one.view.node.number for one in made}) == 50
    assert scene.office.directory == scene.base.directory()
    assert len(scene.base.audit()) == 50
    raises = [scene.office.act("ada", lambda desk: desk.revoke(made[0].view.node.id)) for _ in range(5)]
    assert len({view.node.disabled_at for view in await asyncio.gather(*raises)}) == 1
    assert len(scene.base.audit()) == 51
    await asyncio.sleep(0)
    assert not scene.office._running, "what is done was kept"


async def test_what_follows_a_change_is_done_before_it_is_answered_even_when_nobody_waits(base: Base) -> None:
    """Who has to look something up follows each version in its turn; a caller that has gone does not stop it, and where
    the store fails it is asked again with the next reading.
    """
    adopted: list[Directory] = []
    fails = False

    async def adopt(directory: Directory) -> None:
        await asyncio.sleep(0)
        if fails:
            raise StorageUnavailable("down")
        adopted.append(directory)

    office = Office(base.write, base.read, base.house, lambda _: None, adopt)
    await office.refresh()
    await office.act("ada", lambda desk: desk.create_org({"name": "o", "budget": {"limit_usd": "1"}}))
    assert adopted[-1] is office.directory
    task = asyncio.ensure_future(office.act("ada", lambda desk: desk.create_org({"name": "p"})))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    assert task.cancelled()
    assert len(adopted) == 3
    assert adopted[-1] is office.directory
    fails = True
    with pytest.raises(StorageUnavailable):
        await office.act("ada", lambda desk: desk.create_org({"name": "q"}))
    assert office.stale
    fails = False
    await office.refresh()
    assert not office.stale
    assert len(adopted[-1].children(None)) == 4


async def test_the_same_operations_serve_the_command_line_without_a_server(base: Base, tmp_path: Path) -> None:
    """On the store itself an operation is one transaction: kept whole with its audit row, or not at all; and a reader
    cannot write.
    """
    store = SqliteStore(tmp_path / "own.db")
    made, rows = store.write_now(
        lambda db: operate(db, base.house, "cli", lambda desk: desk.create_key("org_default", {"name": "laptop"}))
    )
    directory = Directory().revise(store.read_now(read_all))
    assert directory.revise(rows) == directory
    principal = directory.principal(digest_key(PEPPER, made.text.reveal()), Ledger().number)
    assert principal is not None
    assert principal.key_id == made.view.node.id
    with pytest.raises(InvalidRequest):
        store.write_now(
            lambda db: operate(
                db, base.house, "cli", lambda desk: (desk.create_org({"name": "o"}), desk.create_org({"name": ""}))
            )
        )
    assert Directory().revise(store.read_now(read_all)) == directory
    assert [row.action for row in store.read_now(read_audit)] == ["key.create"]
    with pytest.raises(StorageUnavailable):
        store.read_now(lambda db: operate(db, base.house, "cli", lambda desk: desk.create_org({"name": "o"})))
    store.close()


async def test_f6_a_database_that_is_down_leaves_the_tree_as_it_was_read(base: Base) -> None:
    """A refresh that fails raises, and what was known stays in force."""
    *_, text = family(base)
    scene = Scene(base)
    await scene.office.refresh()
    base.is_down = True
    with pytest.raises(StorageUnavailable):
        await scene.office.refresh()
    assert scene.knows(text)
