"""Hosts that speak Gemini's generateContent: Google's own API, and Vertex (https://ai.google.dev/api/generate-content)."""

from typing import Any, ClassVar

from tests.matrix.shapes import check, demand
from tests.matrix.upstreams.server import CREDENTIAL, Host, Request, event
from tests.matrix.words import Call, Counts, Got, Result, Said, Turn

SKIP = "skip_thought_signature_validator"
BLOB = {"mimeType!": str, "data!": str}
PART = {
    "text": str,
    "thought": bool,
    "thoughtSignature": str,
    "inlineData": BLOB,
    "fileData": {"mimeType": str, "fileUri!": str},
    "functionCall": {"name!": str, "args": dict, "id": str},
    "functionResponse": {"name!": str, "response!": dict, "id": str, "parts": [{"inlineData!": BLOB}]},
}
CONTENT = {"role": {"user", "model"}, "parts!": [PART]}
CONFIG = {
    **dict.fromkeys(("temperature", "topP", "presencePenalty", "frequencyPenalty"), float),
    **dict.fromkeys(("topK", "seed", "maxOutputTokens", "candidateCount", "logprobs"), int),
    "stopSequences": [str],
    "responseMimeType": str,
    "responseSchema": dict,
    "responseJsonSchema": dict,
    "responseLogprobs": bool,
    "thinkingConfig": {
        "includeThoughts": bool,
        "thinkingBudget": int,
        "thinkingLevel": {"low", "medium", "high", "minimal"},
    },
}
BODY = {
    "contents!": [CONTENT],
    "systemInstruction": {"role": str, "parts!": [{"text!": str}]},
    "generationConfig": CONFIG,
    "tools": [
        {
            "functionDeclarations!": [
                {"name!": str, "description": str, "parameters": dict, "parametersJsonSchema": dict}
            ]
        }
    ],
    "toolConfig": {
        "functionCallingConfig!": {"mode!": {"AUTO", "ANY", "NONE", "VALIDATED"}, "allowedFunctionNames": [str]}
    },
}
NAMES = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "seed": "seed",
    "maxOutputTokens": "max_tokens",
    "candidateCount": "n",
    "stopSequences": "stop",
    "responseLogprobs": "logprobs",
    "logprobs": "top_logprobs",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "responseJsonSchema": "response_format",
    "responseSchema": "response_format",
}
REASONS = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS", "refusal": "SAFETY", "stop_sequence": "STOP"}
FAULTS = {
    "rate_limit": (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    "auth": (403, "PERMISSION_DENIED", "Permission denied on resource."),
    "missing": (404, "NOT_FOUND", "models/m is not found for API version v1beta."),
    "crash": (500, "INTERNAL", "An internal error has occurred."),
    "too_long": (
        400,
        "INVALID_ARGUMENT",
        "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).",
    ),
}


class GeminiHost(Host):
    """Google's API, and a model of its third generation: it refuses calls that are not signed."""

    name: ClassVar[str] = "gemini"
    model: ClassVar[str] = "gemini-3-flash-preview"
    counts: ClassVar[Counts] = Counts(prompt=40, output=12, cached=8, reasoning=5)
    base: ClassVar[str] = "/v1beta"

    @property
    def base_url(self) -> str:
        """With its version."""
        return self.root + self.base

    @property
    def settings(self) -> str:
        """Its key has a header of its own."""
        return super().settings + 'auth = "x-goog-api-key"\n'

    def read(self, request: Request) -> Got:
        """See `Host.read`."""
        body = request.body
        head, _, method = request.path.rpartition(":")
        demand(head == f"{self.base}/models/{self.model}", "path", f"there is nothing at {request.path}")
        demand(method in ("generateContent", "streamGenerateContent"), "method", f"{method} is not known")
        demand(request.headers.get("x-goog-api-key") == CREDENTIAL, "x-goog-api-key", "API key not valid")
        demand(method == "generateContent" or request.query == "alt=sse", "query", "alt=sse is missing")
        check(body, BODY)
        got = Got(stream=method != "generateContent")
        got.system = "".join([part["text"] for part in (body.get("systemInstruction") or {"parts": []})["parts"]])
        self._read_turns(body["contents"], got)
        config = body.get("generationConfig") or {}
        got.wishes |= {NAMES[name]: value for name, value in config.items() if name in NAMES}
        demand("responseSchema" not in config or "responseJsonSchema" not in config, "responseSchema", "is there twice")
        if "response_format" in got.wishes:
            demand(config.get("responseMimeType") == "application/json", "responseMimeType", "has to be JSON")
        thinking = config.get("thinkingConfig") or {}
        demand(len({"thinkingBudget", "thinkingLevel"} & thinking.keys()) < 2, "thinkingConfig", "budget and level")
        got.thinks = got.shows = thinking.get("includeThoughts", False)
        self._read_tools(body, got)
        return got

    def _read_tools(self, body: dict[str, Any], got: Got) -> None:
        for tool in body.get("tools") or ():
            for function in tool["functionDeclarations"]:
                got.tools[function["name"]] = function.get("parametersJsonSchema") or function.get("parameters")
        calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
        mode, allowed = calling.get("mode", "AUTO"), calling.get("allowedFunctionNames")
        if mode == "ANY":
            got.wishes["tool_choice"] = allowed[0] if allowed else "required"
        elif mode == "NONE":
            got.wishes["tool_choice"] = "none"

    def _read_turns(self, contents: list[dict[str, Any]], got: Got) -> None:
        demand(contents, "contents", "contents is not specified")
        demand(contents[0].get("role", "user") == "user", "contents", "a function call turn comes after a user turn")
        waiting: list[Call] = []
        before = ""
        for place, content in enumerate(contents):
            path, role = f"contents[{place}]", content.get("role", "user")
            demand(content["parts"], f"{path}.parts", "must contain at least one part")
            demand(role != before or role == "model", path, "the turns have to alternate")  # pieces of a stream
            before = role
            for number, part in enumerate(content["parts"]):
                held = part.keys() & {"text", "inlineData", "fileData", "functionCall", "functionResponse"}
                demand(len(held) == 1, f"{path}.parts[{number}]", "required oneof field 'data' must have one value")
            if role == "model":
                waiting += self._model(content["parts"], got, path, waiting)
            else:
                waiting = self._user(content["parts"], waiting, got, path)
        demand(not waiting, "contents", "function responses are missing")

    def _model(self, parts: list[dict[str, Any]], got: Got, path: str, before: list[Call]) -> list[Call]:
        text, calls = "", list[Call]()
        for number, part in enumerate(parts):
            signature = part.get("thoughtSignature")
            if signature not in (None, SKIP):
                self.prove(signature, f"{path}.parts[{number}].thoughtSignature", got)
            if "functionCall" in part:
                call = part["functionCall"]
                signed = signature is not None or calls or before
                demand(signed, f"{path}.parts[{number}]", "Function call is missing a thought_signature")
                calls.append(Call(call["name"], call.get("args") or {}, call.get("id") or ""))
            elif not part.get("thought"):
                text += part.get("text", "")
        if got.turns[-1].role == "assistant":  # pieces of one answer
            known = got.turns.pop()
            text, made = known.text + text, known.calls + tuple(calls)
        else:
            made = tuple(calls)
        got.turns.append(Turn("assistant", text, made))
        return calls

    def _user(self, parts: list[dict[str, Any]], waiting: list[Call], got: Got, path: str) -> list[Call]:
        results = [part["functionResponse"] for part in parts if "functionResponse" in part]
        demand(
            [result["name"] for result in results] == [call.name for call in waiting],
            path,
            "the function response parts are not those of the function call turn",
        )
        for result, call in zip(results, waiting, strict=True):
            demand(result.get("id", "") in ("", call.id), path, "the response has another call's id")
            value = result["response"]
            words = {"output", "result", "error"} & value.keys()
            text = str(value[next(iter(words))]) if words else str(value)
            shown = Result(call.id, call.name, text, "error" in value, bool(result.get("parts")))
            got.turns.append(Turn("tool", results=(shown,)))
        said = [part for part in parts if "functionResponse" not in part]
        if said:
            kinds = [part["inlineData"]["mimeType"] for part in said if "inlineData" in part]
            text = "".join([part.get("text", "") for part in said])
            demand(all(part["text"] for part in said if "text" in part), path, "text is empty")
            pictures, documents = kinds.count("image/png"), kinds.count("application/pdf")
            got.turns.append(Turn("user", text, pictures=pictures, documents=documents))
        return []

    # --- what it says ---

    def parts(self, said: Said, got: Got, *, streamed: bool) -> list[dict[str, Any]]:
        """The parts: the first call is signed, or else the last text."""
        parts: list[dict[str, Any]] = []
        if said.thought and got.thinks:
            parts.append({"text": said.thought, "thought": True})
        if said.text:
            parts += [{"text": piece} for piece in (said.pieces if streamed else [said.text])]
        signature = self.sign(said.thought)
        for index, call in enumerate(said.calls):
            made: dict[str, Any] = {"functionCall": {"name": call.name, "args": call.arguments}}
            if index == 0:
                made["thoughtSignature"] = signature
            parts.append(made)
        if not said.calls and said.thought:
            if streamed:
                parts.append({"text": "", "thoughtSignature": signature})
            else:
                parts[-1]["thoughtSignature"] = signature
        return parts

    def usage(self, got: Got) -> dict[str, Any]:
        """What it counts."""
        counts = self.counts
        answered = (counts.output - counts.reasoning) * got.wishes.get("n", 1)
        return {
            "promptTokenCount": counts.prompt,
            "candidatesTokenCount": answered,
            "thoughtsTokenCount": counts.reasoning,
            "cachedContentTokenCount": counts.cached,
            "totalTokenCount": counts.prompt + answered + counts.reasoning,
        }

    def envelope(self, candidates: list[Any], got: Got) -> dict[str, Any]:
        """One object."""
        usage = self.usage(got)
        return {"candidates": candidates, "usageMetadata": usage, "modelVersion": self.model, "responseId": "r-1"}

    def whole(self, said: Said, got: Got) -> Any:
        """See `Host.whole`."""
        candidates = []
        for index in range(got.wishes.get("n", 1)):
            content = {"parts": self.parts(said, got, streamed=False), "role": "model"}
            one = {"content": content, "finishReason": REASONS[said.finish], "index": index}
            if got.wishes.get("logprobs"):
                chosen = [{"token": piece, "tokenId": 1, "logProbability": -0.25} for piece in said.pieces]
                one["logprobsResult"] = {"chosenCandidates": chosen, "topCandidates": []}
                one["avgLogprobs"] = -0.25
            candidates.append(one)
        return self.envelope(candidates, got)

    def stream(self, said: Said, got: Got) -> list[bytes]:
        """See `Host.stream`."""
        objects = []
        choices = range(got.wishes.get("n", 1))
        for index in choices:
            for part in self.parts(said, got, streamed=True):
                one: dict[str, Any] = {"content": {"parts": [part], "role": "model"}, "index": index}
                if got.wishes.get("logprobs") and part.get("text"):
                    chosen = [{"token": part["text"], "tokenId": 1, "logProbability": -0.25}]
                    one["logprobsResult"] = {"chosenCandidates": chosen, "topCandidates": []}
                objects.append(self.envelope([one], got))
        last = {"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": REASONS[said.finish]}
        objects.append(self.envelope([{**last, "index": index} for index in choices], got))
        return [event(one, end="\r\n\r\n") for one in objects]

    def fault(self, kind: str) -> tuple[int, Any]:
        """See `Host.fault`."""
        status, word, message = FAULTS.get(kind, (400, "INVALID_ARGUMENT", kind))
        return status, {"error": {"code": status, "message": message, "status": word}}


class VertexHost(GeminiHost):
    """Vertex, in express mode: a key, and another address."""

    name = "vertex"
    model = "gemini-3-pro-preview"
    base = "/v1/publishers/google"
