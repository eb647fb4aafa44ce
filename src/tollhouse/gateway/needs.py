"""What a request may take at most, whatever target serves it: bounds read from its body. Pure.

The pipelines make one `Needs` for each request and `gateway.bids` prices it for each target. Theory of operation:

- A byte-level vocabulary has a token for every byte, so no text has more tokens than bytes; a JSON body has no fewer
  bytes than the texts in it, and its syntax (26 bytes and more for a message) is more than what a chat format adds. So
  the length of the body bounds its text, and nothing is counted. What a host adds by itself is `_ADDED_TOKENS`, and
  `_TOOL_TOKENS` where there are tools.
- Media are taken out of that and counted by their own worst case: an image by the most that its model makes of one,
  audio by `BYTES_PER_AUDIO_TOKEN`. What nothing here can see the size of (a PDF, a stored conversation) may fill the
  whole context.
- Where a cap can be sent, the answer is bounded by the cap, else by what the endpoint can answer.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tollhouse.errors import InvalidRequest
from tollhouse.types.calls import ChatCall, Target
from tollhouse.validate.multipart import FormCall

CHAT: Final = "chat/completions"
CAP_FIELDS: Final = {"completions": "max_tokens", "responses": "max_output_tokens"}
"""The relayed endpoints that take a cap, and its field."""

_encode: Final = msgspec.json.Encoder().encode
_ADDED_TOKENS: Final = 64
"""A chat format's frame, and the date or the identity that a host writes in front."""
_TOOL_TOKENS: Final = 1024
"""The instructions that come with tools: 804 is the most that Anthropic lists; its own tools bring up to 700 more."""
BYTES_PER_AUDIO_TOKEN: Final = 24
"""32 tokens a second (Gemini, the most of all) of speech at 6 kbit/s (Opus, the least that is used)."""
_IMAGE_OUTPUT_TOKENS: Final = 16_384
"""Of one image made; gpt-image-1 writes 6,240 for its largest, and 100 more for each partial one."""
_SPEECH_TOKENS_PER_BYTE: Final = 16
"""20 tokens a second of speech; a digit of a long number takes most of a second to say."""
_MOST_IMAGES: Final = 10
_CLIENTS_TOOLS: Final = frozenset({"function", "custom", "local_shell", "shell", "apply_patch", "computer_use_preview"})
"""Tools that the client runs; any other is run by the host, which bills the calls and reads the results as input."""
_SEARCHES: Final = frozenset({"web_search_options", "plugins", "search_parameters", "enable_search"})
"""OpenAI's, OpenRouter's, xAI's and Alibaba's ways to ask for a search."""
_TIERS: Final = frozenset({"service_tier", "serviceTier", "performanceConfig", "performance_config"})
"""OpenAI's choice of what is served first, and Bedrock's: a word, or an object that holds one."""
_GUARDS: Final = frozenset({"guardrailConfig", "guardrail_config"})
"""Bedrock's, billed by the text that they read (https://aws.amazon.com/bedrock/pricing)."""
HOSTED_FIELDS: Final = _SEARCHES | _TIERS | _GUARDS | {"provider"}
"""And what makes the same tokens dearer: OpenRouter's choice of who serves a model, and being served first."""
_DEARER_TIERS: Final = frozenset({"priority", "fast", "scale", "performance", "optimized"})
_STORED: Final = ("previous_response_id", "conversation", "prompt")
"""What a host has kept, and reads before the request itself."""
_READ_BESIDE: Final = frozenset({*_STORED, "input", "google", "extra_body"})
_WEIGHTY: Final = HOSTED_FIELDS | _READ_BESIDE | {"tools", "functions", "modalities", "n", "best_of", "prediction"}
"""The fields of a chat completion that bear on what it may take, beside its messages and its cap."""
_PLAIN_PARTS: Final = frozenset({"text", "refusal", "input_text", "output_text", "summary_text", "reasoning_text"})
_UNSEEN_ITEMS: Final = frozenset({"item_reference", "input_file", "computer_call_output"})
_IMAGE_PARTS: Final = frozenset({"image_url", "input_image"})
_URL_HEAD: Final = 64


class Needs:
    """The most that one request may take, in tokens where nothing else is said. Never changed once it is made."""

    __slots__ = (
        *("audio", "beside", "cap", "choices", "fixed", "hosted", "images", "images_made", "kind", "prompts"),
        *("sounds", "text", "unmetered", "unseen"),
    )

    def __init__(
        self,
        kind: str,
        text: int,
        *,
        cap: int | None = None,
        fixed: int | None = None,
        prompts: int | None = 1,
        hosted: str | None = None,
    ) -> None:
        self.kind = kind
        self.text = text
        """Of the prompt, without media."""
        self.cap = cap
        """The client's own cap on one answer."""
        self.fixed = fixed
        """All answers together, for an endpoint that takes no cap; None where a cap can be sent."""
        self.prompts = prompts
        """How many prompts there are, each within one context; None where the context bounds nothing."""
        self.hosted = hosted
        """What the host does beside answering, for a fee that has no price here."""
        self.images = 0
        """Images in the prompt."""
        self.audio = 0
        """Audio in the prompt."""
        self.unseen = False
        """The prompt holds something whose size is not known here: it may fill the context."""
        self.choices = 1
        """Answers, all prompts together."""
        self.beside = 0
        """What is billed as output beside the answers: a prompt that is echoed, a prediction."""
        self.images_made = 0
        self.sounds = False
        """Whether audio goes in or out."""
        self.unmetered: str | None = None
        """Why no usage will be seen in the answer."""


