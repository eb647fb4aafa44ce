"""What a request needs, said in one expression."""

from typing import Any

from tollhouse.gateway.needs import Needs


def needs_of(kind: str, text: int, **more: Any) -> Needs:
    """The needs of an endpoint, with what is said of them."""
    needs = Needs(kind, text)
    for name, value in more.items():
        setattr(needs, name, value)
    return needs
