"""Bedrock's Converse API, with Claude behind it: JSON, or its binary event stream, and signed requests.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

import json
from typing import Any, ClassVar
from urllib.parse import unquote

from tests.dialects.bedrock.frames import event
from tests.matrix.shapes import Kinds, check, demand
from tests.matrix.upstreams.server import Host, Request
from tests.matrix.words import Call, Counts, Got, Result, Said, Turn, cut

POINT = {"cachePoint!": {"type!": {"default"}, "ttl": {"5m", "1h"}}}
TEXT = {"text!": str}
BYTES = {"bytes!": str}
IMAGE = {"image!": {"format!": {"png", "jpeg", "gif", "webp"}, "source!": BYTES}}
DOCUMENT = {"document!": {"format!": {"pdf", "txt"}, "name!": str, "source!": BYTES}}
RESULT = {
    "toolResult!": {
        "toolUseId!": str,
        "content!": [Kinds("", {"text": TEXT, "image": IMAGE, "document": DOCUMENT})],
        "status": {"success", "error"},
    }
}
REASONING = {"reasoningContent!": {"reasoningText": {"text!": str, "signature": str}, "redactedContent": str}}
USE = {"toolUse!": {"toolUseId!": str, "name!": str, "input!": dict}}
BLOCK = Kinds(
    "",
    {
        "text": TEXT,
        "image": IMAGE,
        "document": DOCUMENT,
        "toolUse": USE,
        "toolResult": RESULT,
        "cachePoint": POINT,
        "reasoningContent": REASONING,
    },
)
SPEC = {"toolSpec!": {"name!": str, "description": str, "inputSchema!": {"json!": dict}, "strict": bool}}
BODY = {
    "messages!": [{"role!": {"user", "assistant"}, "content!": [BLOCK]}],
    "system": [Kinds("", {"text": TEXT, "cachePoint": POINT})],
    "inferenceConfig": {"maxTokens": int, "temperature": float, "topP": float, "stopSequences": [str]},
    "toolConfig": {
        "tools!": [Kinds("", {"toolSpec": SPEC, "cachePoint": POINT})],
        "toolChoice": Kinds("", {"auto": {"auto!": {}}, "any": {"any!": {}}, "tool": {"tool!": {"name!": str}}}),
    },
    "outputConfig": {
        "textFormat": {
            "type!": {"json_schema"},
            "structure!": {"jsonSchema!": {"schema!": str, "name": str, "description": str}},
        }
    },
    "additionalModelRequestFields": {
        "thinking": {"type!": {"enabled", "disabled", "adaptive"}, "budget_tokens": int, "display": str},
        "top_k": int,
        "anthropic_beta": [str],
        "tool_choice": dict,
    },
    "additionalModelResponseFieldPaths": [str],
    "requestMetadata": dict,
}
STOPS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens", "refusal": "guardrail_intervened"}
FAULTS = {
    "rate_limit": (429, "ThrottlingException", "Too many requests, please wait before trying again."),
    "auth": (403, "UnrecognizedClientException", "The security token included in the request is invalid."),
    "missing": (400, "ValidationException", "The provided model identifier is invalid."),
    "crash": (500, "InternalServerException", "The system encountered an unexpected error during processing."),
    "too_long": (400, "ValidationException", "Input is too long for requested model."),
}


class BedrockHost(Host):
    """Bedrock in us-east-1."""

    name: ClassVar[str] = "bedrock"
    model: ClassVar[str] = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    counts: ClassVar[Counts] = Counts(prompt=142, output=12, cached=100, written=30)
    stream_type: ClassVar[str] = "application/vnd.amazon.eventstream"

    @property
    def base_url(self) -> str:
        """No path."""
        return self.root

    @property
    def settings(self) -> str:
        """A key pair, and the region that a signature names."""
        keys = 'region = "us-east-1"\naccess_key_id = "AKIDMATRIX"\nsecret_access_key = "secret-of-the-matrix"\n'
        return f'provider = "bedrock"\nauth = "sigv4"\n{keys}'

    def read(self, request: Request) -> Got:
        """See `Host.read`."""
        body = request.body
        head, _, method = request.path.rpartition("/")
        demand(unquote(head) == f"/model/{self.model}", "path", f"there is nothing at {request.path}")
        demand(":" not in head, "path", "the model's name has to be encoded")
        demand(method in ("converse", "converse-stream"), "path", f"{method} is not known")
        signed = request.headers.get("authorization", "")
        demand(signed.startswith("AWS4-HMAC-SHA256 Credential=AKIDMATRIX/"), "authorization", "is not signed")
        demand("/us-east-1/bedrock/aws4_request" in signed, "authorization", "is of another scope")
        check(body, BODY)
        got = Got(stream=method == "converse-stream")
        for block in body.get("system") or ():
            got.markers += "cachePoint" in block
            got.system += block.get("text", "")
        self._read_turns(body["messages"], got)
        self._read_wishes(body, got)
        return got

    def _read_turns(self, messages: list[dict[str, Any]], got: Got) -> None:
        waiting: dict[str, str] = {}
        for place, message in enumerate(messages):
            path, blocks = f"messages[{place}]", message["content"]
            demand(message["role"] == ("assistant" if place % 2 else "user"), path, "roles have to alternate")
            demand(blocks, path, "The content field in the Message object is empty")
            results = [block["toolResult"] for block in blocks if "toolResult" in block]
            answered = {result["toolUseId"] for result in results}
            demand(answered == set(waiting), path, "toolResult blocks do not match the toolUse blocks")
            got.turns += [Turn("tool", results=(_result(one, waiting),)) for one in results]
            waiting = {}
            text, calls = "", []
            for block in blocks:
                got.markers += "cachePoint" in block
                if "text" in block:
                    demand(block["text"].strip(), path, "The text field in the ContentBlock object is blank")
                    text += block["text"]
                elif "toolUse" in block:
                    use = block["toolUse"]
                    waiting[use["toolUseId"]] = use["name"]
                    calls.append(Call(use["name"], use["input"], use["toolUseId"]))
                elif "reasoningContent" in block:
                    thought = block["reasoningContent"]["reasoningText"]
                    self.prove(thought.get("signature"), path, got, thought["text"])
            pictures = sum(["image" in block for block in blocks])
            documents = sum(["document" in block for block in blocks])
            demand(not documents or text, path, "A text block is required with documents")
            if any(block.keys().isdisjoint({"toolResult", "cachePoint"}) for block in blocks):
                got.turns.append(Turn(message["role"], text, tuple(calls), pictures=pictures, documents=documents))
        demand(not waiting, "messages", "toolResult blocks are missing")

    def _read_wishes(self, body: dict[str, Any], got: Got) -> None:
        config = body.get("inferenceConfig") or {}
        names = {"maxTokens": "max_tokens", "temperature": "temperature", "topP": "top_p", "stopSequences": "stop"}
        got.wishes |= {names[name]: value for name, value in config.items()}
        more = body.get("additionalModelRequestFields") or {}
        if "top_k" in more:
            got.wishes["top_k"] = more["top_k"]
        tools = body.get("toolConfig") or {"tools": []}
        for tool in tools["tools"]:
            got.markers += "cachePoint" in tool
            if "toolSpec" in tool:
                got.tools[tool["toolSpec"]["name"]] = tool["toolSpec"]["inputSchema"]["json"]
        called = any(turn.calls for turn in got.turns)
        demand(got.tools or not called, "toolConfig", "The toolConfig field must be defined when using toolUse blocks")
        choice = tools.get("toolChoice") or {}
        if "any" in choice:
            got.wishes["tool_choice"] = "required"
        elif "tool" in choice:
            got.wishes["tool_choice"] = choice["tool"]["name"]
        form = (body.get("outputConfig") or {}).get("textFormat")
        if form:
            got.wishes["response_format"] = json.loads(form["structure"]["jsonSchema"]["schema"])
        if (more.get("tool_choice") or {}).get("disable_parallel_tool_use"):
            got.wishes["parallel_tool_calls"] = False
        thinking = more.get("thinking") or {}
        got.thinks = got.shows = thinking.get("type") in ("enabled", "adaptive")
        if got.thinks:
            budget = thinking.get("budget_tokens", 1024)
            demand(1024 <= budget < config.get("maxTokens", 1 << 20), "thinking", "max_tokens must be greater")
            demand(config.get("temperature", 1) == 1, "temperature", "may only be set to 1 when thinking is enabled")
            said = [message["content"] for message in body["messages"] if message["role"] == "assistant"]
            if said and any("toolUse" in block for block in said[-1]) and got.turns[-1].results:
                demand("reasoningContent" in said[-1][0], "messages", "Expected `thinking`, but found `tool_use`")

    # --- what it says ---

    def usage(self) -> dict[str, Any]:
        """What it counts; the caches' tokens are not among ``inputTokens``."""
        counts = self.counts
        return {
            "inputTokens": counts.prompt - counts.cached - counts.written,
            "cacheReadInputTokens": counts.cached,
            "cacheWriteInputTokens": counts.written,
            "outputTokens": counts.output,
            "totalTokens": counts.prompt + counts.output,
        }

    def blocks(self, said: Said, got: Got) -> list[dict[str, Any]]:
        """The content."""
        blocks: list[dict[str, Any]] = []
        if said.thought and got.thinks:
            text = {"text": said.thought, "signature": self.sign(said.thought)}
            blocks.append({"reasoningContent": {"reasoningText": text}})
        if said.text:
            blocks.append({"text": said.text})
        uses = [{"toolUseId": call.id, "name": call.name, "input": call.arguments} for call in said.calls]
        return [*blocks, *[{"toolUse": use} for use in uses]]

    def ending(self, said: Said) -> dict[str, Any]:
        """Why it ends."""
        ending: dict[str, Any] = {"stopReason": STOPS.get(said.finish, said.finish)}
        if said.stop:
            ending["additionalModelResponseFields"] = {"stop_sequence": said.stop}
        return ending

    def whole(self, said: Said, got: Got) -> Any:
        """See `Host.whole`."""
        message = {"role": "assistant", "content": self.blocks(said, got)}
        return {"output": {"message": message}, **self.ending(said), "usage": self.usage(), "metrics": {"latencyMs": 9}}

    def stream(self, said: Said, got: Got) -> list[bytes]:
        """See `Host.stream`."""
        events = [event("messageStart", {"role": "assistant"})]
        for index, block in enumerate(self.blocks(said, got)):
            place = {"contentBlockIndex": index}
            if "toolUse" in block:
                start = {name: block["toolUse"][name] for name in ("toolUseId", "name")}
                events.append(event("contentBlockStart", {**place, "start": {"toolUse": start}}))
            events += [event("contentBlockDelta", {**place, "delta": delta, "p": "abc"}) for delta in _deltas(block)]
            events.append(event("contentBlockStop", place))
        events.append(event("messageStop", self.ending(said)))
        return [*events, event("metadata", {"metrics": {"latencyMs": 9}, "usage": self.usage()})]

    def fault(self, kind: str) -> tuple[int, Any]:
        """See `Host.fault`."""
        status, word, message = FAULTS.get(kind, (400, "ValidationException", kind))
        return status, {"message": message, "__type": word}


def _result(result: dict[str, Any], names: dict[str, str]) -> Result:
    text = "".join([part.get("text", "") for part in result["content"]])
    picture = any("image" in part for part in result["content"])
    failed = result.get("status") == "error"
    return Result(result["toolUseId"], names[result["toolUseId"]], text, failed, picture)


def _deltas(block: dict[str, Any]) -> list[dict[str, Any]]:
    if "text" in block:
        return [{"text": piece} for piece in cut(block["text"])]
    if "toolUse" in block:
        pieces = ["", *cut(json.dumps(block["toolUse"]["input"]), 5)]
        return [{"toolUse": {"input": piece}} for piece in pieces]
    thought = block["reasoningContent"]["reasoningText"]
    texts: list[dict[str, Any]] = [{"reasoningContent": {"text": piece}} for piece in cut(thought["text"])]
    return [*texts, {"reasoningContent": {"signature": thought["signature"]}}]
