"""Safety through the official SDKs: what they ignore and show, what they raise, what they know as refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors, types

from tests.e2e.backstage import Backstage
from tests.e2e.node import ROOT, run_node
from tests.e2e.process import ENVIRON, Gateway, running
from tests.fakes.chaos import Send
from tests.fakes.openai_wire import completion, stream
from tests.gateway.safety_kit import CLEAN_PROMPT, FOUND, PLAIN, TOLERANT, is_hit
from tollhouse.client import (
    ErrorId,
    collect,
    error_id,
    filter_results,
    filtered_categories,
    is_content_filter,
    was_filtered,
)

CONFIG = f"""
[providers.stage]
base_url = "http://127.0.0.1:PORT/v1"
api_key = "sk-x"
models = ["m"]

[safety.blocklists.bad]
terms = ["venom"]

[safety.policies.listed]
{TOLERANT}blocklists = ["bad"]

[models]
plain = "stage/m"

[models.listed]
targets = ["stage/m"]
safety = "listed"
"""
POISON = "a venom, please"
HELLO: list[Any] = [{"role": "user", "content": "How do I sort a list in Python?"}]
POISONED: list[Any] = [{"role": "user", "content": POISON}]
PIECES = ("It is ven", "om, ", "and so on.")
CLEAN = (PLAIN[:12], PLAIN[12:])
SCRIPT = """
import OpenAI from "openai";
import * as sdk from "tollhouse-client";
const client = new OpenAI({ maxRetries: 0, timeout: 20_000 });
const { HELLO, POISONED } = JSON.parse(process.env.ASKING);
const ask = (model, messages, more = {}) => client.chat.completions.create({ model, messages, ...more });
const plain = await ask("plain", HELLO);
const bad = await ask("listed", HELLO);
const chunks = [];
for await (const chunk of await ask("plain", HELLO, { stream: true })) chunks.push(chunk);
const cut = await sdk.collect(await ask("listed", HELLO, { stream: true }));
const helper = client.chat.completions.stream({ model: "listed", messages: HELLO });
const final = await helper.finalChatCompletion();
const thrown = await ask("listed", POISONED).catch((error) => error);
console.log(JSON.stringify({
  plain: [plain.choices[0].message.content, plain.choices[0].content_filter_results.hate, sdk.wasFiltered(plain)],
  bad: [bad.choices[0].finish_reason, sdk.wasFiltered(bad), sdk.getFilteredCategories(bad)],
  chunks: [
    chunks.findIndex((one) => one.prompt_filter_results), chunks.map((one) => one.choices.length),
    chunks.map((one) => Boolean(one.choices[0].content_filter_results)),
    chunks.map((one) => one.choices[0].delta.content ?? "").join(""),
  ],
  cut: [
    cut.choices[0].finish_reason, cut.choices[0].message.content, sdk.wasFiltered(cut), sdk.getFilteredCategories(cut),
  ],
  final: [final.choices[0].finish_reason, sdk.wasFiltered(final)],
  thrown: [thrown instanceof OpenAI.BadRequestError, thrown.code, sdk.isContentFilter(thrown), sdk.errorId(thrown)],
}));
"""


@pytest.fixture(scope="module")
def stage() -> Iterator[Backstage]:
    """The host."""
    with Backstage() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def house(stage: Backstage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose model ``listed`` is under a policy that blocks, and ``plain`` under none."""
    config = CONFIG.replace("PORT", str(stage.up.port))
    with running(tmp_path_factory.mktemp("safety"), config) as process:
        yield process


@pytest.fixture(scope="module")
def client(house: Gateway) -> Iterator[openai.OpenAI]:
    """OpenAI's SDK."""
    with openai.OpenAI(base_url=house.url, api_key=house.key, max_retries=0, timeout=20) as sdk:
        yield sdk


@pytest.fixture(scope="module")
def claude(house: Gateway) -> Iterator[anthropic.Anthropic]:
    """Anthropic's."""
    url = house.url.removesuffix("/v1")
    with anthropic.Anthropic(base_url=url, api_key=house.key, max_retries=0, timeout=20) as sdk:
        yield sdk


