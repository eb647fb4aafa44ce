"""Terms of block lists and topics, however they are written and however a text comes."""

from random import Random
from time import process_time

import pytest

from tollhouse.safety.lists import Lists
from tollhouse.safety.policy import Policies, Policy
from tollhouse.settings.safety import PolicyKeys, PolicySettings, Safety
from tollhouse.settings.safety_files import TermList
from tollhouse.types.safety import HIGH, LOCAL, Finding


def made(*terms: str, topic: tuple[str, ...] = (), at_least: int = 2) -> tuple[Lists, Policy]:
    """One block list, one topic, and the policy that names both."""
    keys = PolicyKeys(blocklists=("list",) if terms else (), topics=("topic",) if topic else ())
    settings = Safety(
        policies={"mine": PolicySettings("mine", keys)},
        blocklists={"list": TermList("list", terms)},
        topics={"topic": TermList("topic", topic, at_least)},
    )
    return Lists(settings), Policies(settings).named("mine")


def found(text: str, *terms: str) -> str | None:
    """The first piece of a text that is one of the terms."""
    lists, policy = made(*terms)
    findings = lists.find(text, policy)
    return text[findings[0].start : findings[0].end] if findings else None


@pytest.mark.parametrize(
    ("term", "text", "piece"),
    [
        ("acme", "Buy ACME today", "ACME"),
        ("acme", "Buy ácmé.", "ácmé"),
        ("Ácme", "acme", "acme"),
        ("acme", "a\u200bc\u00adme!", "a\u200bc\u00adme"),
        ("acme", "\u0430\u0441me", "\u0430\u0441me"),  # Cyrillic letters that look like Latin ones
        ("acme", "\uff41\uff43\uff4d\uff45", "\uff41\uff43\uff4d\uff45"),  # full-width letters
        ("acme", "acmes", None),
        ("acme", "my_acme_x", "acme"),
        ("acme*", "acmes", "acmes"),
        ("acme*", "xacme", None),
        ("*acme", "xacme", "xacme"),
        ("*acme", "acmes", None),
        ("*acm*", "xacmex", "acm"),
        ("other corp", "the OTHER -- Corp.", "OTHER -- Corp"),
        ("other corp", "other and corp", None),
        ("other corp", "corp other", None),
        ("other corp*", "other corporation", "other corporation"),
        ("*her corp", "the other corp", "other corp"),
        ("*her corp*", "the other corporation", "other corporation"),
        ("a b c", "a b b c, a b c", "a b c"),
        ("don't", "Don\u2019t", "Don\u2019t"),
        ("c++", "I write C++!", "C++"),
        ("c++", "abc++", None),
        ("@acme", "ask @acme", "@acme"),
        ("@acme", "ask @acmes", None),
        ("\u5317\u4eac", "\u6211\u7231\u5317\u4eac\u5929", "\u5317\u4eac"),  # Chinese is written without blanks
        ("\u30ab\u30ac", "\u30ab\u30ac\u30ad", "\u30ab\u30ac"),  # Japanese, with a sound mark
        ("\u0441\u0443\u043a\u0430", "\u0421\u0423\u041a\u0410!", "\u0421\u0423\u041a\u0410"),
        ("stra\u00dfe", "STRASSE", "STRASSE"),
        ("strasse", "die Stra\u00dfe", "Stra\u00dfe"),
        ("fi", "\ufb01 x", "\ufb01"),
        ("\U0001f52b", "a \U0001f52b b", "\U0001f52b"),
    ],
)
def test_a_term_is_found_where_it_is_meant(term: str, text: str, piece: str | None) -> None:
    """Case, accents, look-alikes, invisible signs and what stands between words do not matter; borders do."""
    assert found(text, term) == piece


def test_the_first_place_is_told() -> None:
    """Of several terms and places it is the first of the text."""
    assert found("x beta, alpha, beta", "alpha", "beta") == "beta"


def test_a_list_is_told_by_its_name() -> None:
    """The finding names the list and says nothing of the term."""
    lists, policy = made("acme")
    assert lists.find("an acme", policy) == (Finding("custom_blocklists", HIGH, LOCAL, None, 3, 7, "list"),)


