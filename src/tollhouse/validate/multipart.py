"""Splits ``multipart/form-data`` bodies (RFC 7578, RFC 2046) and puts another model in. Called for uploads.

Theory of operation. Nothing is decoded but the headers of the parts and the few short fields that the gateway reads.
The form keeps offsets into the body, and `Form.with_model` copies every byte but those of the model's value. The host
will split the same bytes with another parser. So whatever two parsers might split or name differently is refused, lest
the model that is priced is not the one that the host reads: a preamble, bare line feeds, padded or prefixed boundary
lines, folded or repeated headers, escaped quotes, exotic names, and a ``model`` that is repeated, encoded or a file.
"""

import re
from dataclasses import dataclass
from typing import NoReturn

from tollhouse.errors import InvalidRequest
from tollhouse.validate.hosts import HOST_FIELDS
from tollhouse.validate.model import MODEL, require_model
from tollhouse.validate.problems import Problem, missing
from tollhouse.validate.rules import Nullable
from tollhouse.validate.shapes import Record

MOST_PARTS = 64
MOST_HEADER_BYTES = 8192
MOST_VALUE_BYTES = 4096  # of a field that is read here

BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")  # RFC 2046 section 5.1.1
FORM = re.compile(r"multipart/form-data[ \t]*", re.IGNORECASE)
FORM_DATA = re.compile(r"form-data[ \t]*", re.IGNORECASE)
HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00\r\n]*?)[ \t]*")
NAME = re.compile(r"[A-Za-z0-9_.\[\]-]{1,128}")
PARAMETER = re.compile(r';[ \t]*([A-Za-z0-9*_-]+)=(?:"((?:[^"\\]|\\[^"])*)"|([^\s;"\\]+))[ \t]*')
PLAIN_ENCODINGS = frozenset({"7bit", "8bit", "binary"})
PLAIN_TYPE = re.compile(r'text/plain(?:\s*;\s*charset="?(?:utf-8|us-ascii)"?)?', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """One field: ``start`` and ``end`` are the offsets of its value in the body; a ``plain`` value may be text."""

    name: str
    filename: str | None
    start: int
    end: int
    plain: bool


@dataclass(frozen=True, slots=True)
class Form:
    """A form that was split. The body is the client's own bytes."""

    boundary: bytes
    body: bytes
    parts: tuple[Part, ...]

    def find(self, name: str) -> Part | None:
        """The only part of this name. Raises `InvalidRequest` when there are two."""
        found = [part for part in self.parts if part.name.partition("[")[0] == name]  # some read model[] as model
        if len(found) > 1 or (found and found[0].name != name):
            refuse(f"the field '{name}' appears more than once", name)
        return found[0] if found else None

    def text(self, name: str) -> str | None:
        """A short value as text, or ``None`` where there is no such field. Raises `InvalidRequest`."""
        part = self.find(name)
        if part is None:
            return None
        if part.filename is not None or not part.plain or part.end - part.start > MOST_VALUE_BYTES:
            refuse(f"the field '{name}' is not a short text", name)
        try:
            return self.body[part.start : part.end].decode()
        except UnicodeDecodeError:
            refuse(f"the field '{name}' is not UTF-8", name)

    def with_model(self, model: str) -> bytes:
        """The body with this model. A form without the field gets it as its last part."""
        part = self.find("model")
        view = memoryview(self.body)
        if part is not None:
            return b"".join((view[: part.start], model.encode(), view[part.end :]))
        end = self.parts[-1].end  # the delimiter after the last part stays; the new part stands before it
        added = b'\r\n--%b\r\nContent-Disposition: form-data; name="model"\r\n\r\n%b' % (self.boundary, model.encode())
        return b"".join((view[:end], added, view[end:]))


@dataclass(frozen=True, slots=True)
class FormCall:
    """One validated upload. ``kind`` is the path below ``/v1/``; where ``model`` is ``None`` the host chooses one."""

    kind: str
    model: str | None
    form: Form
    stream: bool


# The fields that an endpoint cannot do without; ``image`` may also be sent as ``image[]``.
ENDPOINTS: dict[str, tuple[str, ...]] = {
    "audio/transcriptions": ("file", "model"),
    "audio/translations": ("file", "model"),
    "images/edits": ("image", "prompt"),
    "images/variations": ("image",),
}
FIELDS = Record(HOST_FIELDS | {"model": Nullable(MODEL)})


def read_upload(kind: str, content_type: str, body: bytes) -> FormCall:
    """The call that a form asks of the endpoint ``kind``, a key of `ENDPOINTS`. Raises `InvalidRequest`."""
    form = split(content_type, body)
    required = ENDPOINTS[kind]
    model = form.text("model")
    if "model" in required or model is not None:
        require_model({"model": model})
    names = {part.name: None for part in form.parts}
    try:
        FIELDS.check({**names, "model": model})
        for name in required:
            if name not in names and f"{name}[]" not in names:
                raise missing(name)
    except Problem as problem:
        raise problem.as_error() from None
    stream = form.text("stream") in ("true", "True", "1")
    return FormCall(kind, model, form, stream)


def split(content_type: str, body: bytes) -> Form:
    """Finds the parts of a form. Raises `InvalidRequest` where the form is not plainly what RFC 7578 describes."""
    parameters = read_parameters(FORM, content_type)
    boundary = parameters.get("boundary", "") if parameters else ""
    if not BOUNDARY.fullmatch(boundary):
        refuse("the content type must be multipart/form-data with a boundary")
    delimiter = b"\r\n--" + boundary.encode()
    if not body.startswith(delimiter[2:]):
        refuse("it does not start with the boundary")
    parts: list[Part] = []
    at = len(delimiter) - 2
    while not body.startswith(b"--", at):
        if len(parts) == MOST_PARTS:
            refuse(f"it has more than {MOST_PARTS} parts")
        if not body.startswith(b"\r\n", at):
            refuse(f"a boundary is followed by other text (byte {at})")
        part = read_part(body, at + 2, delimiter)
        parts.append(part)
        at = part.end + len(delimiter)
    if body[at + 2 :] not in (b"", b"\r\n"):
        refuse(f"something follows its end (byte {at + 2})")
    if not parts:
        refuse("it has no parts")
    return Form(boundary.encode(), body, tuple(parts))


def read_part(body: bytes, start: int, delimiter: bytes) -> Part:
    """The part whose headers begin at ``start``."""
    headers_end = body.find(b"\r\n\r\n", start, start + MOST_HEADER_BYTES)
    if headers_end < 0:
        refuse(f"a part has no headers, or more than {MOST_HEADER_BYTES} bytes of them (byte {start})")
    if delimiter in body[start - 2 : headers_end + 2]:  # a boundary may look like a header: it may hold a colon
        refuse(f"a part has no headers (byte {start})")
    headers = read_headers(body[start:headers_end], start)
    value = headers_end + 4
    end = body.find(delimiter, value)
    if end < 0:
        refuse(f"the part that begins at byte {start} has no end")
    name, filename = read_disposition(headers.get("content-disposition", ""), start)
    if headers.get("content-transfer-encoding", "binary").lower() not in PLAIN_ENCODINGS:
        refuse(f"the field '{name}' has a transfer encoding, which RFC 7578 forbids", name)
    plain = "content-type" not in headers or PLAIN_TYPE.fullmatch(headers["content-type"]) is not None
    return Part(name, filename, value, end, plain)


def read_headers(block: bytes, start: int) -> dict[str, str]:
    """The headers of one part, names in lower case."""
    headers: dict[str, str] = {}
    for line in block.split(b"\r\n"):
        match = HEADER.fullmatch(line)
        if match is None:
            refuse(f"a part has a malformed header (byte {start})")
        name = match[1].decode().lower()
        if name in headers:
            refuse(f"a part has the header '{name}' twice (byte {start})")
        headers[name] = match[2].decode(errors="replace")
    return headers


def read_disposition(value: str, start: int) -> tuple[str, str | None]:
    """The name of a field and of its file. File names may be odd, for nobody here opens one; field names may not."""
    parameters = read_parameters(FORM_DATA, value)
    if parameters is None:
        refuse(f"a part has a malformed content-disposition (byte {start})")
    name = parameters.get("name", "")
    if not NAME.fullmatch(name) or name == "_charset_":
        refuse(f"a part has no usable name (byte {start})")
    return name, parameters.get("filename", parameters.get("filename*"))


def read_parameters(kind: re.Pattern[str], value: str) -> dict[str, str] | None:
    """The parameters of a header's value; ``None`` if it is not of this kind, or two readers might read it apart."""
    match = kind.match(value)
    parameters: dict[str, str] = {}
    while match is not None and match.end() < len(value):
        match = PARAMETER.match(value, match.end())
        key = match[1].lower() if match else ""
        if match is None or key in parameters or key in ("name*", "boundary*"):
            return None
        parameters[key] = match[3] if match[2] is None else match[2]
    return None if match is None else parameters


def refuse(why: str, param: str | None = None) -> NoReturn:
    """The form is not one that two parsers would read alike."""
    raise InvalidRequest(f"We could not parse the form of your request: {why}.", param=param, code="invalid_form")
