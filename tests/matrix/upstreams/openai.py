"""Hosts that speak OpenAI's chat completions: OpenAI itself, Azure, and llama.cpp's server.

https://platform.openai.com/docs/api-reference/chat/create
"""

import json
from typing import Any, ClassVar

from tests.matrix.shapes import ANY, Kinds, check, demand
from tests.matrix.upstreams.server import CREDENTIAL, Host, Request, event
from tests.matrix.words import Call, Counts, Got, Result, Said, Turn, cut

TEXT = {"text!": str}
USER = Kinds(
    "type",
    {
        "text": TEXT,
        "image_url": {"image_url!": {"url!": str, "detail": {"auto", "low", "high"}}},
        "file": {"file!": {"file_data": str, "file_id": str, "filename": str}},
    },
)
FUNCTION = {"name!": str, "arguments!": str}
TEXTS: Any = (str, [Kinds("type", {"text": TEXT})])
MESSAGE = Kinds(
    "role",
    {
        "system": {"content!": TEXTS, "name": str},
        "developer": {"content!": TEXTS, "name": str},
        "user": {"content!": (str, [USER]), "name": str},
        "assistant": {
            "content": (*TEXTS, type(None)),
            "refusal": (str, type(None)),
            "annotations": (list, type(None)),
            "audio": type(None),
            "function_call": type(None),
            "name": str,
            "tool_calls": ([{"id!": str, "type!": {"function"}, "function!": FUNCTION}], type(None)),
        },
        "tool": {"content!": TEXTS, "tool_call_id!": str},
    },
)
TOOL = {
    "type!": {"function"},
    "function!": {"name!": str, "description": str, "parameters": dict, "strict": (bool, type(None))},
}
BODY = {
    "model!": str,
    "messages!": [MESSAGE],
    "stream": bool,
    "stream_options": {"include_usage": bool, "include_obfuscation": bool},
    "tools": [TOOL],
    "tool_choice": ({"none", "auto", "required"}, {"type!": {"function"}, "function!": {"name!": str}}),
    "parallel_tool_calls": bool,
    "response_format": Kinds(
        "type",
        {
            "text": {},
            "json_object": {},
            "json_schema": {
                "json_schema!": {"name!": str, "schema": dict, "strict": (bool, type(None)), "description": str}
            },
        },
    ),
    "stop": (str, [str]),
    "reasoning_effort": {"none", "minimal", "low", "medium", "high", "xhigh"},
    "logit_bias": dict,
    "metadata": dict,
    **dict.fromkeys(("temperature", "top_p", "frequency_penalty", "presence_penalty"), float),
    **dict.fromkeys(("seed", "n", "max_tokens", "max_completion_tokens", "top_logprobs"), int),
    **dict.fromkeys(("logprobs", "store"), bool),
    **dict.fromkeys(("user", "prompt_cache_key", "safety_identifier", "service_tier"), str),
}
WISHES = (
    *("temperature", "top_p", "seed", "n", "logprobs", "top_logprobs", "frequency_penalty", "presence_penalty"),
    *("parallel_tool_calls", "stop"),
)
FAULTS: dict[str, tuple[int, str, str | None, str]] = {
    "rate_limit": (429, "rate_limit_error", "rate_limit_exceeded", "Rate limit reached for m on tokens per min."),
    "auth": (401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    "missing": (404, "invalid_request_error", "model_not_found", "The model `m` does not exist."),
    "crash": (500, "server_error", None, "The server had an error while processing your request."),
    "too_long": (
        400,
        "invalid_request_error",
        "context_length_exceeded",
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    ),
}


class OpenAIHost(Host):
    """OpenAI."""

    name: ClassVar[str] = "openai"
    model: ClassVar[str] = "gpt-5-mini"
    path: ClassVar[str] = "/v1/chat/completions"
    counts: ClassVar[Counts] = Counts(prompt=40, output=12, cached=8, reasoning=5)

    @property
    def settings(self) -> str:
        """Reasoning models refuse ``max_tokens``."""
        return super().settings + 'quirks = { max_tokens_field = "max_completion_tokens" }\n'

    def read(self, request: Request) -> Got:
        """See `Host.read`."""
        body = request.body
        demand(request.path == self.path, "path", f"there is nothing at {request.path}")
        self.authorize(request)
        check(body, BODY)
        got = Got(stream=body.get("stream") is True)
        demand("max_tokens" not in body, "max_tokens", "use max_completion_tokens instead with this model")
        read_messages(body["messages"], got)
        read_wishes(body, got)
        return got

    def authorize(self, request: Request) -> None:
        """Where the key is."""
        demand(request.headers.get("authorization") == f"Bearer {CREDENTIAL}", "authorization", "wrong key")

    def envelope(self, kind: str) -> dict[str, Any]:
        """The members of every object."""
        return {"id": "chatcmpl-up1", "object": kind, "created": 1760000000, "model": f"{self.model}-2025-08-07"}

    def usage(self, got: Got) -> dict[str, Any]:
        """What it counts, of all choices."""
        counts, choices = self.counts, got.wishes.get("n", 1)
        output = counts.output * choices
        return {
            "prompt_tokens": counts.prompt,
            "completion_tokens": output,
            "total_tokens": counts.prompt + output,
            "prompt_tokens_details": {"cached_tokens": counts.cached, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": counts.reasoning, "audio_tokens": 0},
        }

    def whole(self, said: Said, got: Got) -> Any:
        """See `Host.whole`."""
        choices = [self.choice(index, said, got) for index in range(got.wishes.get("n", 1))]
        return {**self.envelope("chat.completion"), "choices": choices, "usage": self.usage(got)}

    def choice(self, index: int, said: Said, got: Got) -> dict[str, Any]:
        """One choice of a whole answer."""
        message: dict[str, Any] = {"role": "assistant", "content": said.text or None, "refusal": None}
        message["annotations"] = []
        if said.calls:
            message["tool_calls"] = [called(call) for call in said.calls]
        if said.finish == "refusal":
            message |= {"content": None, "refusal": said.text}
        probable = logprobs(said.pieces) if got.wishes.get("logprobs") else None
        return {"index": index, "message": message, "logprobs": probable, "finish_reason": finish_of(said)}

    def stream(self, said: Said, got: Got) -> list[bytes]:
        """See `Host.stream`."""
        events: list[bytes] = []
        for index in range(got.wishes.get("n", 1)):
            deltas = [{"role": "assistant", "content": "", "refusal": None}, *self.deltas(said)]
            for delta in deltas:
                probable = logprobs([delta["content"]]) if got.wishes.get("logprobs") and delta.get("content") else None
                events.append(
                    self.chunk([{"index": index, "delta": delta, "logprobs": probable, "finish_reason": None}])
                )
            last = {"index": index, "delta": {}, "logprobs": None, "finish_reason": finish_of(said)}
            events.append(self.chunk([last]))
        return [*events, self.chunk([], usage=self.usage(got)), b"data: [DONE]\n\n"]

    def chunk(self, choices: list[Any], **more: Any) -> bytes:
        """One event."""
        return event({**self.envelope("chat.completion.chunk"), "choices": choices, "usage": None, **more})

    def deltas(self, said: Said) -> list[dict[str, Any]]:
        """What is said, in pieces."""
        deltas: list[dict[str, Any]] = []
        name = "refusal" if said.finish == "refusal" else "content"
        deltas += [{name: piece} for piece in said.pieces]
        for index, call in enumerate(said.calls):
            head = {**called(call), "index": index}
            head["function"] = {"name": call.name, "arguments": ""}
            deltas.append({"tool_calls": [head]})
            for piece in cut(json.dumps(call.arguments), 5):
                deltas.append({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
        return deltas

    def fault(self, kind: str) -> tuple[int, Any]:
        """See `Host.fault`."""
        status, word, code, message = FAULTS.get(kind, (400, "invalid_request_error", "unknown_parameter", kind))
        return status, {"error": {"message": message, "type": word, "param": None, "code": code}}


class AzureHost(OpenAIHost):
    """Azure: a deployment of the older form, and filters that tell what they found."""

    name = "azure"
    path = "/openai/deployments/gpt-5-mini/chat/completions"

    @property
    def base_url(self) -> str:
        """The resource."""
        return self.root

    @property
    def settings(self) -> str:
        """With the version of its API."""
        return super().settings + 'auth = "api-key"\napi_version = "2024-10-21"\n'

    def read(self, request: Request) -> Got:
        """See `Host.read`."""
        demand(request.query == "api-version=2024-10-21", "query", "Missing required query parameter: api-version")
        return super().read(request)

    def authorize(self, request: Request) -> None:
        """Where the key is."""
        demand(request.headers.get("api-key") == CREDENTIAL, "api-key", "wrong key")

    def choice(self, index: int, said: Said, got: Got) -> dict[str, Any]:
        """With what the filter found."""
        found = {"hate": {"filtered": False, "severity": "safe"}}
        return {**super().choice(index, said, got), "content_filter_results": found}

    def stream(self, said: Said, got: Got) -> list[bytes]:
        """The filter's findings of the prompt come first, without a choice."""
        found = {"prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]}
        first = event({"choices": [], "created": 0, "id": "", "model": "", "object": "", **found})
        return [first, *super().stream(said, got)]


class LlamaHost(OpenAIHost):
    """llama.cpp's server: passes over what it does not know, thinks in the open, and knows nothing of caches."""

    name = "llamacpp"
    model = "qwen3"
    counts = Counts(prompt=40, output=12)

    @property
    def settings(self) -> str:
        """It knows of no key."""
        return f'provider = "{self.name}"\nauth = "none"\n'

    def authorize(self, request: Request) -> None:
        """It has none."""
        demand("authorization" not in request.headers, "authorization", "there is no key")

    def read(self, request: Request) -> Got:
        """See `Host.read`."""
        body = request.body
        demand(request.path == self.path, "path", f"there is nothing at {request.path}")
        known = {name.rstrip("!") for name in BODY}
        loose = [{name: value for name, value in one.items() if name != "is_error"} for one in body["messages"]]
        kept = {**{name: value for name, value in body.items() if name in known}, "messages": loose}
        check(kept, {**BODY, "messages!": [ANY], "tools": [ANY], "response_format": ANY})
        got = Got(stream=body.get("stream") is True, shows=True)
        read_messages(body["messages"], got)
        read_wishes(body, got)
        return got

    def usage(self, got: Got) -> dict[str, Any]:
        """A whole answer counts one choice only; so does each choice's last event of a stream, which is asked for."""
        del got
        counts = self.counts
        total = counts.prompt + counts.output
        return {"prompt_tokens": counts.prompt, "completion_tokens": counts.output, "total_tokens": total}

    def choice(self, index: int, said: Said, got: Got) -> dict[str, Any]:
        """With its thoughts beside."""
        choice = super().choice(index, said, got)
        if said.thought:
            choice["message"]["reasoning_content"] = said.thought
        return choice

    def deltas(self, said: Said) -> list[dict[str, Any]]:
        """With its thoughts before."""
        thoughts: list[dict[str, Any]] = [{"reasoning_content": piece} for piece in cut(said.thought, 4)]
        return thoughts + super().deltas(said)

    def stream(self, said: Said, got: Got) -> list[bytes]:
        """Usage stands in an event of each choice, with timings."""
        events = super().stream(said, got)
        choices = got.wishes.get("n", 1)
        usage = self.chunk([], usage=self.usage(got), timings={"prompt_n": 40})
        return [*events[:-2], *[usage] * choices, events[-1]]

    def fault(self, kind: str) -> tuple[int, Any]:
        """Its own words."""
        if kind == "too_long":
            message = "request (9000 tokens) exceeds the available context size (8192 tokens), try increasing it"
            error = {"code": 400, "message": message, "type": "exceed_context_size_error"}
            return 400, {"error": {**error, "n_prompt_tokens": 9000, "n_ctx": 8192}}
        return super().fault(kind)


def read_messages(messages: list[dict[str, Any]], got: Got) -> None:
    """The turns. Each call has to be answered before anything else is said."""
    waiting: list[str] = []
    names: dict[str, str] = {}
    for place, message in enumerate(messages):
        path, role = f"messages[{place}]", message["role"]
        if role == "tool":
            call_id = message["tool_call_id"]
            demand(call_id in waiting, path, "'tool' must be a response to a preceding message with 'tool_calls'")
            waiting.remove(call_id)
            result = Result(call_id, names[call_id], text_of(message["content"]))
            got.turns.append(Turn("tool", results=(result,)))
            continue
        demand(not waiting, path, "An assistant message with 'tool_calls' must be followed by tool messages")
        if role in ("system", "developer"):
            got.system += text_of(message["content"])
        elif role == "user":
            got.turns.append(_user(message["content"]))
        else:
            calls = tuple([_call(call) for call in message.get("tool_calls") or ()])
            demand(message.get("content") or calls or message.get("refusal"), path, "content is missing")
            waiting = [call.id for call in calls]
            names |= {call.id: call.name for call in calls}
            text = text_of(message.get("content") or "")
            got.turns.append(Turn("assistant", text, calls))
    demand(not waiting, "messages", "tool_call_ids did not have response messages")


def _user(content: Any) -> Turn:
    parts = content if type(content) is list else []
    pictures = sum([part["type"] == "image_url" for part in parts])
    documents = [part["file"] for part in parts if part["type"] == "file"]
    for file in documents:
        demand(file.get("file_data", "").startswith("data:application/pdf;base64,"), "file", "no data")
        demand(file.get("filename"), "filename", "is missing")
    return Turn("user", text_of(content), pictures=pictures, documents=len(documents))


def _call(call: dict[str, Any]) -> Call:
    return Call(call["function"]["name"], json.loads(call["function"]["arguments"]), call["id"])


def text_of(content: Any) -> str:
    """The text of a message."""
    if type(content) is str:
        return content
    return "".join([part["text"] for part in content if part["type"] == "text"])


def read_wishes(body: dict[str, Any], got: Got) -> None:
    """What else is asked."""
    got.wishes |= {name: body[name] for name in WISHES if body.get(name) is not None}
    if type(got.wishes.get("stop")) is str:
        got.wishes["stop"] = [got.wishes["stop"]]
    for name in ("max_tokens", "max_completion_tokens"):
        if name in body:
            got.wishes["max_tokens"] = body[name]
    for tool in body.get("tools") or ():
        got.tools[tool["function"]["name"]] = tool["function"]["parameters"]
    choice = body.get("tool_choice")
    if choice not in (None, "auto"):
        got.wishes["tool_choice"] = choice if type(choice) is str else choice["function"]["name"]
    form = body.get("response_format") or {}
    if form.get("type") == "json_schema":
        got.wishes["response_format"] = form["json_schema"].get("schema")
    got.thinks = "reasoning_effort" in body


def called(call: Call) -> dict[str, Any]:
    """A call as a whole answer has it."""
    function = {"name": call.name, "arguments": json.dumps(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}


def finish_of(said: Said) -> str:
    """The reason."""
    return {"refusal": "stop", "stop_sequence": "stop"}.get(said.finish, said.finish)


def logprobs(pieces: list[str]) -> dict[str, Any]:
    """Of each piece."""
    content = [
        {"token": piece, "logprob": -0.25, "bytes": list(piece.encode()), "top_logprobs": []} for piece in pieces
    ]
    return {"content": content, "refusal": None}
