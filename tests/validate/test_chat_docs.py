"""The page of chat parameters says what the rules do."""

from tests.validate.parameter_table import PAGE, renew
from tollhouse.validate.chat import FIELDS
from tollhouse.validate.hosts import HOST_FIELDS


def test_the_table_of_parameters_is_in_step_with_the_rules() -> None:
    """The table that users read is the one that requests are checked by."""
    page = PAGE.read_text()
    assert page == renew(page), "run: python tests/validate/parameter_table.py"


def test_every_parameter_and_every_refused_field_is_documented() -> None:
    """A user finds each name in the page."""
    page = PAGE.read_text()
    assert [name for name in (*FIELDS, *HOST_FIELDS) if f"`{name}`" not in page] == []