def test_a_topic_needs_several_different_terms() -> None:
    """One term, however often, is no topic; two are, wherever they stand."""
    lists, policy = made(topic=("court", "claim", "lawyer*"), at_least=2)
    assert lists.find("court court court", policy) == ()
    assert lists.find("A claim. " * 50 + "lawyers", policy) == (
        Finding("custom_topics", HIGH, LOCAL, None, 2, 7, "topic"),
    )


def test_only_what_a_policy_names_is_looked_for() -> None:
    """A list that exists and is not named finds nothing."""
    lists, _ = made("acme")
    policy = Policies(Safety()).resolve()
    assert lists
    assert lists.find("acme", policy) == ()
    assert lists.reader(policy) is None
    assert not Lists(Safety())


TERMS = ("foo bar", "gambl*", "*ism", "c++", "*xyz*", "\u5317\u4eac", "don't", "@acme", "a b c d e f g h")
TEXT = (
    "Hello w\u00f6rld F\u00f3o -- B\u00c1R c++! gambling socialism axyzb \u6211\u7231\u5317\u4eac don\u2019t @acme "
    "\ufb01 a b c d \u200b e f g h \U0001f600\u0301 alpha stra\u00dfe BETA tail"
)


def pieces_of(text: str, seed: int) -> list[str]:
    """A text cut at random."""
    random = Random(seed)  # noqa: S311  chance to be repeated
    cuts = sorted(random.sample(range(len(text)), random.randint(0, len(text) // 2)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("seed", range(20))
def test_pieces_do_not_matter(term: str, seed: int) -> None:
    """Any cutting of a text gives the findings of the whole, offsets included, looked at on the way or not."""
    lists, policy = made(term, topic=("alpha", "beta"))
    whole = lists.find(TEXT * 3, policy)
    assert len(whole) == 2
    reader = lists.reader(policy)
    assert reader is not None
    for place, piece in enumerate(pieces_of(TEXT * 3, seed)):
        reader.feed(piece)
        if place % 3 == seed % 3:
            reader.peek()
    assert reader.finish() == whole


def test_a_peek_says_what_an_end_would() -> None:
    """A look leaves no trace: a word that goes on is no term after all."""
    lists, policy = made("acme")
    reader = lists.reader(policy)
    assert reader is not None
    reader.feed("an acme")
    assert reader.peek()
    reader.feed("s")
    assert reader.peek() == reader.finish() == ()


@pytest.mark.parametrize(
    "unit", ["a", "foo ", ".", "c+", "\u00e9", "\u5317", "foo bar x ", "a b c d e f ", "@acme", "\u0301", "foo c++"]
)
def test_time_is_linear(unit: str) -> None:
    """Ten times the text costs about ten times as much, whole or in pieces, whatever it repeats."""
    lists, policy = made(*TERMS)

    def cost_s(chars: int) -> float:
        text = unit * (chars // len(unit))
        began = process_time()
        reader = lists.reader(policy)
        assert reader is not None
        for start in range(0, len(text), 300):
            reader.feed(text[start : start + 300])
        reader.finish()
        return process_time() - began

    small = min(cost_s(20_000) for _ in range(3))
    large = min(cost_s(200_000) for _ in range(2))
    assert large < 40 * max(small, 0.002)


def test_many_terms_cost_no_more_than_few() -> None:
    """A list of fifty thousand words is asked as fast as one of five: by its words, not one by one."""
    few, policy = made(*(f"term{number}" for number in range(5)))
    many, same = made(*(f"term{number}" for number in range(50_000)))
    text = "the quick brown fox jumps over the lazy dog " * 50

    def cost_s(lists: Lists, asked: Policy) -> float:
        lists.find(text, asked)
        best = 1.0
        for _ in range(20):
            began = process_time()
            lists.find(text, asked)
            best = min(best, process_time() - began)
        return best

    assert cost_s(many, same) < 5 * cost_s(few, policy) + 0.0005
    assert many.find("a TERM49999 b", same)
