"""One spelling for a Gemini request: Google takes each field in camelCase and in snake_case, and a list of one without
its brackets; what reads a request here, and what passes one on, should have to know one of them.

Called by `gemini_api` before any rule looks. Only members that are fields of a message are spelled anew: arguments,
results, schemas and labels are the client's own words.

https://protobuf.dev/programming-guides/json/
"""

import re
from collections.abc import Mapping
from typing import Any

from tollhouse.validate.problems import Problem

_UPPER = re.compile(r"(?<=[a-z0-9])([A-Z])")


class Message:
    """The fields of one kind of message: names in camelCase, and for those that are messages too, their own fields.

    ``many`` names those that are lists of messages.
    """

    __slots__ = ("_snakes", "_touched", "inner", "many", "spelled")

    def __init__(self, fields: Mapping[str, "Message | None"], many: tuple[str, ...] = ()) -> None:
        self.inner = {name: inner for name, inner in fields.items() if inner is not None}
        self.many = frozenset(many)
        self.spelled = {snake: name for name in fields if (snake := _UPPER.sub(r"_\1", name).lower()) != name}
        self._snakes = frozenset(self.spelled)
        self._touched = self._snakes | self.inner.keys() | self.many

    def canonical(self, value: dict[str, Any]) -> None:
        """Spells an object anew, in place. Raises `Problem` for a field that is there in both spellings."""
        if not self._touched.isdisjoint(value):
            self._canonical(value)

    def _canonical(self, value: dict[str, Any]) -> None:
        if not self._snakes.isdisjoint(value):
            self._respell(value)
        known = self.inner
        name = ""
        try:
            for name, item in value.items():
                inner = known.get(name)
                if inner is None:
                    continue
                if type(item) is list:
                    inner.canonical_items(item)
                elif type(item) is dict:
                    inner.canonical(item)
        except Problem as problem:
            raise problem.at(name) from None
        for name in self.many:
            if type(value.get(name)) is dict:
                value[name] = [value[name]]

    def canonical_items(self, items: list[Any]) -> None:
        """Spells the objects of a list anew, in place. Raises what `canonical` does."""
        touched = self._touched
        place = 0
        try:
            for item in items:
                if type(item) is dict and not touched.isdisjoint(item):
                    self._canonical(item)
                place += 1  # enumerate would make a tuple for every good item
        except Problem as problem:
            raise problem.at(place) from None

    def _respell(self, value: dict[str, Any]) -> None:
        for snake in self.spelled.keys() & value.keys():
            name = self.spelled[snake]
            if name in value:
                raise Problem("Invalid", f": it is the same field as '{name}'; send one.", "invalid_value").at(snake)
            value[name] = value.pop(snake)


def _plain(*names: str) -> dict[str, Message | None]:
    return dict.fromkeys(names)


_RESOLUTION = Message(_plain("level", "numTokens"))
_BLOB = Message(_plain("mimeType", "data", "displayName"))
_FILE = Message(_plain("mimeType", "fileUri", "displayName"))
_VIDEO = Message(_plain("startOffset", "endOffset", "fps"))
_SENT: dict[str, Message | None] = {
    "inlineData": _BLOB,
    "fileData": _FILE,
    "videoMetadata": _VIDEO,
    "mediaResolution": _RESOLUTION,
}
_PART = Message(
    {
        **_plain("text", "thought", "thoughtSignature", "partMetadata", "mediaProcessing"),
        **_SENT,
        "functionCall": Message(_plain("id", "name", "args", "partialArgs", "willContinue")),
        "functionResponse": Message(
            {**_plain("id", "name", "response", "willContinue", "scheduling"), "parts": Message(_SENT)}, ("parts",)
        ),
        "executableCode": Message(_plain("id", "language", "code")),
        "codeExecutionResult": Message(_plain("id", "outcome", "output")),
        "toolCall": Message(_plain("id", "toolType", "args")),
        "toolResponse": Message(_plain("id", "toolType", "response")),
    }
)
_CONTENT = Message({"role": None, "parts": _PART}, ("parts",))
_DECLARATION = Message(
    _plain("name", "description", "behavior", "parameters", "parametersJsonSchema", "response", "responseJsonSchema")
)
_HOSTED = (
    *("googleSearch", "googleSearchRetrieval", "codeExecution", "urlContext", "googleMaps", "fileSearch", "retrieval"),
    *("computerUse", "enterpriseWebSearch", "mcpServers"),
)
_TOOL = Message({**_plain(*_HOSTED), "functionDeclarations": _DECLARATION}, ("functionDeclarations",))
_CALLING = Message(_plain("mode", "allowedFunctionNames", "streamFunctionCallArguments"))
_VOICE = Message({"prebuiltVoiceConfig": Message(_plain("voiceName")), "replicatedVoiceConfig": None})
_SPEAKER = Message({"speaker": None, "voiceConfig": _VOICE})
_SPEECH = Message(
    {
        "languageCode": None,
        "voiceConfig": _VOICE,
        "multiSpeakerVoiceConfig": Message({"speakerVoiceConfigs": _SPEAKER}, ("speakerVoiceConfigs",)),
    }
)
_GENERATION = Message(
    {
        **_plain("temperature", "topP", "topK", "candidateCount", "maxOutputTokens", "stopSequences", "seed"),
        **_plain("responseMimeType", "responseSchema", "responseJsonSchema", "responseLogprobs", "logprobs"),
        **_plain("presencePenalty", "frequencyPenalty", "responseModalities", "mediaResolution", "audioTimestamp"),
        **_plain("enableEnhancedCivicAnswers", "enableAffectiveDialog", "routingConfig", "modelSelectionConfig"),
        "thinkingConfig": Message(_plain("includeThoughts", "thinkingBudget", "thinkingLevel")),
        "speechConfig": _SPEECH,
        "imageConfig": Message(_plain("aspectRatio", "imageSize", "personGeneration")),
    }
)
_FIELDS: dict[str, Message | None] = {
    **_plain("model", "cachedContent", "labels", "serviceTier", "store", "continuationToken"),
    "contents": _CONTENT,
    "systemInstruction": _CONTENT,
    "tools": _TOOL,
    "toolConfig": Message(
        {"functionCallingConfig": _CALLING, "retrievalConfig": None, "includeServerSideToolInvocations": None}
    ),
    "safetySettings": Message(_plain("category", "threshold", "method")),
    "generationConfig": _GENERATION,
}
_MANY = ("contents", "tools", "safetySettings")
GENERATE = Message(_FIELDS, _MANY)
"""``GenerateContentRequest``."""
COUNT = Message({**_FIELDS, "generateContentRequest": GENERATE}, _MANY)
"""``CountTokensRequest``."""
