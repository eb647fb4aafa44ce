"""Masking and restoring of texts: what goes in comes out, and nothing else does."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.safety.personal.examples import CARDS, IBANS, KEYS, PRIVATE_KEY
from tollhouse.errors import InvalidRequest
from tollhouse.safety.personal.kinds import KINDS
from tollhouse.safety.personal.vault import MOST_VALUES, Vault

PIECES = st.sampled_from(
    [
        *(
            "eva@example.com",
            "ada@example.org",
            "+49 30 123456",
            CARDS[0],
            IBANS[0],
            "123-45-6789",
            KEYS[0],
            PRIVATE_KEY,
        ),
        *("[EMAIL_1]", "[email_2]", r"[PHONE\_1]", "[EMAIL_", "EMAIL_1]", "[", "]", "_1", "\\", '"', "\n", " ", ", "),
        'password="a\\"b1!cdefg"',
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=6), max_size=12).map("".join)


def test_values_become_numbered_placeholders() -> None:
    """Each kind counts for itself, in the order of the text."""
    text = f"eva@example.com, ada@example.org, {CARDS[0]}, eva@example.com"
    assert Vault().mask(text) == "[EMAIL_1], [EMAIL_2], [CARD_1], [EMAIL_1]"


def test_a_value_keeps_its_placeholder_through_all_texts() -> None:
    """The same value in another text has the same placeholder, a new one the next number."""
    vault = Vault()
    assert vault.mask("ada@example.org") == "[EMAIL_1]"
    assert vault.mask("eva@example.com and ada@example.org") == "[EMAIL_2] and [EMAIL_1]"


def test_a_text_without_personal_data_is_the_same_object() -> None:
    """Nothing is copied, and the vault stays empty."""
    vault, text = Vault(), "Nothing [to] see [1] here."
    assert vault.mask(text) is text
    assert not vault
    assert not vault.found
    assert vault.restore("[EMAIL_1]") == "[EMAIL_1]"


@given(TEXTS)
def test_restoring_undoes_masking(text: str) -> None:
    """Whatever a text holds, also what looks like placeholders, it comes back as it was."""
    vault = Vault(KINDS)
    assert vault.restore(vault.mask(text)) == text


@given(TEXTS, TEXTS)
def test_restoring_undoes_masking_of_several_texts(first: str, second: str) -> None:
    """The same after another text, whichever placeholders that took."""
    vault = Vault(KINDS)
    masked = vault.mask(first), vault.mask(second)
    assert (vault.restore(masked[0]), vault.restore(masked[1])) == (first, second)


def test_a_literal_placeholder_is_not_mistaken_for_ours() -> None:
    """Words of the prompt that look like a placeholder get one of their own."""
    vault = Vault()
    masked = vault.mask("eva@example.com instead of [EMAIL_1]")
    assert masked == "[EMAIL_1] instead of [EMAIL_2]"
    assert vault.restore("[EMAIL_2] is eva: [EMAIL_1]") == "[EMAIL_1] is eva: eva@example.com"


@pytest.mark.parametrize(
    "written", ["[EMAIL_1]", "[email_1]", "[Email_1]", r"[EMAIL\_1]", "**[EMAIL_1]**", "<[EMAIL_1]>"]
)
def test_a_placeholder_is_known_as_models_write_it(written: str) -> None:
    """Its case may change, and markdown may escape its underscore."""
    vault = Vault()
    vault.mask("eva@example.com")
    bare = vault.restore(written).strip("*<>")
    assert bare == "eva@example.com"


@pytest.mark.parametrize(
    "written", ["EMAIL_1", "[EMAIL_2]", "[PHONE_1]", "[EMAIL 1]", "[EMAIL_01]", "{EMAIL_1}", "[EMAIL_1"]
)
def test_other_words_are_left(written: str) -> None:
    """What was not given out, or lacks its brackets, is the model's own word."""
    vault = Vault()
    vault.mask("eva@example.com")
    assert vault.restore(written) == written


def test_restored_json_stays_json() -> None:
    """Quotes, backslashes and line breaks of a value are escaped inside a string."""
    vault = Vault()
    value = 'a"b\\c\nd'
    placeholder = vault.hide(value, "secret")
    assert json.loads(vault.restore_json(json.dumps({"x": f"<{placeholder}>"}))) == {"x": f"<{value}>"}
    assert json.loads(vault.restore_json('{"x": "[SECRET\\\\_1]"}')) == {"x": value}


def test_a_request_has_only_so_many_values() -> None:
    """The next is refused by a code, whether found or known, without a word of it; those before are still restored."""
    vault = Vault()
    vault.mask(" ".join([f"e{number}@example.com" for number in range(MOST_VALUES)]))
    assert vault.mask("e7@example.com") == "[EMAIL_8]"
    for refuse in (vault.mask, lambda value: vault.hide(value, "secret")):
        with pytest.raises(InvalidRequest) as refused:
            refuse("eva@example.com")
        assert refused.value.code == "too_much_personal_data"
        assert "eva" not in refused.value.message
    assert vault.restore(f"[EMAIL_{MOST_VALUES}]") == f"e{MOST_VALUES - 1}@example.com"


def test_findings_tell_kinds_and_never_values() -> None:
    """An annotation names what was masked in Azure's words; neither it nor the vault's repr shows a value."""
    vault = Vault()
    vault.mask(f"eva@example.com {CARDS[0]}")
    entry = {"filtered": False, "detected": True, "redacted": True}
    assert vault.findings() == {
        **entry,
        "sub_categories": [{"sub_category": name, **entry} for name in ("Email", "CreditCardNumber")],
    }
    assert repr(vault) == "Vault(2 values)"


def test_findings_of_nothing_say_so() -> None:
    """A vault without anything tells that nothing was detected or redacted."""
    told = {"filtered": False, "detected": False, "redacted": False, "sub_categories": []}
    vault = Vault()
    vault.mask("[EMAIL_1]")
    assert vault.findings() == told


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *(("a [EMAIL_1] b", 13), ("a [", 2), ("a [EMA", 2), ("a [EMAIL_1", 2), ("a [ema", 2), ("a [EMAIL\\_", 2)),
        *(("a [PHONE", 8), ("a [x", 4), ("[EMAIL_2", 8), ("[EMAIL_1]", 9), ("", 0), ("[ ", 2), ("[[", 1)),
    ],
)
def test_only_the_beginning_of_a_placeholder_in_use_is_unsettled(text: str, size: int) -> None:
    """What cannot become a placeholder that was given out is settled."""
    vault = Vault()
    vault.mask("eva@example.com")
    assert vault.settled(text) == size


@pytest.mark.parametrize(
    ("text", "waits"),
    [
        *(("[EMAIL_1", True), ("[EMAIL_12", True), ("[EMAIL_13", False), ("[EMAIL_0", False), ("[EMAIL_01", False)),
        *(("[EMAIL_10]", False), ("[EMAIL_\u0661", False), ("[SSN_", False), ("[E", True), ("[_", False)),
    ],
)
def test_a_number_that_was_given_out_may_follow(text: str, waits: bool) -> None:
    """Of twelve values ``1`` may be the first, or the beginning of the tenth; ``13`` is neither."""
    vault = Vault()
    vault.mask(" ".join([f"e{number}@example.com" for number in range(12)]))
    assert vault.settled(text) == (0 if waits else len(text))
