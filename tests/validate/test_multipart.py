"""Forms: what is found, what is put in, and what is refused because another parser might read it differently."""

import email.parser
import email.policy

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollhouse.errors import InvalidRequest
from tollhouse.validate.multipart import ENDPOINTS, FormCall, read_upload, split

TYPE = 'multipart/form-data; boundary="b:1"'


def part(name: str, value: bytes, *more: bytes, filename: str | None = None) -> bytes:
    """One part, delimiter included."""
    file = b"" if filename is None else f'; filename="{filename}"'.encode()
    lines = [b'Content-Disposition: form-data; name="%b"%b' % (name.encode(), file), *more]
    return b"--b:1\r\n" + b"\r\n".join(lines) + b"\r\n\r\n" + value + b"\r\n"


END = b"--b:1--\r\n"
FILE = part("file", bytes(range(256)) + b"\r\n--b\r\n\r\n", b"Content-Type: audio/wav", filename="a b; é.wav")
MODEL = part("model", b"whisper-1")


def refuse(body: bytes, content_type: str = TYPE, kind: str = "audio/transcriptions") -> InvalidRequest:
    """The error that this form meets."""
    with pytest.raises(InvalidRequest) as caught:
        read_upload(kind, content_type, body)
    return caught.value


def read_independently(content_type: str, body: bytes) -> list[tuple[str | None, str | None, bytes]]:
    """The parts as Python's e-mail parser finds them: name, file name, value."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    found = []
    for inner in message.iter_parts():
        name = inner.get_param("name", header="content-disposition")
        found.append((str(name), inner.get_filename(), inner.get_payload(decode=True)))
    return [(name, filename, value) for name, filename, value in found if isinstance(value, bytes)]


def test_a_form_is_split_and_its_model_replaced() -> None:
    """The model changes; every other byte, of headers, boundaries and file, stays."""
    body = FILE + MODEL + part("response_format", b"srt") + part("stream", b"true") + END
    call = read_upload("audio/transcriptions", TYPE, body)
    assert (call.kind, call.model, call.stream) == ("audio/transcriptions", "whisper-1", True)
    file = call.form.parts[0]
    assert (file.name, file.filename) == ("file", "a b; é.wav")
    assert body[file.start : file.end] == bytes(range(256)) + b"\r\n--b\r\n\r\n"
    assert call.form.text("response_format") == "srt"
    assert call.form.text("language") is None
    assert call.form.with_model("other") == body.replace(b"whisper-1", b"other")


def test_a_form_without_a_model_gets_one() -> None:
    """Where the endpoint lets the host choose, a form without a model is taken, and can be given one."""
    body = (
        part("image[]", b"PNG", filename="a.png")
        + part("image[]", b"PNG", filename="b.png")
        + part("prompt", b"")
        + END
    )
    call = read_upload("images/edits", TYPE, body)
    assert call.model is None
    again = read_upload("images/edits", TYPE, call.form.with_model("gpt-image-1"))
    assert again.model == "gpt-image-1"
    assert again.form.body == body.removesuffix(END) + part("model", b"gpt-image-1") + END


def test_the_forms_of_a_common_client_are_read() -> None:
    """A form as httpx, and so the openai SDK, writes it, is read and stays valid with another model."""
    files = {"file": ('q"u\\ote é.mp3', b"\r\n--\r\n" * 50, "audio/mpeg")}
    data = {"model": "m", "timestamp_granularities[]": ["word", "segment"], "temperature": "0"}
    request = httpx.Request("POST", "http://localhost/", data=data, files=files)
    body, content_type = request.read(), request.headers["content-type"]
    call = read_upload("audio/transcriptions", content_type, body)
    assert call.model == "m"
    before, after = read_independently(content_type, body), read_independently(content_type, call.form.with_model("x"))
    assert [name for name, _, _ in before].count("timestamp_granularities[]") == 2
    assert after == [(name, file, b"x" if name == "model" else value) for name, file, value in before]


GOOD = [
    ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data; name=model\r\n\r\nm\r\n--b--"),
    (
        'Multipart/Form-Data; charset=utf-8; boundary="b b"',
        (
            b"--b b\r\ncontent-type: text/plain; charset=UTF-8\r\n"
            b'CONTENT-DISPOSITION: Form-Data; name="model"\r\n\r\nm\r\n--b b--\r\n'
        ),
    ),
]


@pytest.mark.parametrize(("content_type", "body"), GOOD)
def test_spellings_that_the_standard_allows(content_type: str, body: bytes) -> None:
    """Case of names, quotes around boundaries, tokens for names, and a missing last line end make no difference."""
    assert split(content_type, body).text("model") == "m"


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "multipart/form-data",
        "multipart/mixed; boundary=b:1",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary="b:1 "',
        "multipart/form-data; boundary=b:1; boundary=c",
        "multipart/form-data; boundary*=b:1",
        f"multipart/form-data; boundary={'b' * 71}",
        'multipart/form-data; boundary="é"',
        "multipart/form-data boundary=b:1",
    ],
)
def test_content_types_that_are_refused(content_type: str) -> None:
    """A content type without exactly one boundary that RFC 2046 allows is a 400."""
    assert "multipart/form-data with a boundary" in refuse(FILE + MODEL + END, content_type).message


TWICE = "appears more than once"
MALFORMED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "start with the boundary"),
    "preamble": (b"hello\r\n" + FILE + MODEL + END, "start with the boundary"),
    "no parts": (END, "no parts"),
    "epilogue": (FILE + MODEL + END + b"x", "follows its end"),
    "no end": (FILE + MODEL, "has no end"),
    "cut in a value": (FILE + MODEL[:-2], "has no end"),
    "cut in headers": (FILE + b"--b:1\r\nContent-Disp", "has no headers"),
    "longer boundary": (FILE + MODEL + b"--b:1x\r\n" + END, "followed by other text"),
    "padded boundary": (FILE.replace(b"--b:1\r\n", b"--b:1 \r\n") + MODEL + END, "followed by other text"),
    "bare line feeds": ((FILE + MODEL + END).replace(b"\r\n", b"\n"), "followed by other text"),
    "no headers": (b"--b:1\r\n\r\nx\r\n\r\ny\r\n" + END, "malformed header"),
    "boundary among headers": (b"--b:1\r\nX: y\r\n" + MODEL + END, "has no headers"),
    "folded header": (part("file", b"", b"Content-Type:\r\n text/plain") + MODEL + END, "malformed header"),
    "bare return": (part("file", b"", b"X: a\rb") + MODEL + END, "malformed header"),
    "repeated header": (part("file", b"", b'Content-Disposition: form-data; name="model"') + END, "twice"),
    "long headers": (part("file", b"", b"X: " + b"y" * 8192) + MODEL + END, "8192 bytes"),
    "no disposition": (b"--b:1\r\nX: y\r\n\r\n\r\n" + END, "malformed content-disposition"),
    "attachment": (FILE.replace(b"form-data", b"attachment") + MODEL + END, "malformed content-disposition"),
    "no name": (b"--b:1\r\nContent-Disposition: form-data\r\n\r\n\r\n" + END, "no usable name"),
    "two names": (b'--b:1\r\nContent-Disposition: form-data; name="a"; name="model"\r\n\r\n\r\n' + END, "malformed"),
    "extended name": (b"--b:1\r\nContent-Disposition: form-data; name*=utf-8''model\r\n\r\n\r\n" + END, "malformed"),
    "escaped name": (FILE + part("mod\\el", b"m") + END, "no usable name"),
    "percent name": (FILE + part("mod%65l", b"m") + END, "no usable name"),
    "escaped quote": (part("file", b"", filename='a\\"; name=\\"model') + MODEL + END, "malformed"),
    "charset field": (FILE + MODEL + part("_charset_", b"utf-16") + END, "no usable name"),
    "transfer encoding": (
        FILE + part("model", b"bQ==", b"Content-Transfer-Encoding: base64") + END,
        "transfer encoding",
    ),
    "second model": (FILE + MODEL + MODEL + END, TWICE),
    "model as list": (FILE + part("model[]", b"m") + END, TWICE),
    "model twice": (FILE + MODEL + part("model[0]", b"m") + END, TWICE),
    "model as file": (FILE + part("model", b"m", filename="m") + END, "not a short text"),
    "model in UTF-16": (
        FILE + part("model", b"m", b"Content-Type: text/plain; charset=utf-16") + END,
        "not a short text",
    ),
    "long model": (FILE + part("model", b"m" * 5000) + END, "not a short text"),
    "binary model": (FILE + part("model", b"\xff") + END, "not UTF-8"),
    "65 parts": (FILE + MODEL + part("x", b"") * 63 + END, "more than 64 parts"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_forms_that_two_parsers_might_read_differently_are_refused(case: str) -> None:
    """A form that is not plainly what RFC 7578 describes is a 400 that says why."""
    body, why = MALFORMED[case]
    error = refuse(body)
    assert error.message.startswith("We could not parse the form of your request: ")
    assert why in error.message
    assert error.code == "invalid_form"


def test_64_parts_pass() -> None:
    """The cap on parts is 64."""
    assert read_upload("audio/translations", TYPE, FILE + MODEL + part("x", b"") * 62 + END)


@pytest.mark.parametrize("kind", ENDPOINTS)
def test_required_fields_of_each_endpoint(kind: str) -> None:
    """A form without a field that no host can do without is a 400 that names it."""
    for name in ENDPOINTS[kind]:
        body = b"".join(part(other, b"x") for other in ENDPOINTS[kind] if other != name) + part("x", b"") + END
        error = refuse(body, kind=kind)
        if name == "model":
            assert error.message == "you must provide a model parameter"
        else:
            assert (error.param, error.code) == (name, "missing_required_parameter")


def test_forms_keep_the_rules_of_bodies() -> None:
    """A bad model's name and a host of the client's choosing are refused as in JSON."""
    assert refuse(FILE + part("model", b"a\nb") + END).param == "model"
    assert refuse(FILE + part("model", b"") + END).message == "you must provide a model parameter"
    error = refuse(FILE + MODEL + part("api_base", b"https://attacker.example") + END)
    assert (error.param, error.code) == ("api_base", "unsupported_parameter")


WHOLE = FILE + MODEL + part("stream", b"false") + END


def test_a_form_cut_anywhere_is_refused() -> None:
    """No part of a form is taken for the whole."""
    for length in range(len(WHOLE) - 2):
        assert refuse(WHOLE[:length]).status == 400
    assert read_upload("audio/transcriptions", TYPE, WHOLE[:-2])


PIECES = st.sampled_from([FILE, MODEL, END, b"--b:1", b"\r\n", b"--", b": ", b'name="model"', b"\x00", b"x"])


@settings(deadline=None, database=None, max_examples=200)
@given(st.lists(PIECES, max_size=8).map(b"".join) | st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Whatever is uploaded, what is read has the same model for an independent parser, before and after a change."""
    try:
        call = read_upload("audio/transcriptions", TYPE, body)
    except InvalidRequest:
        return
    assert isinstance(call, FormCall)
    models = [value for name, _, value in read_independently(TYPE, body) if name == "model"]
    assert models == [(call.model or "").encode()]
    changed = read_independently(TYPE, call.form.with_model("other"))
    assert [value for name, _, value in changed if name == "model"] == [b"other"]