def times_sent(needs: Needs, target: Target) -> int:
    """How often a target is sent the prompt: once for each answer where it gives one at a time (`gateway.choices`)."""
    return 1 if needs.kind != CHAT or target.choices else needs.choices


def chat_needs(call: ChatCall, body_bytes: int | None = None) -> Needs:
    """What a chat completion may take. ``body_bytes`` is the length of the JSON that came, or more."""
    body = call.body
    text = len(_encode(body)) if body_bytes is None else body_bytes
    media = None
    messages: list[dict[str, Any]] = body["messages"]
    for message in messages:
        if type(message.get("content")) is not str or "audio" in message:
            media = media or _Media()
            media.add_message(message)
    if media is None and _WEIGHTY.isdisjoint(body) and not (call.hosted or call.unseen):
        return Needs(CHAT, text + _ADDED_TOKENS, cap=_least(body.get("max_completion_tokens"), body.get("max_tokens")))
    tools = body.get("tools") or body.get("functions")
    modalities = body.get("modalities")
    hosted = call.hosted or _hosted_field(body) or _hosted_tool(tools)
    media = media or _NO_MEDIA
    cap = _least(body.get("max_completion_tokens"), body.get("max_tokens"))
    text = max(text - media.taken, 0) + _ADDED_TOKENS + (_TOOL_TOKENS if tools else 0)
    needs = Needs(CHAT, text, cap=cap, hosted=hosted)
    needs.images, needs.audio = media.images, media.audio
    needs.unseen = media.unseen or call.unseen or hosted is not None or _builds_on(body)
    needs.choices = max(body.get("n") or 1, _counted(body.get("best_of")))
    needs.beside = len(_encode(body["prediction"])) if body.get("prediction") else 0
    needs.sounds = media.audio > 0 or (modalities is not None and "audio" in modalities)
    return needs


def relay_needs(kind: str, body: Mapping[str, Any], body_bytes: int | None = None) -> Needs:
    """What a validated request of another JSON endpoint may take; ``kind`` is its path below ``/v1/``."""
    text = (len(_encode(body)) if body_bytes is None else body_bytes) + _ADDED_TOKENS
    if kind == "completions":
        return _completions(body, text)
    if kind == "responses":
        return _responses(body, text)
    if kind == "images/generations":
        return _images(kind, text, body.get("n") or 1)
    if kind == "audio/speech":
        spoken = len(str(body.get("input") or "").encode("utf-8", "replace"))
        tokens = _SPEECH_TOKENS_PER_BYTE * spoken / min(float(body.get("speed") or 1), 1.0)
        return _sound(Needs(kind, text, prompts=None, fixed=int(tokens) + _ADDED_TOKENS))
    media = _Media()
    if kind == "moderations":
        media.add_message({"content": body.get("input")})
    needs = Needs(kind, max(text - media.taken, 0), prompts=_count(body.get("input")), fixed=0)
    needs.images = media.images
    return needs


def form_needs(call: FormCall) -> Needs:
    """What an upload may take: an image, or sound by the longest that its bytes can last. Raises `InvalidRequest`."""
    files = [part.end - part.start for part in call.form.parts if part.filename is not None]
    text = sum(part.end - part.start for part in call.form.parts if part.filename is None) + _ADDED_TOKENS
    if call.kind.startswith("images/"):
        return _images(call.kind, text, _images_asked(call), len(files))
    audio = sum(files) // BYTES_PER_AUDIO_TOKEN + 1
    return _sound(Needs(call.kind, text, prompts=None, fixed=audio + _ADDED_TOKENS), audio)


def _sound(needs: Needs, audio: int = 0) -> Needs:
    """These needs, of what is heard or said."""
    needs.audio, needs.sounds = audio, True
    return needs


def cap_body(kind: str, body: dict[str, Any], cap: int | None) -> dict[str, Any]:
    """The body of a relayed endpoint with this cap on each answer; the same body where there is none to put in."""
    field = CAP_FIELDS.get(kind)
    return body if cap is None or field is None else {**body, field: cap}


def _completions(body: Mapping[str, Any], text: int) -> Needs:
    prompts, n = _count(body.get("prompt")), body.get("n") or 1
    each = max(n, body.get("best_of") or 1)
    echoed = text * each if body.get("echo") else 0
    cap = body.get("max_tokens")
    hosted = _hosted_field(body)
    needs = Needs("completions", text, prompts=prompts, cap=cap, hosted=hosted)
    needs.choices, needs.beside = prompts * each, echoed
    return needs


