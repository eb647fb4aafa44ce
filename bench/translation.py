"""What it costs to serve a client of one dialect at a host of another, beyond what a pass-through costs.

    python -m bench.translation [--rounds N] [--profile CLIENT:HOST:WHAT]

No sockets: the client's bytes are read and the host's request is made; a host's event is read and the client's is made.
The pass-through is the same conversation from a client of OpenAI's dialect to a host of it. Figures are microseconds of
CPU, the least of all rounds; ``--profile anthropic:openai:agent`` shows where they go.
"""

import argparse
import cProfile
import gc
import pstats
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from bench import dialogues
from tollhouse.dialects.anthropic.client import ANTHROPIC
from tollhouse.dialects.client import ClientDialect, Identity
from tollhouse.dialects.gemini.client import GEMINI
from tollhouse.dialects.openai_client import OPENAI
from tollhouse.providers import load
from tollhouse.types.calls import ChatCall, Host, ModelFacts, Target
from tollhouse.types.secret import Secret

REQUEST_US = 40.0
CHUNK_US = 6.0
PASSED = ("openai", "openai")
PAIRS = (
    ("openai", "anthropic"),
    ("anthropic", "openai"),
    ("openai", "gemini"),
    ("gemini", "openai"),
    ("anthropic", "gemini"),
    ("gemini", "anthropic"),
)
KINDS = ("small", "agent", "chunk")
CLIENTS: Mapping[str, ClientDialect] = MappingProxyType({"openai": OPENAI, "anthropic": ANTHROPIC, "gemini": GEMINI})
_MODELS = {"openai": "gpt-5", "anthropic": "claude-sonnet-4-5", "gemini": "gemini-3-pro"}
_PATHS = {"openai": "", "anthropic": "", "gemini": "m:streamGenerateContent"}
_IDENTITY = Identity("chatcmpl-CkT7wq3mZbY0aVJr5Ns8uPfHd2LxE", 1_790_000_000)
_ROUND_S = 0.02


class Row(NamedTuple):
    """One figure: what serving ``kind`` takes, in microseconds, and what of it is translation."""

    client: str
    host: str
    kind: str
    took_us: float
    passed_us: float

    @property
    def added_us(self) -> float:
        """What it takes beyond a pass-through."""
        return self.took_us - self.passed_us

    @property
    def most_us(self) -> float:
        """The target; twice as much where neither side speaks the inner form, for two translations are made."""
        once = CHUNK_US if self.kind == "chunk" else REQUEST_US
        return once if "openai" in (self.client, self.host) else 2 * once

    @property
    def verdict(self) -> str:
        """Whether that is within the target."""
        return f"<= {self.most_us:g} {'met' if self.added_us <= self.most_us else 'missed'}"


def target_of(name: str) -> Target:
    """A model at a host that speaks this dialect."""
    facts = ModelFacts(_MODELS[name], _MODELS[name], 1_000_000, 64_000, tools=True, reasoning=True)
    return Target(Host(name, f"https://{name}.example/v1", Secret("k" * 40), provider=name), _MODELS[name], facts)


def read(client: str, kind: str) -> ChatCall:
    """The call of a client's request."""
    return CLIENTS[client].read(dialogues.REQUESTS[kind][client], _PATHS[client], {})


def request_work(client: str, host: str, kind: str) -> Callable[[], object]:
    """Reads a client's request and makes the host's."""
    provider, target = load(host), target_of(host)
    dialect, body, path = CLIENTS[client], dialogues.REQUESTS[kind][client], _PATHS[client]
    headers: dict[bytes, bytes] = {}
    return lambda: provider.encode_chat(dialect.read(body, path, headers), target).outgoing


def chunk_work(client: str, host: str) -> Callable[[], bytes]:
    """Reads one more event of a stream that has begun, and writes the client's."""
    call = read(client, "agent")
    decoder = load(host).decode_chat(call, target_of(host))
    writer = CLIENTS[client].writer(call, _IDENTITY)
    writer.encode(decoder.feed(dialogues.OPENINGS[host]))
    event = dialogues.CHUNKS[host]
    return lambda: writer.encode(decoder.feed(event))


def work_of(client: str, host: str, kind: str) -> Callable[[], object]:
    """What is measured: one piece of work, again and again."""
    return chunk_work(client, host) if kind == "chunk" else request_work(client, host, kind)


def least_us(works: Mapping[tuple[str, str], Callable[[], object]], rounds: int) -> dict[tuple[str, str], float]:
    """For each piece of work, the least CPU that it took in any round. They take turns, for machines have moods."""
    counts = {}
    for name, work in works.items():
        began = time.perf_counter()
        for _ in range(100):
            work()
        counts[name] = max(1, int(_ROUND_S * 100 / (time.perf_counter() - began)))
    least = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        for name, work in works.items():
            began = time.process_time()
            for _ in range(counts[name]):
                work()
            least[name] = min(least[name], (time.process_time() - began) / counts[name] * 1e6)
    return least


def measure(rounds: int) -> list[Row]:
    """Every pair of dialects, with every kind of work."""
    rows = []
    for kind in KINDS:
        works = {pair: work_of(*pair, kind) for pair in (PASSED, *PAIRS)}
        least = least_us(works, rounds)
        rows += [Row(*pair, kind, least[pair], least[PASSED]) for pair in PAIRS]
    return rows


def table(rows: list[Row]) -> str:
    """The figures as Markdown."""
    lines = ["| client | host | what | us | pass-through | added | target |", "|---|---|---|---:|---:|---:|---|"]
    for row in rows:
        figures = f"{row.took_us:.1f} | {row.passed_us:.1f} | {row.added_us:.1f}"
        lines.append(f"| {row.client} | {row.host} | {row.kind} | {figures} | {row.verdict} |")
    return "\n".join(lines)


def profile(what: str) -> None:
    """Prints where the time of one piece of work goes."""
    client, host, kind = what.split(":")
    work = work_of(client, host, kind)
    recorder = cProfile.Profile()
    recorder.enable()
    for _ in range(5000):
        work()
    recorder.disable()
    pstats.Stats(recorder).sort_stats("tottime").print_stats(30)


def main() -> None:
    """Reads the arguments, measures, prints."""
    gc.freeze()
    gc.set_threshold(20_000, 50, 1000)  # as `cli.up` has it
    parser = argparse.ArgumentParser(prog="python -m bench.translation", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="how often each piece of work is measured")
    parser.add_argument("--profile", metavar="CLIENT:HOST:WHAT", help=f"where it goes; WHAT is {', '.join(KINDS)}")
    wanted = parser.parse_args()
    if wanted.profile:
        profile(wanted.profile)
    else:
        print(table(measure(wanted.rounds)))


if __name__ == "__main__":
    main()
