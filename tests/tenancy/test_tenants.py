"""Two tenants side by side: no id of one opens anything in a call for the other (S09)."""

from typing import Any

import pytest

from tests.tenancy.kit import Base, family
from tollhouse.errors import ObjectNotFound

DEEDS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("create_team", ({"name": "x"},)),
    ("create_user", ({"name": "x"},)),
    ("create_key", ({"name": "x"},)),
    ("change", ({"name": "stolen"},)),
    ("disable", ("mine",)),
    ("enable", ()),
    ("revoke", ("mine",)),
    ("rotate", (60,)),
)


@pytest.mark.parametrize(("deed", "given"), DEEDS, ids=[deed for deed, _ in DEEDS])
def test_s09_an_id_of_another_tenant_does_not_exist(base: Base, deed: str, given: tuple[Any, ...]) -> None:
    """Every operation that is limited to one tenant, or to one team of it, answers for every id outside as it does for
    an id that nothing has, and writes nothing.
    """
    mine, theirs = family(base, "mine"), family(base, "theirs")
    before = base.dump()
    swaps = [(node_id, mine[0]) for node_id in theirs[:4]] + [(node_id, theirs[1]) for node_id in mine[:4]]
    swaps += [(mine[0], mine[1]), (mine[1], mine[2]), (mine[2], mine[3]), (mine[3], "org_none"), (mine[3], "")]
    for node_id, within in swaps:
        with pytest.raises(ObjectNotFound) as caught:
            base.call(deed, node_id, *given, within)
        with pytest.raises(ObjectNotFound) as unknown:
            base.call(deed, "key_unknown", *given, within)
        assert caught.value.message.replace(node_id, "key_unknown") == unknown.value.message
    assert base.dump() == before


def test_s09_inside_its_tenant_a_node_is_found(base: Base) -> None:
    """Every node is within itself and within each node above it."""
    line = family(base)[:4]
    for index, node_id in enumerate(line):
        for outer in line[: index + 1]:
            assert base.call("change", node_id, {"name": f"{index}"}, outer).node.id == node_id


def test_s09_reading_is_limited_as_writing_is(base: Base) -> None:
    """What a directory shows of one tenant holds nothing of another, for every pair of ids."""
    mine, theirs = family(base, "mine"), family(base, "theirs")
    directory = base.directory()
    for node_id in theirs[:4]:
        for within in (*mine[:4], "org_default", "none"):
            with pytest.raises(ObjectNotFound):
                directory.view(node_id, within)
        assert directory.view(node_id, theirs[0]).node.id == node_id
    for kind, index in (("org", 0), ("team", 1), ("user", 2), ("key", 3)):
        assert [view.node.id for view in directory.select(kind, mine[0])] == [mine[index]]
        assert {view.node.id for view in directory.select(kind)} >= {mine[index], theirs[index]}
    with pytest.raises(ObjectNotFound):
        directory.select("key", "org_none")
    with pytest.raises(ObjectNotFound):
        directory.select("key", after="key_none")
