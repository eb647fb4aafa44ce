"""The rules of ``messages``: roles, content and its parts, tool calls. Read by `chat`.

The shape of each message is checked, the order of messages is not: whether a tool message must follow its call, and
whether roles must alternate, differs between hosts, so the host decides. Content parts of a type that OpenAI does not
have (``video_url``, ``thinking`` ...) pass, as long as they are objects with a ``type``. A known part may stand in any
role, for some hosts take images in tool messages.
"""

from typing import Any, Final

from tollhouse.validate.problems import Problem, refuse_length, refuse_type
from tollhouse.validate.rules import TEXT, Nullable, Rule, Word
from tollhouse.validate.shapes import Array, OneOf, Record, Variant

BREAKPOINT: Final = Record({"mode": Word("explicit")}, required=["mode"])


def part(name: str, rule: Rule) -> Record:
    """A content part whose payload stands in the field of its own name."""
    return Record({name: rule, "prompt_cache_breakpoint": BREAKPOINT}, required=[name])


TEXT_PART: Final = part("text", TEXT)
IMAGE: Final = Record({"url": TEXT, "detail": Word("auto", "low", "high")}, required=["url"])
AUDIO: Final = Record({"data": TEXT, "format": Word("wav", "mp3")}, required=["data", "format"])
FILE: Final = Record({"filename": TEXT, "file_data": TEXT, "file_id": TEXT})
PART: Final = Variant(
    {
        "text": TEXT_PART,
        "image_url": part("image_url", IMAGE),
        "input_audio": part("input_audio", AUDIO),
        "file": part("file", FILE),
        "refusal": part("refusal", TEXT),
    },
    extensible=True,
)

CONTENT: Final = OneOf({str: TEXT, list: Array(PART, 1)})
LOOSE_CONTENT: Final = OneOf({str: TEXT, list: Array(PART)})  # clients send [] for a turn that only called tools
TEXT_CONTENT: Final = OneOf({str: TEXT, list: Array(Variant({"text": TEXT_PART}), 1)})

TOOL_CALL: Final = Variant(
    {
        "function": Record(
            {"id": TEXT, "function": Record({"name": TEXT, "arguments": TEXT}, required=["name", "arguments"])},
            required=["id", "function"],
        ),
        "custom": Record(
            {"id": TEXT, "custom": Record({"name": TEXT, "input": TEXT}, required=["name", "input"])},
            required=["id", "custom"],
        ),
    },
    extensible=True,
)

# Null for an optional field of a message is taken everywhere: clients dump the reply's message object back as it is.
NAMED: Final[dict[str, Rule]] = {"content": CONTENT, "name": Nullable(TEXT)}
MESSAGE: Final = Variant(
    {
        "system": Record(NAMED, required=["content"]),
        "assistant": Record(
            {
                "content": Nullable(LOOSE_CONTENT),
                "name": Nullable(TEXT),
                "refusal": Nullable(TEXT),
                "audio": Nullable(Record({"id": TEXT}, required=["id"])),
                "tool_calls": Nullable(Array(TOOL_CALL)),
                "function_call": Nullable(
                    Record({"name": TEXT, "arguments": TEXT}, required=["name", "arguments"]),
                ),
            }
        ),
        "user": Record(NAMED, required=["content"]),
        "function": Record({"content": Nullable(LOOSE_CONTENT), "name": TEXT}, required=["content", "name"]),
        "tool": Record(
            {"content": LOOSE_CONTENT, "tool_call_id": TEXT, "name": Nullable(TEXT)},
            required=["content", "tool_call_id"],
        ),
        "developer": Record(NAMED, required=["content"]),
    },
    tag="role",
)


class Messages:
    """The array of messages. Most are a role and a string, and nothing else: those are seen through at once."""

    def __init__(self) -> None:
        self.kind = "an array of objects"
        self.says = f"array of 1 or more ({MESSAGE.says})"

    def check(self, value: Any) -> None:
        """Raises `Problem`."""
        if type(value) is not list:
            refuse_type(self.kind, value)
        if not value:
            refuse_length(1, None, 0)
        index = 0
        try:
            for message in value:
                if (
                    type(message) is not dict
                    or len(message) != 2
                    or type(message.get("content")) is not str
                    or message.get("role") not in PLAIN_ROLES
                ):
                    MESSAGE.check(message)
                index += 1  # enumerate would make a tuple for every good item
        except Problem as problem:
            raise problem.at(index) from None


PLAIN_ROLES: Final = ("user", "assistant", "system", "developer")  # a tuple: a role may be unhashable
