"""Content parts become blocks, and what the host cannot be given is another target's to serve."""

from typing import Any

import pytest

from tollhouse.dialects.bedrock.blocks import BlockWriter
from tollhouse.dialects.bedrock.families import Family, family_of
from tollhouse.dialects.wishes import Losses
from tollhouse.errors import UpstreamUnfit

CLAUDE = family_of("anthropic.claude-sonnet-4-6")
TEXT = {"type": "text", "text": "t"}


def blocks(*parts: dict[str, Any], family: Family = CLAUDE, losses: Losses | None = None) -> list[dict[str, Any]]:
    """The blocks of these parts."""
    return BlockWriter(family, {} if losses is None else losses).blocks(list(parts), "messages[0].content")


def file(data: Any, name: str = "a.pdf") -> dict[str, Any]:
    """A file part."""
    return {"type": "file", "file": {"file_data": data, "filename": name}}


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,AAAA"}},
            {"image": {"format": "jpeg", "source": {"bytes": "AAAA"}}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "s3://bucket/cat.JPG"}},
            {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://bucket/cat.JPG"}}}},
        ),
        (
            {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}},
            {"video": {"format": "mp4", "source": {"bytes": "AAAA"}}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
            {"audio": {"format": "mp3", "source": {"bytes": "AAAA"}}},
        ),
        (
            file("data:text/plain;charset=utf-8,a%20b", "n.txt"),
            {"document": {"name": "n", "format": "txt", "source": {"bytes": "YSBi"}}},
        ),
        (
            file("data:application/json;base64,e30=", "x.json"),
            {"document": {"name": "x", "format": "txt", "source": {"bytes": "e30="}}},
        ),
        (
            file("JVBERi0=", "Q3_(final)  v2!.pdf"),
            {"document": {"name": "Q3 (final) v2", "format": "pdf", "source": {"bytes": "JVBERi0="}}},
        ),
        (file("YQ==", "t.csv"), {"document": {"name": "t", "format": "csv", "source": {"bytes": "YQ=="}}}),
        ({"type": "refusal", "refusal": "no"}, {"text": "no"}),
    ],
)
def test_every_kind_of_part_has_its_block(part: dict[str, Any], block: dict[str, Any]) -> None:
    """Text, images, videos, sound and documents, inline or in S3."""
    assert blocks(part) == [block]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "https://a.example/cat.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/bmp;base64,AAAA"}},
        {"type": "image_url", "image_url": {"url": "s3://bucket/cat"}},
        {"type": "image_url", "image_url": {"url": 7}},
        {"type": "image_url", "image_url": "x"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "midi"}},
        {"type": "input_audio", "input_audio": {"format": "mp3"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        file("https://a.example/a.pdf"),
        file("data:application/zip;base64,AAAA"),
        {"type": "hologram"},
    ],
)
def test_what_the_host_cannot_be_given_is_left_to_another(part: dict[str, Any]) -> None:
    """An address on the web, a type or a shape that Bedrock has not is no request that could be sent without it."""
    with pytest.raises(UpstreamUnfit) as caught:
        blocks(part)
    assert caught.value.retryable
    assert caught.value.param == "messages[0].content[0]"


def test_empty_texts_are_not_sent() -> None:
    """The host refuses a text of nothing but blanks."""
    assert blocks({"type": "text", "text": " \n"}, TEXT) == [{"text": "t"}]
    assert BlockWriter(CLAUDE, {}).blocks("", "x") == []
    assert BlockWriter(CLAUDE, {}).blocks(None, "x") == []


def test_names_of_documents_are_unique() -> None:
    """Two documents of one name, or of none, are told apart."""
    given = [file("YQ==", ""), file("YQ==", "!.pdf"), file("YQ==", "a.pdf"), file("YQ==", "a.txt")]
    assert [block["document"]["name"] for block in blocks(*given)] == ["document", "document 2", "a", "a 2"]
    assert len(blocks(file("YQ==", "x" * 500))[0]["document"]["name"]) <= 200


def test_a_cache_marker_is_a_block_after_its_own() -> None:
    """The marker stands after what it marks, with an hour where the model keeps it so long."""
    hour = {"type": "ephemeral", "ttl": "1h"}
    assert blocks({**TEXT, "cache_control": hour}, TEXT) == [
        {"text": "t"},
        {"cachePoint": {"type": "default", "ttl": "1h"}},
        {"text": "t"},
    ]
    losses: Losses = {}
    older = family_of("anthropic.claude-3-7-sonnet-20250219-v1:0")
    assert blocks({**TEXT, "cache_control": hour}, family=older, losses=losses)[1] == {
        "cachePoint": {"type": "default"}
    }
    assert losses["cache_control.ttl"].how == "changed"


def test_a_marker_where_there_is_no_cache_is_reported() -> None:
    """Models without a cache do not get the block, which they would refuse."""
    losses: Losses = {}
    assert blocks({**TEXT, "cache_control": {"type": "ephemeral"}}, family=Family(), losses=losses) == [{"text": "t"}]
    assert losses["cache_control"].how == "dropped"


def test_how_closely_to_look_cannot_be_said() -> None:
    """``detail`` is reported where it asks for something."""
    losses: Losses = {}
    blocks({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "high"}}, losses=losses)
    assert list(losses) == ["image_url.detail"]
