"""An operator's own judge behind plain HTTP: a signed POST of JSON, answered by findings. Pure.

The shapes are ours; `docs/judges.md` shows them whole. The signature is made as Stripe makes its own
(https://docs.stripe.com/webhooks#verify-manually): HMAC-SHA256 over the time, a dot and the body, so that a recorded
request is worth nothing later.
"""

import hmac
from hashlib import sha256
from typing import Any

from tollhouse.safety.judges.asked import HTTP, Matter, Question, Said, Unreadable, as_list, as_object, as_share
from tollhouse.safety.judges.findings import Table
from tollhouse.settings.judges import JudgeSettings
from tollhouse.types.safety import HIGH, SAFE, SEVERITIES

SIGNATURE = "x-tollhouse-signature"
TABLE: Table = {}
"""A webhook speaks our names, and may use its own."""
_VERSION = 1
_MOST = 64
_MOST_CHARS = 64


def ask(judge: JudgeSettings, matter: Matter) -> tuple[Question, ...]:
    """One question."""
    body: dict[str, Any] = {"version": _VERSION, "judge": judge.name, "side": matter.side, "prompt": matter.prompt}
    if matter.completion is not None:
        body["completion"] = matter.completion
    if matter.documents:
        body["documents"] = list(matter.documents)
    return (Question(HTTP, body, read),)


def sign(body: bytes, secret: str, at_s: int) -> str:
    """The value of `SIGNATURE`."""
    signature = hmac.new(secret.encode(), f"{at_s}.".encode() + body, sha256).hexdigest()
    return f"t={at_s},v1={signature}"


def read(answer: Any) -> tuple[Said, ...]:
    """The findings of an answer. Raises `Unreadable`."""
    rows = as_list(as_object(answer).get("findings"), "findings")
    if len(rows) > _MOST:
        raise Unreadable("there are far too many findings")
    return tuple([_said(as_object(row)) for row in rows])


def _said(row: Any) -> Said:
    """A finding: its category, and a severity, or whether it was detected."""
    label, severity, found = row.get("category"), row.get("severity"), row.get("detected")
    score = None if row.get("score") is None else as_share(row["score"], "score")
    if not isinstance(label, str) or not label or len(label) > _MOST_CHARS:
        raise Unreadable("a category is not a name")
    if isinstance(severity, str) and severity in SEVERITIES and found is None:
        return Said(label, SEVERITIES.index(severity), score)
    if isinstance(found, bool) and severity is None:
        return Said(label, HIGH if found else SAFE, score)
    raise Unreadable("a finding has neither a severity nor whether it was detected")
