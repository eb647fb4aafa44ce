"""Headers of a client's own."""

import pytest

from tollhouse.validate.headers import accept_request_id


@pytest.mark.parametrize("value", ["a", "req_1", "0b9c:1.2-3", "x" * 128])
def test_a_plain_request_id_is_kept(value: str) -> None:
    """A client's own request id is used when it is short and plain."""
    assert accept_request_id(value) == value


@pytest.mark.parametrize("value", [None, "", "x" * 129, "a b", "a\n", "a\r\nx: y", "é", "\u0661", "a/b", '"'])
def test_other_request_ids_are_replaced(value: str | None) -> None:
    """An id that could break a log line or a header is not used."""
    assert accept_request_id(value) is None
