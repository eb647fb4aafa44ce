"""[safety], as the file states it."""

from pathlib import Path

import pytest

from tests.settings.reader import faults, read
from tollhouse import config
from tollhouse.safety.personal.kinds import KINDS
from tollhouse.safety.templates import TEMPLATES as HELD
from tollhouse.settings.safety import PERSONAL_KINDS, TEMPLATES, PolicyKeys
from tollhouse.settings.safety_files import MAX_TERM_CHARS, TermList, term_fault

JUDGE = """
[safety.judges.guard]
kind = "openai"
"""
WHOLE = f"""
[safety]
policy = "public"
stream = "async"
[safety.policies.public]
template = "moderate"
profanity = true
hate = "low"
blocklists = ["rivals"]
topics = ["legal"]
judges = ["guard"]
personal = "mask"
personal_kinds = ["email", "iban"]
[safety.blocklists.rivals]
terms = ["acme*", "Other Corp"]
file = "rivals.txt"
[safety.topics.legal]
terms = ["court", "claim", "lawyer"]
at_least = 3
[safety.protected]
texts = ["books"]
licences = true
[tiers.free]
safety = "strict"
[models.kids]
targets = ["openai/gpt-4o"]
safety = "child_safe"
{JUDGE}
"""


def test_without_a_word_answers_are_annotated(tmp_path: Path) -> None:
    """Out of the box everything is annotated and nothing is blocked."""
    safety = read(tmp_path, "").safety
    assert (safety.mode, safety.policy, safety.stream) == ("annotate", "", "buffered")
    assert not safety.policies
    assert not safety.protected


def test_a_file_states_it_all(tmp_path: Path) -> None:
    """Policies, lists with their files, topics, protected texts and judges are read, and who names which policy."""
    (tmp_path / "rivals.txt").write_text("\ufeff# rivals\n\n  Third Ltd  \nacme*\n")
    books = tmp_path / "books"
    (books / "deep").mkdir(parents=True)
    (books / "deep" / "a.txt").write_text("words")
    (books / "b.py").write_text("code")
    (books / ".hidden").write_text("no")
    settings = read(tmp_path, WHOLE)
    safety = settings.safety
    assert (safety.mode, safety.policy, safety.stream) == ("", "public", "async")
    policy = safety.policies["public"]
    assert policy.keys.hate == "low"
    assert policy.stated >= {"template", "profanity", "hate"}
    assert "violence" not in policy.stated
    assert safety.blocklists["rivals"] == TermList("rivals", ("acme*", "Other Corp", "Third Ltd"))
    assert safety.topics["legal"] == TermList("legal", ("court", "claim", "lawyer"), 3)
    assert [file.path.name for file in safety.protected] == ["b.py", "a.txt"]
    assert [file.is_code for file in safety.protected] == [True, False]
    assert safety.licences
    assert safety.judges["guard"].kind == "openai"
    assert settings.tiers["free"].safety == "strict"
    assert settings.routes["kids"].safety == "child_safe"


def test_a_mode_beside_a_policy_stands_in_its_place(tmp_path: Path) -> None:
    """What the file says of the mode is kept beside a policy; where it says nothing, the policy's own counts."""
    assert read(tmp_path, '[safety]\npolicy = "strict"').safety.mode == ""
    assert read(tmp_path, '[safety]\npolicy = "strict"\nmode = "annotate"').safety.mode == "annotate"


def test_variables_go_over_the_file(tmp_path: Path) -> None:
    """TOLLHOUSE_SAFETY_KEY sets a key of the section, and leaves the tables inside it."""
    text = '[safety]\nmode = "off"\n[safety.policies.mine]\n'
    safety = read(tmp_path, text, {"TOLLHOUSE_SAFETY_MODE": "block", "TOLLHOUSE_SAFETY_POLICY": "mine"}).safety
    assert (safety.mode, safety.policy) == ("block", "mine")
    assert "mine" in safety.policies


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("safety = 1", "safety"),
        ('[safety]\nmode = "loud"', "safety.mode"),
        ('[safety]\nmodes = "off"', "safety.modes"),
        ("[safety.polices.x]", "safety.polices"),
        ('[safety]\npolicy = "strct"', "safety.policy"),
        ("[safety]\npolicies = 1", "safety.policies"),
        ("[safety.policies]\nx = 1", "safety.policies.x"),
        ("[safety.policies.strict]", "safety.policies.strict"),
        ("[safety.policies.none]", "safety.policies.none"),
        ('[safety.policies."a b"]', "safety.policies.a b"),
        ('[safety.policies.x]\nhate = "safe"', "safety.policies.x.hate"),
        ("[safety.policies.x]\nhate = true", "safety.policies.x.hate"),
        ('[safety.policies.x]\njailbreak = "high"', "safety.policies.x.jailbreak"),
        ('[safety.policies.x]\ntemplate = "lax"', "safety.policies.x.template"),
        ('[safety.policies.x]\nblocklists = ["y"]', "safety.policies.x.blocklists[0]"),
        ('[safety.policies.x]\ntopics = ["y"]', "safety.policies.x.topics[0]"),
        ('[safety.policies.x]\njudges = ["y"]', "safety.policies.x.judges[0]"),
        ('[safety.policies.x]\npersonal_kinds = ["shoe"]', "safety.policies.x.personal_kinds[0]"),
        ("[safety.blocklists.x]", "safety.blocklists.x.terms"),
        ('[safety.blocklists.x]\nterms = ["ok", " * "]', "safety.blocklists.x.terms[1]"),
        ('[safety.blocklists.x]\nterms = ["a*b"]', "safety.blocklists.x.terms[0]"),
        ('[safety.blocklists.x]\nfile = "none.txt"', "safety.blocklists.x.file"),
        ('[safety.blocklists.x]\nfile = "a\\u0000b"', "safety.blocklists.x.file"),
        ('[safety.blocklists.x]\nfile = "."', "safety.blocklists.x.file"),
        ('[safety.topics.x]\nterms = ["one"]', "safety.topics.x.at_least"),
        ('[safety.protected]\ntexts = ["nowhere"]', "safety.protected.texts[0]"),
        ('[safety.protected]\ntexts = ["a\\u0000b"]', "safety.protected.texts[0]"),
        ('[tiers.free]\nsafety = "lax"', "tiers.free.safety"),
        ("[tiers.free]\nsafety = 1", "tiers.free.safety"),
        ('[models.x]\ntargets = ["openai/gpt-4o"]\nsafety = "lax"', "models.x.safety"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, path: str) -> None:
    """Each fault is found, and alone."""
    assert list(faults(tmp_path, text)) == [path]


