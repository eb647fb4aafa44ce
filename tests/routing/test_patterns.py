"""Patterns of models mean what `fnmatch` means by ``*``, and nothing else is special."""

import re

from hypothesis import given
from hypothesis import strategies as st

from tollhouse.routing.patterns import Patterns
from tollhouse.types.calls import Host, Target

NAMES = st.text("ab/AB[?", min_size=1, max_size=6)


@given(st.lists(st.text("ab*/A[?", min_size=1, max_size=7), max_size=4), NAMES, NAMES)
def test_a_star_is_anything_and_case_does_not_matter(patterns: list[str], host: str, model: str) -> None:
    """A pattern fits a target by its id, or by the name that its host knows."""
    target = Target(Host(host, ""), model)
    meant = [re.escape(pattern.lower()).replace(r"\*", ".*") for pattern in patterns]
    expected = any(re.fullmatch(one, name.lower()) for one in meant for name in (target.id, model))
    assert Patterns(patterns).fits(target) == expected