@pytest.fixture(scope="module")
def google(house: Gateway) -> Iterator[genai.Client]:
    """Google's."""
    options = types.HttpOptions(base_url=f"http://127.0.0.1:{house.port}", timeout=20_000)
    with genai.Client(api_key=house.key, http_options=options) as sdk:
        yield sdk


def test_openai_shows_what_it_does_not_know(client: openai.OpenAI, stage: Backstage) -> None:
    """The SDK keeps the members that its types have not, and our helpers read them from its objects."""
    stage.play([Send(completion(PLAIN))])
    answer = client.chat.completions.create(model="plain", messages=HELLO)
    (choice,) = answer.choices
    assert (choice.message.content, choice.finish_reason) == (PLAIN, "stop")
    extra: Any = choice.model_extra
    assert extra["content_filter_results"]["hate"] == {"filtered": False, "severity": "safe"}
    shown: Any = choice
    assert shown.content_filter_results["protected_material_text"]["detector"] == "off"
    whole: Any = answer.model_extra
    assert whole["prompt_filter_results"] == [{"prompt_index": 0, "content_filter_results": CLEAN_PROMPT}]
    assert not was_filtered(answer)
    assert filter_results(answer).prompt[0].results["violence"].severity == "safe"


def test_openai_of_a_withheld_answer(client: openai.OpenAI, stage: Backstage) -> None:
    """Its types hold for it: no content, and the reason that they know."""
    stage.play([Send(completion("".join(PIECES)))])
    answer = client.chat.completions.create(model="listed", messages=HELLO)
    assert (answer.choices[0].finish_reason, answer.choices[0].message.content) == ("content_filter", None)
    assert was_filtered(answer)
    assert filtered_categories(answer) == ["custom_blocklists"]


def test_openai_of_a_stream(client: openai.OpenAI, stage: Backstage) -> None:
    """Results are on chunks that have a choice, so a loop over ``choices[0]`` goes through, with usage or without."""
    options: Any = {"include_usage": True}
    for more in ({}, {"stream_options": options}):
        stage.play([Send(stream(*CLEAN))])
        asked: dict[str, Any] = {"model": "plain", "messages": HELLO, "stream": True, **more}
        chunks: list[Any] = list(client.chat.completions.create(**asked))
        held = [chunk for chunk in chunks if chunk.choices]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in held) == PLAIN
        assert held[0].model_extra["prompt_filter_results"][0]["content_filter_results"] == CLEAN_PROMPT
        assert [bool(chunk.choices[0].model_extra.get("content_filter_results")) for chunk in held] == [
            *[False] * (len(held) - 1),
            True,
        ]
        assert not was_filtered(collect(chunks))


def test_openai_of_a_stream_that_is_cut(client: openai.OpenAI, stage: Backstage) -> None:
    """The loop ends as it does for any answer; the SDK's own accumulator raises its error for filtered answers."""
    stage.play([Send(stream(*PIECES))])
    collected = collect(client.chat.completions.create(model="listed", messages=HELLO, stream=True))
    assert was_filtered(collected)
    assert is_hit(collected["choices"][0]["content_filter_results"])
    assert not collected["choices"][0]["message"]["content"]
    with (
        client.chat.completions.stream(model="listed", messages=HELLO) as told,
        pytest.raises(openai.ContentFilterFinishReasonError),
    ):
        told.get_final_completion()


def test_openai_of_a_blocked_prompt(client: openai.OpenAI, stage: Backstage) -> None:
    """It is the SDK's BadRequestError, streamed or not, with Azure's code and body; no host hears of it."""
    stage.play([Send(completion(PLAIN))])
    for streamed in (False, True):
        with pytest.raises(openai.BadRequestError) as blocked:
            client.chat.completions.create(model="listed", messages=POISONED, stream=streamed)
        error: Any = blocked.value
        assert (error.code, error.param, error.status_code) == ("content_filter", "prompt", 400)
        assert error.body["innererror"]["content_filter_result"].items() >= FOUND.items()
        assert is_content_filter(error)
        assert error_id(error) is ErrorId.CONTENT_POLICY_VIOLATION
    assert stage.requests == []


