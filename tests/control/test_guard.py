"""Who may do what an operator does."""

import pytest

from tollhouse.control.guard import Guard, name_actor
from tollhouse.errors import Forbidden, Unauthorized
from tollhouse.types.secret import Secret
from tollhouse.web.exchange import Exchange


class Nowhere:
    """A channel that leads nowhere."""

    def send(self, data: bytes) -> None:
        """See `Channel`."""

    async def writable(self) -> None:
        """See `Channel`."""

    def abort(self) -> None:
        """See `Channel`."""


def asking(**headers: bytes) -> Exchange:
    """A request with these headers."""
    exchange = Exchange(Nowhere(), "127.0.0.1", 0.0)
    exchange.headers = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return exchange


@pytest.mark.parametrize("given", [b"Bearer ", b"Bearer  ", b"Bearer x", b"bearer \t", b"Basic ", b"Bearer", b""])
def test_an_empty_admin_key_opens_nothing(given: bytes) -> None:
    """S10: where no key was ever made, no spelling of nothing is one."""
    with pytest.raises((Unauthorized, Forbidden)):
        Guard(Secret("")).authorise(asking(authorization=given))


def test_only_the_whole_key_is_the_key() -> None:
    """A prefix, a longer text and another case of it are refused; space around it is not part of it."""
    guard = Guard(Secret("sk-th-admin-Abc"))
    for wrong in (b"sk-th-admin-Ab", b"sk-th-admin-Abcd", b"SK-TH-ADMIN-ABC", b"sk-th-admin-Abc,x", b"\xff"):
        with pytest.raises(Forbidden):
            guard.authorise(asking(authorization=b"Bearer " + wrong))
    assert guard.authorise(asking(authorization=b"BEARER  sk-th-admin-Abc ")) == "admin"


@pytest.mark.parametrize(
    ("given", "actor"),
    [
        (b"", "admin"),
        (b"   ", "admin"),
        (b"eva", "admin/eva"),
        (b"cli/root", "admin/cli/root"),
        (b"eva@example.com", "admin/eva@example.com"),
        (b"a\x1b[2J\x00<b>", "admin/a__2J__b_"),
        (b"x" * 100, "admin/" + "x" * 64),
        ("caf\u00e9".encode(), "admin/caf_"),
        (b"\xff\xfe", "admin/__"),
    ],
)
def test_an_actor_is_a_harmless_name(given: bytes, actor: str) -> None:
    """What a caller calls itself stands in logs and audits: short, and of characters that mean nothing there."""
    assert name_actor(given) == actor
