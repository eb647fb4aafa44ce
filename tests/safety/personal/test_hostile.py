"""No text costs more than linear time: the work for each character is bounded whatever the text."""

import time

import pytest

from tollhouse.safety.personal.calls import mask_json
from tollhouse.safety.personal.finding import find
from tollhouse.safety.personal.kinds import KINDS
from tollhouse.safety.personal.vault import Vault

SEEDS = (
    *(
        "@",
        "1",
        "-",
        "a.a.a.",
        "a@",
        "@a.",
        "a@b.c",
        "1-",
        "1 ",
        "0",
        "01 ",
        "+",
        "+1",
        "+1 ",
        "(",
        ")1",
        "4111 ",
        "4111-",
    ),
    *(
        "DE89 ",
        "DE89",
        "de12",
        "sk-",
        "sk-a1",
        "eyJ",
        "eyJ-",
        "eyJa.",
        "eyJaaaaaaaa.",
        "AKIAQ3XEXAMPLE7654ZZ ",
        "-----BEGIN ",
    ),
    *(
        "-----BEGIN PRIVATE KEY-----",
        "://",
        "://a:",
        "://:",
        "password",
        "password=",
        'password = "',
        "token=aB3dE5gH7jK9",
    ),
    *("Bearer ", "Bearer a1", "xoxb-", "ghp_", "SG.a1a1a1a1a1a1a1a1a1.", ":", "::", "a:", "1:", "1.1.", "[", "[EMAIL"),
    *(
        "[EMAIL_1]",
        "[EMAIL\\_",
        "\\",
        "\\n",
        '\\"',
        '"',
        '"\\"',
        "1/",
        "123-45-",
        "tel 1",
        "call 1234567 ",
        "\uff10",
        "\u00a0",
    ),
    *("x@" + "a." * 120, "8 (495) ", "(415) 555-", "00 1", "a'@", "0123456789abcdef", "\u00e9@"),
)
SMALL_CHARS, TIMES = 16_000, 8
MOST_S_PER_CHAR = 20e-6
"""Ten times what the dearest takes; a quadratic pattern takes a hundred times that."""


def seconds(text: str) -> float:
    """What finding, masking and restoring a text takes."""
    begun = time.process_time()
    find(text, KINDS)
    vault = Vault(KINDS)
    vault.restore(vault.mask(text))
    mask_json(text, vault)
    return time.process_time() - begun


@pytest.mark.parametrize("seed", SEEDS)
def test_the_cost_of_a_text_grows_with_its_length_alone(seed: str) -> None:
    """Eight times the text costs about eight times as much, and no character costs much."""
    small, large = [(seed * (size // len(seed) + 1))[:size] for size in (SMALL_CHARS, SMALL_CHARS * TIMES)]
    took = seconds(large)
    assert took < MOST_S_PER_CHAR * len(large)
    assert took < 4 * TIMES * max(seconds(small), 0.002)
