"""POST /v1/moderations, in OpenAI's shape: answered here, by the local classifier or by a judge, or by a host.

The model decides. ``tollhouse/safety``, the classifier's own name, or none: the classifier, at no cost. The name of a
judge after ``tollhouse/judge/``: that judge, at the operator's cost, so only for keys whose policy names it, or which
were given it by name. Any other model: its host, as every relayed endpoint (`gateway.relay`).

What is answered here is on the ledger as any request is: free, and with an estimate of its tokens.

A text is told what the caller's policy would do to it as a prompt; where that lets everything pass, what a policy would
do that blocks what is ``high``. OpenAI's SDKs type every category as a boolean and a number, so a category for which
nothing looked is ``false`` and 0.0, has no input type, and stands in ``unsupported``: it is not said to be clean.

https://platform.openai.com/docs/api-reference/moderations
"""

import secrets
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from tollhouse.dialects.spoken import Asked
from tollhouse.dialects.tokens import estimate_tokens
from tollhouse.errors import Forbidden, InvalidRequest, ModelNotFound, UpstreamUnavailable
from tollhouse.gateway.annotate import cost_header
from tollhouse.gateway.gate import Gate, Visit
from tollhouse.gateway.hosts import refuse_chosen_host
from tollhouse.gateway.idempotency import fingerprint
from tollhouse.gateway.judging import Judges
from tollhouse.gateway.safety import weigh
from tollhouse.ledger.holds import Hold
from tollhouse.ledger.prices import Bid, free_price
from tollhouse.safety.beside import with_listed
from tollhouse.safety.classifier import HEADS, Classifier
from tollhouse.safety.judges.asked import Matter
from tollhouse.safety.lists import Lists
from tollhouse.safety.personal.vault import Vault
from tollhouse.safety.policy import Decision, Policies, Policy
from tollhouse.settings.judges import JudgeSettings
from tollhouse.settings.safety import PolicySettings, Safety
from tollhouse.tenancy.directory import allows_model
from tollhouse.types.calls import Host, RelayCall, Target, Usage
from tollhouse.types.ledger import AttemptRecord
from tollhouse.types.safety import HIGH, PROMPT, Verdict
from tollhouse.validate.guard import parse
from tollhouse.validate.relay import check_relay, read_relay
from tollhouse.web.exchange import Exchange
from tollhouse.web.heads import header_line, json_body
from tollhouse.web.routes import Handler

KIND = "moderations"
LOCAL_MODEL = "tollhouse/safety"
JUDGE_PREFIX = "tollhouse/judge/"
MAX_JUDGED = 32
"""Inputs of one request to a judge: each is a request of ours."""
CATEGORIES = (
    *("harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm"),
    *("self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic"),
)
"""OpenAI's, each of which every answer has."""
OURS: Mapping[str, str] = MappingProxyType(
    {"harassment": "hate", "hate": "hate", "self-harm": "self_harm", "sexual": "sexual", "violence": "violence"}
)
"""Which of our categories stands behind one of OpenAI's. Harassment is part of our hate, as it is of Azure's."""
UNSUPPORTED = tuple(name for name in CATEGORIES if name not in OURS)
_INPUT_TYPES = {name: ["text"] if name in OURS else [] for name in CATEGORIES}
_TOP = "high"
YARDSTICK = Policies(Safety(policies=MappingProxyType({_TOP: PolicySettings(_TOP)}))).named(_TOP)
"""What a text is held against where the caller's policy blocks no prompt: `high`, and what attacks instructions."""


class Judged(Struct, frozen=True):
    """One input, judged."""

    decision: Decision
    scores: Mapping[str, float]
    """By our category."""


