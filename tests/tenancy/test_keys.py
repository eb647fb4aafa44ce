"""The text of a key: random, shown once, and nowhere kept."""

from pathlib import Path

from tests.tenancy.kit import PEPPER, Base, family
from tollhouse.tenancy.keys import digest_key, mint_id, mint_key


def test_s01_keys_are_random_and_known_only_by_a_keyed_digest() -> None:
    """A key holds 256 random bits; its digest needs the pepper, and its hint shows four characters."""
    minted = [mint_key(PEPPER) for _ in range(50)]
    texts = {one.text.reveal() for one in minted}
    assert len(texts) == 50
    for one in minted:
        text = one.text.reveal()
        assert text.startswith("sk-th-")
        assert len(text) == len("sk-th-") + 43
        assert one.digest == digest_key(PEPPER, text) == digest_key(PEPPER, text.encode())
        assert one.digest != digest_key(b"q" * 32, text)
        assert len(one.digest) == 32
        assert one.hint == f"sk-th-...{text[-4:]}"
        assert text not in repr(one)


def test_the_prefix_of_keys_is_the_operators() -> None:
    """Another prefix is in the text and in the hint."""
    minted = mint_key(PEPPER, "acme_")
    assert minted.text.reveal().startswith("acme_")
    assert minted.hint.startswith("acme_...")


def test_ids_say_what_they_are_of_and_do_not_repeat() -> None:
    """An id is the kind and 64 random bits in hexadecimal."""
    ids = {mint_id(kind) for kind in ("org", "team", "user", "key") for _ in range(25)}
    assert len(ids) == 100
    assert {one.partition("_")[0] for one in ids} == {"org", "team", "user", "key"}
    assert all(len(one.partition("_")[2]) == 16 and int(one.partition("_")[2], 16) >= 0 for one in ids)


def test_s01_no_file_holds_the_text_of_a_key(base: Base, tmp_path: Path) -> None:
    """After making and rotating keys neither the database, its log, nor the audit holds any of their texts."""
    base.db.execute("PRAGMA journal_mode=WAL")
    *_, key_id, text = family(base)
    texts = [text, *(base.do(lambda desk: desk.rotate(key_id)).text.reveal() for _ in range(5))]
    assert len(set(texts)) == 6
    raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert not [one for one in texts if one.encode() in raw or one[6:].encode() in raw]
    assert PEPPER not in raw
    assert "sk-th-" + "..." in raw.decode("latin-1")