def test_openai_in_node(house: Gateway, stage: Backstage, tmp_path: Path) -> None:
    """The same through OpenAI's SDK for Node and the helpers of sdk/js."""
    bad = [Send(stream(*PIECES))]
    plays = ([Send(completion(PLAIN))], [Send(completion("".join(PIECES)))], [Send(stream(*CLEAN))], bad, bad)
    stage.play(*plays)
    asking = json.dumps({"HELLO": HELLO, "POISONED": POISONED})
    environ = {**ENVIRON, "OPENAI_BASE_URL": house.url, "OPENAI_API_KEY": house.key, "ASKING": asking}
    script = SCRIPT.replace('"tollhouse-client"', json.dumps((ROOT / "sdk" / "js" / "index.js").as_uri()))
    found = json.loads(run_node(tmp_path, script, environ))
    assert found["plain"] == [PLAIN, {"filtered": False, "severity": "safe"}, False]
    assert found["bad"] == ["content_filter", True, ["custom_blocklists"]]
    first, choices, ended, text = found["chunks"]
    assert (first, set(choices), text) == (0, {1}, PLAIN)
    assert ended == [*[False] * (len(ended) - 1), True]
    reason, content, filtered, categories = found["cut"]
    assert (reason, content or "", filtered, categories) == ("content_filter", "", True, ["custom_blocklists"])
    assert found["final"] == ["content_filter", True]
    assert found["thrown"] == [True, "content_filter", True, "CONTENT_POLICY_VIOLATION"]


def test_anthropic(claude: anthropic.Anthropic, stage: Backstage) -> None:
    """A withheld answer is a refusal, whole and streamed; what stands beside a message is there to read."""
    asked: dict[str, Any] = {"max_tokens": 50, "messages": HELLO}
    stage.play([Send(completion(PLAIN))], [Send(completion("".join(PIECES)))], [Send(stream(*PIECES))])
    whole = claude.messages.create(model="plain", **asked)
    assert whole.stop_reason == "end_turn"
    extra: Any = whole.model_extra
    assert extra["completion_filter_results"][0]["index"] == 0
    assert extra["prompt_filter_results"][0]["content_filter_results"] == CLEAN_PROMPT
    refused = claude.messages.create(model="listed", **asked)
    assert (refused.stop_reason, refused.content) == ("refusal", [])
    with claude.messages.stream(model="listed", **asked) as told:
        assert "".join(told.text_stream) == ""
        assert told.get_final_message().stop_reason == "refusal"
    with pytest.raises(anthropic.BadRequestError) as blocked:
        claude.messages.create(model="listed", max_tokens=50, messages=POISONED)
    body: Any = blocked.value.body
    assert body["error"]["innererror"]["content_filter_result"].items() >= FOUND.items()
    assert error_id(blocked.value) is ErrorId.CONTENT_POLICY_VIOLATION


def test_google(google: genai.Client, stage: Backstage) -> None:
    """A withheld answer ended for safety, whole and streamed; a prompt that is blocked is the SDK's ClientError."""
    hello = HELLO[0]["content"]
    stage.play([Send(completion(PLAIN))], [Send(completion("".join(PIECES)))], [Send(stream(*PIECES))])
    whole = google.models.generate_content(model="plain", contents=hello)
    assert whole.text == PLAIN
    refused = google.models.generate_content(model="listed", contents=hello)
    assert refused.candidates
    assert refused.candidates[0].finish_reason is types.FinishReason.SAFETY
    assert not refused.text
    objects = list(google.models.generate_content_stream(model="listed", contents=hello))
    reasons = [one.candidates[0].finish_reason for one in objects if one.candidates]
    assert reasons[-1] is types.FinishReason.SAFETY
    assert "".join(one.text or "" for one in objects) == ""
    with pytest.raises(errors.ClientError) as blocked:
        google.models.generate_content(model="listed", contents=POISON)
    assert (blocked.value.code, blocked.value.status) == (400, "INVALID_ARGUMENT")
    assert "custom_blocklists" in str(blocked.value.message)