class ModerationsPage:
    """The endpoint. ``relayed`` answers for the models of hosts."""

    def __init__(self, gate: Gate, classifier: Classifier, relayed: Handler, judges: Judges) -> None:
        self._gate = gate
        self._classifier = classifier
        self._relayed = relayed
        self._judges = judges

    async def __call__(self, exchange: Exchange) -> None:
        """Answers one request. Raises `Fault`."""
        principal, body = await self._gate.receive(exchange)
        asked = _parsed(body)
        model = asked.get("model") if asked is not None else None
        if isinstance(model, str) and not is_own(model, self._classifier.name):
            await self._relay(exchange)
            return
        visit = self._gate.admit(exchange, principal, KIND)
        with visit.page():
            refuse_chosen_host(exchange)
            call = read_relay(KIND, body) if asked is None else check_relay(KIND, asked)
            exchange.release_body()
            await self._answer(visit, call)

    async def _relay(self, exchange: Exchange) -> None:
        """Has a host answer. Who names a model that no host serves, as OpenAI's SDKs do, is told who would answer."""
        try:
            await self._relayed(exchange)
        except ModelNotFound as fault:
            fault.message = f"{fault.message} Without 'model' the classifier inside answers."
            raise

    async def _answer(self, visit: Visit, call: RelayCall) -> None:
        model = call.model or LOCAL_MODEL
        texts: Sequence[str] = read_texts(call.body["input"])
        policy = _policy(visit)
        judge = find_own(visit, model, self._classifier.name, len(texts))
        if await visit.is_repeated(lambda: fingerprint(KIND, call.body)):
            return
        target = LOCAL_MODEL
        if judge is not None:
            target, texts = model, await self._masked(texts, policy)
        bid = free_bid(target)
        hold = visit.take(KIND, model, (bid,), 0)
        if judge is not None:
            detector = model
            found = await self._ask(visit, judge, texts, hold)
            judged = [Judged(_held(policy, verdict), _scores_of(verdict)) for verdict in found]
        else:
            detector = self._classifier.name
            judged = await self._read(texts, policy, visit.snapshot.lists, hold)
        visit.exchange.notes["model"] = bid.target.id
        results = [describe(one, detector) for one in judged]
        reply = {"id": f"modr-{secrets.token_hex(16)}", "model": detector, "results": results}
        headers = header_line("x-tollhouse-target", bid.target.id) + cost_header(0) + visit.lease.headers()
        body = json_body(reply)
        visit.record_end(body, "application/json")
        await hold.durable()
        visit.exchange.reply(200, body, headers)

    # --- the classifier --------------------------------------------------------------------------------------

    async def _read(self, texts: Sequence[str], policy: Policy, lists: Lists, hold: Hold) -> list[Judged]:
        """What is found in this process; of long texts on another thread, for the loop would stand still. Resolves the
        hold.
        """
        judged: list[Judged] | None = None
        try:
            judged = await self._gate.safety.beside_loop(
                _weigh(texts), lambda: [self._read_one(text, policy, lists) for text in texts]
            )
        finally:
            _resolve(hold, texts, whole=judged is not None)
        return judged

    def _read_one(self, text: str, policy: Policy, lists: Lists) -> Judged:
        reading = self._classifier.read(text)
        verdict = with_listed(self._classifier.verdict(reading), text, policy, lists)
        return Judged(_held(policy, verdict), dict(zip(HEADS, reading.scores, strict=True)))

    # --- a judge ---------------------------------------------------------------------------------------------

    async def _ask(self, visit: Visit, judge: JudgeSettings, texts: Sequence[str], hold: Hold) -> list[Verdict]:
        """What a judge says of each text. Resolves the hold, with what the judge cost the operator.

        Raises `UpstreamUnavailable`.
        """
        inquiries = [self._judges.begin(visit.snapshot, (judge,), Matter(text)) for text in texts]
        whole = False
        try:
            verdicts = [(await inquiry.judged()).verdict for inquiry in inquiries]
            if any(verdict.failed for verdict in verdicts):
                wait_s = self._judges.retry_after_s((judge.name,))
                message = f"The judge '{judge.name}' did not answer."
                raise UpstreamUnavailable(message, headers={"retry-after": str(wait_s)})
            whole = True
        finally:
            records = tuple([record for inquiry in inquiries for record in inquiry.end()])
            _resolve(hold, texts, records, whole=whole)
        return verdicts

    async def _masked(self, texts: Sequence[str], policy: Policy) -> Sequence[str]:
        """The texts without what the policy keeps from others. Raises `InvalidRequest` where that is too much."""
        if not policy.hidden:
            return texts
        vault = Vault(sorted(policy.hidden))
        return await self._gate.safety.beside_loop(_weigh(texts), lambda: [vault.mask(text) for text in texts])


def free_bid(model: str) -> Bid:
    """What is held for a model of ours: nothing."""
    host, _, name = model.partition("/")
    return Bid(Target(Host(host, ""), name), free_price(host, name), 0, None, 0)


