"""Judges over real sockets: a bench of them from TOML, asked as `gateway.watch` asks them, and their answers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.fakes.chaos import ChaosUpstream, Received, Send, whole
from tests.fakes.door import CATALOGUE, QUIET
from tests.fakes.openai_wire import completion
from tollhouse import config
from tollhouse.discovery import declared
from tollhouse.gateway.judging import Inquiry, Judged, Judges
from tollhouse.ledger.pricebook import PriceBook
from tollhouse.safety.judges.asked import Matter
from tollhouse.snapshot import Live, Snapshot, build
from tollhouse.telemetry.metrics import Metrics
from tollhouse.types.ledger import AttemptRecord

CLEAN_MODERATION = dict.fromkeys(
    [
        *("harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent"),
        *("self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors"),
        *("violence", "violence/graphic"),
    ],
    0.001,
)
"""OpenAI's categories, with scores of a harmless text."""


@dataclass
class Clock:
    """The event loop's time, which a test may put forward."""

    ahead_s: float = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return asyncio.get_running_loop().time() + self.ahead_s


@dataclass
class Bench:
    """Judges, and the snapshot that they are asked in."""

    snapshot: Snapshot
    judges: Judges
    metrics: Metrics
    clock: "Clock"
    alerts: list[tuple[str, str]] = field(default_factory=list)

    def begin(self, prompt: str = "hello", completion: str | None = None, **more: Any) -> Inquiry:
        """An inquiry of all judges there are, of whatever kind."""
        matter = Matter(prompt, completion, **more)
        names = self.snapshot.settings.safety.judges
        chosen = [
            judge
            for gate in (True, False)
            for judge in self.judges.chosen(self.snapshot, names, matter.side, "req_1", gate=gate)
        ]
        return self.judges.begin(self.snapshot, chosen, matter)

    async def judge(
        self, prompt: str = "hello", completion: str | None = None, **more: Any
    ) -> tuple[Judged, tuple[AttemptRecord, ...]]:
        """What all of them say, and the records of asking them."""
        inquiry = self.begin(prompt, completion, **more)
        judged = await asyncio.wait_for(inquiry.judged(), 10)
        return judged, inquiry.end()

    def count(self, judge: str, outcome: str) -> int:
        """How often a judge came to this."""
        return self.metrics.counts["tollhouse_judges", judge, outcome]


@asynccontextmanager
async def benched(text: str) -> AsyncIterator[Bench]:
    """A bench of these settings."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "tollhouse.toml"
        file.write_text(text + "\n" + QUIET)
        file.chmod(0o600)
        settings = config.load(file, {"HOME": folder}, CATALOGUE.providers)
    snapshot = build(settings, CATALOGUE, tuple(declared(settings, CATALOGUE)[0]))
    metrics, clock = Metrics(), Clock()
    bench = Bench(snapshot, Judges(Live(snapshot), PriceBook(), metrics, clock), metrics, clock)
    bench.judges.alert = lambda name, why: bench.alerts.append((name, why))
    try:
        yield bench
    finally:
        for pool in snapshot.pools.values():
            await pool.aclose()


def host(upstream: ChaosUpstream, models: str = '["guard"]', more: str = "") -> str:
    """Settings of a host ``up`` with a guard model."""
    return f'[providers.up]\nbase_url = "{upstream.url}/v1"\nauth = "none"\nmodels = {models}\n{more}\n'


def said(text: str, finish_reason: str = "stop", logprobs: Any = None, **more: Any) -> list[Send]:
    """A guard model's answer."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    return [Send(completion(choices=[{**choice, "logprobs": logprobs}], **more))]


def answered(value: Any, status: int = 200) -> list[Send]:
    """An answer of JSON."""
    return [Send(whole(json.dumps(value).encode(), status))]


def moderated(**scores: float) -> dict[str, Any]:
    """OpenAI's answer about one text: what is named is flagged. Names have ``__`` for a slash, ``_`` for a dash."""
    named = {name.replace("__", "/").replace("_", "-"): score for name, score in scores.items()}
    found = {**CLEAN_MODERATION, **named}
    flags = {name: name in named for name in found}
    result = {"flagged": bool(named), "categories": flags, "category_scores": found}
    result["category_applied_input_types"] = {name: ["text"] for name in found}
    return {"id": "modr-1", "model": "omni-moderation-latest", "results": [result]}


def analysed(hate: int = 0, self_harm: int = 0, sexual: int = 0, violence: int = 0) -> dict[str, Any]:
    """Azure's answer to ``text:analyze``."""
    rows = {"Hate": hate, "SelfHarm": self_harm, "Sexual": sexual, "Violence": violence}
    found = [{"category": category, "severity": severity} for category, severity in rows.items()]
    return {"blocklistsMatch": [], "categoriesAnalysis": found}


def shielded(*, prompt: bool = False, documents: tuple[bool, ...] = ()) -> dict[str, Any]:
    """Azure's answer to ``text:shieldPrompt``."""
    found = [{"attackDetected": one} for one in documents]
    return {"userPromptAnalysis": {"attackDetected": prompt}, "documentsAnalysis": found}


def body_of(request: Received) -> dict[str, Any]:
    """The JSON of a request."""
    found = json.loads(request.body)
    assert isinstance(found, dict)
    return found
