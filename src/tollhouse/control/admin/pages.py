"""Parts of lists. A page goes on after the last row of the one before: rows that come meanwhile shift nothing."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from tollhouse.control.admin.shapes import Page
from tollhouse.errors import InvalidRequest

T = TypeVar("T")
_MAX_DIGITS = 18


def page_of(rows: Sequence[T], name: Callable[[T], str], *, more: bool) -> Page[T]:
    """The page of these rows; ``name`` gives the id of one."""
    first, last = (name(rows[0]), name(rows[-1])) if rows else (None, None)
    return Page(data=list(rows), first_id=first, last_id=last, has_more=more)


def read_number(after: str | None, missing: int = 0) -> int:
    """The number that a list goes on after, of lists whose rows are numbered. Raises `InvalidRequest`."""
    if after is None:
        return missing
    if not after.isascii() or not after.isdigit() or len(after) > _MAX_DIGITS:
        raise InvalidRequest("Invalid 'after': expected the last_id of a page.", param="after", code="invalid_value")
    return int(after)