def test_a_close_name_is_offered(tmp_path: Path) -> None:
    """A typing error in a policy's name, or in a table's, comes with the name that was probably meant."""
    assert "'moderate'" in faults(tmp_path, '[tiers.free]\nsafety = "moderat"')["tiers.free.safety"].fix
    assert "'policies'" in faults(tmp_path, "[safety.polices.x]")["safety.polices"].fix
    assert "'rivals'" in (
        faults(tmp_path, '[safety.blocklists.rivals]\nterms = ["x"]\n[safety.policies.p]\nblocklists = ["rival"]')[
            "safety.policies.p.blocklists[0]"
        ].fix
    )


def test_a_file_of_terms_has_to_be_text(tmp_path: Path) -> None:
    """A file in another encoding, or with a term that cannot be looked for, is refused with its place."""
    list_file = tmp_path / "terms.txt"
    text = '[safety.blocklists.x]\nfile = "terms.txt"'
    list_file.write_bytes(b"ok\n\xff\n")
    assert "byte 3" in faults(tmp_path, text)["safety.blocklists.x.file"].message
    list_file.write_text("ok\na*b\n")
    assert "line 2" in faults(tmp_path, text)["safety.blocklists.x.file"].message


def test_too_large_a_file_of_terms_is_refused(tmp_path: Path) -> None:
    """A list is no dump: over 8 MiB nothing is read."""
    (tmp_path / "terms.txt").write_bytes(b"a" * ((8 << 20) + 1))
    assert "8 MiB" in faults(tmp_path, '[safety.blocklists.x]\nfile = "terms.txt"')["safety.blocklists.x.file"].message


def test_too_large_a_protected_file_is_refused(tmp_path: Path) -> None:
    """A file of more than 8 MiB would take too long to index."""
    (tmp_path / "book.txt").write_bytes(b"a" * ((8 << 20) + 1))
    assert "book.txt" in faults(tmp_path, '[safety.protected]\ntexts = ["book.txt"]')["safety.protected.texts"].message


def test_a_judges_secret_in_an_exposed_file_is_refused(tmp_path: Path) -> None:
    """A key written out for a judge counts as any other secret in a file that everybody can read."""
    text = '[safety.judges.a]\nkind = "azure"\nurl = "https://a.example"\napi_key = "sesame"'
    assert "safety.judges.a.api_key" in faults(tmp_path, text, mode=0o644)
    read(tmp_path, text)


@pytest.mark.parametrize("term", ["", "  ", "*", "**", "a*b", "***e", "x" * (MAX_TERM_CHARS + 1), "a " * 17])
def test_some_terms_cannot_be_looked_for(term: str) -> None:
    """A term that holds nothing, or a star inside, or too much, is told so."""
    assert term_fault(term) is not None


@pytest.mark.parametrize("term", ["a", "*a", "a*", "*a*", "two words", "c++", "北京", "*****"])
def test_others_can(term: str) -> None:
    """Words, phrases, signs, and stars at the ends are terms; of stars alone the outermost two are."""
    assert term_fault(term) is None


def test_the_templates_are_those_that_exist() -> None:
    """The names that settings allow are those that `safety.templates` holds; the kinds those of personal data."""
    assert tuple(HELD) == TEMPLATES
    assert set(PERSONAL_KINDS) == set(KINDS)


def test_the_fresh_file_holds_the_example(tmp_path: Path) -> None:
    """Taking out the marks before the policies of the generated file gives policies that can be used."""
    part = config.render_toml().partition("# --- safety policies ")[2].partition("# Every key of")[0]
    lines = [line.removeprefix("# ") for line in part.splitlines() if line.startswith("# [") or " = " in line]
    safety = read(tmp_path, "\n".join(line for line in lines if not line.startswith("What"))).safety
    assert safety.policies["public"].keys == PolicyKeys(template="moderate", profanity=True, blocklists=("rivals",))
    assert safety.blocklists["rivals"].terms == ("acme*", "other corp")