def _resolve(hold: Hold, texts: Sequence[str], asked: tuple[AttemptRecord, ...] = (), *, whole: bool) -> None:
    """Ends a hold: as answered, with about as many tokens as the texts are, or as if nothing had been asked of us."""
    (bid,) = hold.bids
    if not whole:
        hold.release(asked)
        return
    usage = Usage(input=estimate_tokens(" ".join(texts)), estimated=True)
    hold.settle(bid, usage, (*asked, AttemptRecord(bid.target.id, "ok", None, 0, 0)))


def _weigh(texts: Sequence[str]) -> int:
    return weigh([Asked("user", text) for text in texts])


def _parsed(body: bytes) -> dict[str, Any] | None:
    """The JSON of a body; None where it is none, which its reader will say again."""
    try:
        return parse(body)
    except InvalidRequest:
        return None


def is_own(model: str, classifier: str) -> bool:
    """Whether a model is answered here: the classifier, by either of its names, or a judge."""
    return model in {LOCAL_MODEL, classifier} or model.startswith(JUDGE_PREFIX)


def find_own(visit: Visit, model: str, classifier: str, texts: int) -> JudgeSettings | None:
    """The judge of a name that the caller may ask about so many texts; None for the classifier.

    Raises `ModelNotFound`, `Forbidden`, `InvalidRequest`.
    """
    if not model.startswith(JUDGE_PREFIX):
        _permit(visit, LOCAL_MODEL, classifier)
        return None
    name = model.removeprefix(JUDGE_PREFIX)
    judge = visit.snapshot.settings.safety.judges.get(name)
    if judge is None:
        raise ModelNotFound(f"No judge '{model}' is set up.", param="model")
    if name not in _policy(visit).judges and not visit.principal.models:
        raise Forbidden(
            f"This key may not ask '{model}': neither its policy nor its models name it.",
            param="model",
            code="model_not_allowed",
        )
    _permit(visit, model)
    if texts > MAX_JUDGED:
        message = f"Invalid 'input': array too long. A judge takes at most {MAX_JUDGED}, but got {texts} instead."
        raise InvalidRequest(message, param="input", code="array_above_max_length")
    return judge


def _policy(visit: Visit) -> Policy:
    return visit.snapshot.policies.of(visit.principal)


def _permit(visit: Visit, *names: str) -> None:
    """Raises `Forbidden` where the key is restricted to other models."""
    if not allows_model(visit.principal, *names):
        raise Forbidden(f"This key may not use the model '{names[0]}'.", param="model", code="model_not_allowed")


def read_texts(value: str | list[Any]) -> list[str]:
    """The texts that are judged one by one: of an array of parts there is one. Raises `InvalidRequest`."""
    if isinstance(value, str):
        return [value]
    if isinstance(value[0], str):
        return value
    for index, part in enumerate(value):
        if part["type"] != "text":
            path = f"input[{index}]"
            message = f"Invalid value for '{path}': only text is judged here. Name a host's model for images."
            raise InvalidRequest(message, param=path, code="unsupported_value")
    return ["\n".join([part["text"] for part in value])]


def _held(policy: Policy, verdict: Verdict) -> Decision:
    return (policy if policy.prompt.blocks else YARDSTICK).decide(verdict, PROMPT)


def _scores_of(verdict: Verdict) -> dict[str, float]:
    """By category, how sure a judge is; of one that gives no probabilities, its severity as a share of the highest."""
    scores: dict[str, float] = {}
    for finding in verdict.findings:
        score = finding.level / HIGH if finding.score is None else finding.score
        scores[finding.category] = max(score, scores.get(finding.category, 0.0))
    return scores


def describe(judged: Judged, detector: str) -> dict[str, Any]:
    """One of the ``results``."""
    filtered, scores = judged.decision.categories, judged.scores
    return {
        "flagged": bool(filtered),
        "categories": {name: OURS.get(name) in filtered for name in CATEGORIES},
        "category_scores": {name: scores.get(OURS.get(name, ""), 0.0) for name in CATEGORIES},
        "category_applied_input_types": _INPUT_TYPES,
        "content_filter_results": judged.decision.results,
        "detector": detector,
        "unsupported": UNSUPPORTED,
    }
