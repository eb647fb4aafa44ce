"""Safety policies on the nodes of the tree: who names one, and what a key has of them."""

from dataclasses import replace

import pytest

from tests.tenancy.kit import PEPPER, Base, Ledger, family
from tollhouse.errors import InvalidRequest
from tollhouse.tenancy.keys import digest_key
from tollhouse.types.tenancy import Principal


def principal(base: Base, text: str) -> Principal:
    """Who a key is now."""
    found = base.directory().principal(digest_key(PEPPER, text), Ledger().number)
    assert found is not None
    return found


def test_a_key_has_the_policies_of_its_whole_chain(base: Base) -> None:
    """Its own first; each once; nodes that name none add nothing."""
    org, team, user, key, text = family(base)
    assert principal(base, text).safety == ()
    for node, policy in ((org, "strict"), (team, "public"), (user, "strict"), (key, "mine")):
        base.call("change", node, {"safety": policy})
    assert principal(base, text).safety == ("mine", "strict", "public")
    base.call("change", org, {"safety": None})
    base.call("change", user, {"safety": None})
    assert principal(base, text).safety == ("mine", "public")


def test_a_new_key_may_name_one(base: Base) -> None:
    """What is stored is what was given, and it is in the audit."""
    made = base.call("create_key", "org_default", {"name": "k", "safety": "strict"})
    assert made.view.node.safety == "strict"
    assert base.directory().view(made.view.node.id).node.safety == "strict"


def test_a_policy_that_does_not_exist_is_refused(base: Base) -> None:
    """The message names those that exist; where nobody knows which do, any name passes."""
    base.house = replace(base.house, policies=lambda: ("strict", "public"))
    with pytest.raises(InvalidRequest, match=r"no safety policy 'lax'. Known are: 'public' and 'strict'") as caught:
        base.call("create_key", "org_default", {"name": "k", "safety": "lax"})
    assert caught.value.param == "safety"
    base.call("create_key", "org_default", {"name": "k", "safety": "public"})
    base.house = replace(base.house, policies=None)
    base.call("create_key", "org_default", {"name": "k", "safety": "lax"})


@pytest.mark.parametrize("name", ["", 3, "x" * 65, "a\nb"])
def test_a_name_is_one_short_line(base: Base, name: object) -> None:
    """It goes into logs, so it holds no control characters."""
    with pytest.raises(InvalidRequest) as caught:
        base.call("create_key", "org_default", {"name": "k", "safety": name})
    assert caught.value.param == "safety"
