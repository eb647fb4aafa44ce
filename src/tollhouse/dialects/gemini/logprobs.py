"""Gemini's ``logprobsResult`` as OpenAI's ``logprobs``. Called by `decode`."""

from typing import Any


def logprobs_of(result: object) -> dict[str, Any] | None:
    """OpenAI's object; None where the host has told nothing, or nothing that can be read."""
    if not isinstance(result, dict):
        return None
    chosen, tops = result.get("chosenCandidates"), result.get("topCandidates")
    if not isinstance(chosen, list):
        return None
    steps = tops if isinstance(tops, list) else []
    content = []
    for at, one in enumerate(chosen):
        token = _token(one)
        if token is None:
            return None
        step = steps[at] if at < len(steps) else None
        others = step.get("candidates") if isinstance(step, dict) else None
        alternatives = [_token(other) for other in others] if isinstance(others, list) else []
        content.append({**token, "top_logprobs": [other for other in alternatives if other is not None]})
    return {"content": content, "refusal": None}


def _token(given: object) -> dict[str, Any] | None:
    if not isinstance(given, dict):
        return None
    text, logprob = given.get("token"), given.get("logProbability")
    if not isinstance(text, str) or type(logprob) not in (int, float):
        return None
    return {"token": text, "logprob": logprob, "bytes": list(text.encode("utf-8", "replace"))}
