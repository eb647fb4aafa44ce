"""The kinds of judges by their names in the settings: the table that a new one is a row of. Pure."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from msgspec import Struct

from tollhouse.safety.judges import (
    azure,
    granite_guardian,
    llama_guard,
    moderation,
    qwen3guard,
    shieldgemma,
    webhook,
    wildguard,
)
from tollhouse.safety.judges.asked import Matter, Question
from tollhouse.safety.judges.findings import Table
from tollhouse.settings.judges import JudgeSettings
from tollhouse.types.safety import PROMPT

Headers = tuple[tuple[str, str], ...]


class Kind(Struct, frozen=True):
    """One kind of judge."""

    ask: Callable[[JudgeSettings, Matter], tuple[Question, ...]]
    table: Callable[[JudgeSettings], Table]
    headers: Callable[[JudgeSettings, bytes, int], Headers] = lambda _judge, _body, _at_s: ()
    """What a request to its own address carries beside the body: credential and signature; the time is Unix seconds."""
    reads_documents: bool = False
    """Whether it looks at what a prompt quotes, too."""


def _azure_headers(judge: JudgeSettings, _body: bytes, _at_s: int) -> Headers:
    return (("ocp-apim-subscription-key", judge.credential.reveal()),) if judge.credential else ()


def _webhook_headers(judge: JudgeSettings, body: bytes, at_s: int) -> Headers:
    found: Headers = ()
    if judge.credential is not None:
        found += (("authorization", f"Bearer {judge.credential.reveal()}"),)
    if judge.secret is not None:
        found += ((webhook.SIGNATURE, webhook.sign(body, judge.secret.reveal(), at_s)),)
    return found


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "openai": Kind(moderation.ask, lambda _: moderation.TABLE),
        "azure": Kind(azure.ask, lambda _: azure.TABLE, _azure_headers, reads_documents=True),
        "llama_guard": Kind(llama_guard.ask, lambda judge: llama_guard.table(judge.version)),
        "shieldgemma": Kind(shieldgemma.ask, lambda _: shieldgemma.TABLE),
        "granite_guardian": Kind(granite_guardian.ask, lambda _: granite_guardian.TABLE),
        "qwen3guard": Kind(qwen3guard.ask, lambda _: qwen3guard.TABLE),
        "wildguard": Kind(wildguard.ask, lambda _: wildguard.TABLE),
        "webhook": Kind(webhook.ask, lambda _: webhook.TABLE, _webhook_headers, reads_documents=True),
    }
)


def questions(judge: JudgeSettings, matter: Matter) -> tuple[Question, ...]:
    """What a judge is asked about a matter; nothing where there is nothing in it for it to read."""
    kind = KINDS[judge.kind]
    if matter.text.strip() or (kind.reads_documents and matter.documents):
        return kind.ask(judge, matter)
    return ()


def is_judged(judge: JudgeSettings, side: str) -> bool:
    """Whether it is asked about a side at all. One that only looks for jailbreaks has no question about answers."""
    return side in judge.sides and not (judge.asks == ("jailbreak",) and side != PROMPT)
