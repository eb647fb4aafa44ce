"""Policies, prompts and answers for tests of the safety of relayed endpoints."""

import json
from typing import Any

from tests.fakes.door import Answer, Door, eventually
from tests.gateway.test_relay import FORM_TYPE, form

WORD = "grumblewort"
"""What the policies of these tests do not let through."""
MAIL = "ada@example.com"
LISTED = f'[safety.blocklists.words]\nterms = ["{WORD}"]\n'
HARMS = ("hate", "self_harm", "sexual", "violence")
OFF = "".join(f'{harm} = "off"\n' for harm in HARMS)
"""What the classifier finds in these tests' few words does not matter."""
BLOCKS = f'[safety]\npolicy = "p"\n[safety.policies.p]\n{OFF}blocklists = ["words"]\n{LISTED}'
TELLS = f'[safety]\npolicy = "p"\n[safety.policies.p]\nmode = "annotate"\nblocklists = ["words"]\n{LISTED}'
ANSWERS_ONLY = BLOCKS.replace("[safety.blocklists", "prompt = false\n[safety.blocklists")
MASKS = '[safety]\npolicy = "p"\n[safety.policies.p]\nmode = "annotate"\npersonal = "mask"\n'
FOUND = {"filtered": False, "details": [{"filtered": False, "id": "words"}]}
FILTERED = {"filtered": True, "details": [{"filtered": True, "id": "words"}]}
NOTHING = {"filtered": False, "details": []}

COMPLETION = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m"}
RESPONSE = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed"}
RESPONSE |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}

ASKED: dict[str, Any] = {
    "completions": {"prompt": WORD},
    "completions, the last of a batch": {"prompt": ["hello", "good morning", WORD]},
    "completions, the suffix": {"prompt": "hello", "suffix": WORD},
    "completions, a host's own field": {"prompt": "hello", "messages": [{"role": "user", "content": WORD}]},
    "responses": {"input": WORD},
    "responses, the instructions": {"input": "hello", "instructions": WORD},
    "responses, a part": {"input": [{"role": "user", "content": [{"type": "input_text", "text": WORD}]}]},
    "responses, what a tool said": {"input": [{"type": "function_call_output", "call_id": "c", "output": WORD}]},
    "responses, an unknown item": {"input": [{"type": "new_item", "words": [{"inner": WORD}]}]},
    "responses, a variable": {"input": "hello", "prompt": {"id": "pmpt_1", "variables": {"name": WORD}}},
    "embeddings": {"input": ["hello", WORD]},
    "images/generations": {"prompt": WORD},
    "audio/speech": {"input": WORD, "voice": "alloy"},
    "audio/speech, the instructions": {"input": "hello", "instructions": WORD, "voice": "alloy"},
    "images/edits": {"image": b"\x89PNG", "prompt": WORD.encode()},
    "images/variations": {"image": b"\x89PNG", "prompt": WORD.encode()},
    "audio/transcriptions": {"file": b"RIFF", "prompt": WORD.encode()},
    "audio/translations": {"file": b"RIFF", "prompt": WORD.encode()},
}


async def ask(door: Door, case: str, **more: Any) -> Answer:
    """One of `ASKED`, with other fields over it."""
    kind, fields = case.partition(",")[0], {**ASKED[case], **more}
    if isinstance(fields.get("image", fields.get("file")), bytes):
        return await door.post(form({**fields, "model": b"both"}), f"/v1/{kind}", content_type=FORM_TYPE)
    return await door.post({**fields, "model": "both"}, f"/v1/{kind}")


async def subtitled(door: Door, name: str, value: str) -> Answer:
    """A transcription with one more field."""
    field = f'--xYzZY\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n--xYzZY--'
    body = form({"file": b"RIFF", "model": b"both"}).replace(b"--xYzZY--", field.encode())
    return await door.post(body, "/v1/audio/transcriptions", content_type=FORM_TYPE)


def completed(*texts: str, **more: Any) -> dict[str, Any]:
    """A completion with these choices."""
    choices = [{"index": at, "text": text, "finish_reason": "stop", "logprobs": None} for at, text in enumerate(texts)]
    return {**COMPLETION, "choices": choices, **more}


def message(*texts: str) -> dict[str, Any]:
    """A message item."""
    parts = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": parts}


def responded(*texts: str, **more: Any) -> dict[str, Any]:
    """A response with a message of these texts."""
    return {**RESPONSE, "output": [message(*texts)], **more}


async def record(door: Door) -> dict[str, Any]:
    """What the only hold's row says of safety, but for the classifier's own findings."""
    await eventually(lambda: door.idle)
    query = "SELECT safety FROM hold WHERE closed_at IS NOT NULL"
    ((row,),) = await door.app.ledger.write(lambda db: db.execute(query).fetchall())  # in its turn: after the hold
    found: dict[str, Any] = json.loads(str(row))
    for side in ("prompt", "completion"):
        if side in found:
            found[side] = {name: level for name, level in found[side].items() if name not in HARMS}
    return found


def listed(entry: dict[str, Any]) -> Any:
    """What results say of the block list."""
    return entry["content_filter_results"]["custom_blocklists"]