def _responses(body: Mapping[str, Any], text: int) -> Needs:
    media = _Media()
    given = body.get("input")
    for item in given if isinstance(given, list) else ():
        media.add_message(item)
        media.add_message({"content": item.get("output")})
    stored = any(body.get(name) for name in _STORED)
    tools = body.get("tools")
    hosted = _hosted_field(body) or _hosted_tool(tools)
    text = max(text - media.taken, 0) + (_TOOL_TOKENS if tools else 0)
    needs = Needs("responses", text, cap=body.get("max_output_tokens"), hosted=hosted)
    needs.images, needs.audio, needs.sounds = media.images, media.audio, media.audio > 0
    needs.unseen = media.unseen or stored or hosted is not None
    needs.unmetered = "background" if body.get("background") else None
    return needs


def _images(kind: str, text: int, made: int, given: int = 0) -> Needs:
    needs = Needs(kind, text, prompts=None, fixed=made * _IMAGE_OUTPUT_TOKENS)
    needs.images, needs.images_made = given, made
    return needs


def _images_asked(call: FormCall) -> int:
    """The ``n`` of a form. Raises `InvalidRequest`."""
    asked = call.form.text("n") or "1"
    if not (asked.isascii() and asked.isdigit() and len(asked) < 4 and 1 <= int(asked) <= _MOST_IMAGES):
        raise InvalidRequest(f"'n' is a whole number from 1 to {_MOST_IMAGES}.", param="n")
    return int(asked)


def _count(given: object) -> int:
    """How many prompts a text, a batch of texts, a prompt in tokens, or a batch of such is."""
    batch = isinstance(given, list) and bool(given) and not isinstance(given[0], int | dict)
    return len(given) if batch and isinstance(given, list) else 1


def _least(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _hosted_field(body: Mapping[str, Any]) -> str | None:
    """The first field that asks for what costs more than tokens at their price."""
    if body.keys().isdisjoint(HOSTED_FIELDS):
        return None
    asked = [name for name in sorted(HOSTED_FIELDS) if body.get(name) not in (None, False)]
    return next((name for name in asked if name not in _TIERS or _is_dearer(body[name])), None)


def _is_dearer(tier: object) -> bool:
    """Whether a tier, or what an object says of one, costs more than the usual one."""
    words = tier.values() if isinstance(tier, Mapping) else [tier]
    return any(str(word).lower() in _DEARER_TIERS for word in words)


def _builds_on(body: Mapping[str, Any]) -> bool:
    """Whether other hosts' fields, which no rule has checked, have the host read what is not in the request: what it
    has stored, items of the Responses API beside the messages, or Google's cached contents.
    """
    if body.keys().isdisjoint(_READ_BESIDE):
        return False
    if any(body.get(name) for name in (*_STORED, "input")):
        return True
    extra = body.get("extra_body")
    googles = (body.get("google"), extra.get("google") if isinstance(extra, Mapping) else None)
    return any(isinstance(google, Mapping) and google.get("cached_content") for google in googles)


def _hosted_tool(tools: object) -> str | None:
    """The first tool that the host runs."""
    for tool in tools if isinstance(tools, list) else ():
        kind = tool.get("type", "function") if isinstance(tool, dict) else "function"
        if kind not in _CLIENTS_TOOLS:
            return str(kind)[:64]
    return None


class _Media:
    """The parts of a prompt that are not text: their counts, and the bytes of the body that they are."""

    __slots__ = ("audio", "images", "taken", "unseen")

    def __init__(self) -> None:
        self.images = self.audio = self.taken = 0
        self.unseen = False

    def add_message(self, message: Mapping[str, Any]) -> None:
        """Adds what a message, or an item of a response's input, holds beside text."""
        if message.get("audio") is not None or message.get("type") in _UNSEEN_ITEMS:
            self.unseen = True
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            if isinstance(part, dict) and part.get("type") not in _PLAIN_PARTS:
                self.add(part)

    def add(self, part: Mapping[str, Any]) -> None:
        """Counts one part. One of a kind that is not known here may be anything."""
        kind = part.get("type")
        if kind in _IMAGE_PARTS:
            self.images += 1
            self.taken += _inside(part.get("image_url"), "url")
            if _is_no_image(part.get("image_url")):  # some hosts read a document or a film there too
                self.unseen = True
        elif kind == "input_audio":
            data = _inside(part.get("input_audio"), "data")
            self.audio += data // BYTES_PER_AUDIO_TOKEN + 1
            self.taken += data
        else:
            self.unseen = True


def _is_no_image(holder: object) -> bool:
    """Whether what stands in an image's place says of itself that it is something else."""
    url = holder.get("url") if isinstance(holder, dict) else holder
    head = url[:_URL_HEAD].lstrip().lower() if isinstance(url, str) else ""
    return head.startswith("data:") and not head.startswith("data:image/")


def _counted(value: object) -> int:
    """A number that no rule has checked: other hosts' fields ride along."""
    return value if type(value) is int and value > 0 else 1


def _inside(holder: object, name: str) -> int:
    """The length of a URL or of base64 data, given as it is or in an object."""
    value = holder.get(name) if isinstance(holder, dict) else holder
    return len(value) if isinstance(value, str) else 0


_NO_MEDIA: Final = _Media()
