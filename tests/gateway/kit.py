"""What the gateway's tests share: a configuration with up to two scripted upstreams behind one alias."""

from typing import Any

from tests.fakes.chaos import ChaosUpstream
from tests.fakes.door import HELLO

SECRET = "sk-upstream-CANARY-0123456789abcdef"
ASK = {"model": "both", **HELLO}
STREAM = {**ASK, "stream": True}
MARKS = {"_remaining_credits", "_balance_warning", "prompt_filter_results", "completion_filter_results"}
FAST = "[timeouts]\nconnect_s = 0.5\nfirst_byte_s = 0.4\nidle_s = 0.4\ntotal_s = 5.0\n"


def hosts(*upstreams: ChaosUpstream | int | str, more: str = "") -> str:
    """Settings with hosts ``up0``, ``up1`` ... and the alias ``both`` that tries them in order."""
    tables = ""
    for number, upstream in enumerate(upstreams):
        base = upstream if isinstance(upstream, str) else f"http://127.0.0.1:{getattr(upstream, 'port', upstream)}/v1"
        tables += f'[providers.up{number}]\nbase_url = "{base}"\napi_key = "{SECRET}"\nmodels = ["m"]\n'
    targets = ", ".join(f'"up{number}/m"' for number in range(len(upstreams)))
    return f"{more}\n{FAST if '[timeouts]' not in more else ''}{tables}[models.both]\ntargets = [{targets}]\n"


def unmarked(value: Any) -> Any:
    """An answer without what Tollhouse says in it of money and of safety: all that the host said."""
    if not isinstance(value, dict):
        return value
    assert value.keys() >= {"_remaining_credits", "_balance_warning"}
    kept = {name: held for name, held in value.items() if name not in MARKS}
    if isinstance(usage := kept.get("usage"), dict):
        kept["usage"] = {name: count for name, count in usage.items() if name != "cost"}
    return kept
