"""The inputs of Anthropic's own client tools, as JSON Schema.

Claude knows these tools without being told, so that a request names them by type alone. Any other model is told: the
client runs them in either case, and reads the same members of ``input``. Used by `offers`.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/bash-tool, .../text-editor-tool, .../memory-tool,
.../computer-use-tool
"""

from typing import Any, NamedTuple

_TEXT: dict[str, Any] = {"type": "string"}
_INTEGER: dict[str, Any] = {"type": "integer"}
_SPOT: dict[str, Any] = {"type": "array", "items": _INTEGER, "minItems": 2, "maxItems": 2}


class KnownTool(NamedTuple):
    """What a model that does not know the tool is told of it."""

    name: str
    """Of a tool that is sent without one."""
    description: str
    schema: dict[str, Any]


def _commands(words: tuple[str, ...], more: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"command": {"type": "string", "enum": list(words)}, **more},
        "required": ["command"],
    }


_EDIT = {
    "path": _TEXT,
    "file_text": _TEXT,
    "old_str": _TEXT,
    "new_str": _TEXT,
    "insert_line": _INTEGER,
    "insert_text": _TEXT,
    "view_range": _SPOT,
}
_EDITOR = KnownTool(
    "str_replace_based_edit_tool",
    "Views, creates and edits text files. view: path, view_range. create: path, file_text. str_replace: path, old_str "
    "(unique in the file), new_str. insert: path, insert_line, insert_text.",
    _commands(("view", "create", "str_replace", "insert"), _EDIT),
)
_ACTIONS = (
    *("key", "hold_key", "type", "cursor_position", "mouse_move", "left_mouse_down", "left_mouse_up", "left_click"),
    *("left_click_drag", "right_click", "middle_click", "double_click", "triple_click", "scroll", "wait"),
    *("screenshot", "zoom"),
)

KNOWN: dict[str, KnownTool] = {
    "bash_": KnownTool(
        "bash",
        "Runs a command in a bash session that stays open between calls. restart: true starts a new session.",
        {"type": "object", "properties": {"command": _TEXT, "restart": {"type": "boolean"}}},
    ),
    "text_editor_20241022": _EDITOR._replace(name="str_replace_editor"),
    "text_editor_20250124": _EDITOR._replace(name="str_replace_editor"),
    "text_editor_": _EDITOR,
    "memory_": KnownTool(
        "memory",
        "Keeps files under /memories from one conversation to the next. view: path. create: path, file_text. "
        "str_replace: path, old_str, new_str. insert: path, insert_line, insert_text. delete: path. rename: old_path, "
        "new_path. Look there first.",
        _commands(
            ("view", "create", "str_replace", "insert", "delete", "rename"),
            {**_EDIT, "old_path": _TEXT, "new_path": _TEXT},
        ),
    ),
    "computer_2": KnownTool(
        "computer",
        "Uses the mouse, the keyboard and the screen of a computer. Coordinates are pixels, from the top left.",
        {
            "type": "object",
            "properties": {
                "action": {"type": "string", "enum": list(_ACTIONS)},
                "text": _TEXT,
                "coordinate": _SPOT,
                "start_coordinate": _SPOT,
                "region": {"type": "array", "items": _INTEGER, "minItems": 4, "maxItems": 4},
                "scroll_direction": {"type": "string", "enum": ["up", "down", "left", "right"]},
                "scroll_amount": _INTEGER,
                "duration": {"type": "number"},
            },
            "required": ["action"],
        },
    ),
}
"""By how the type begins; the first that fits."""

ON_THE_CLIENT = (*KNOWN, "browser_toolset_", "computer_toolset_")
"""How the types of the tools begin that a client runs: any other is run by the host, which may charge for it."""


def known_tool(word: str) -> KnownTool | None:
    """What is known of a tool by its type."""
    return next((tool for start, tool in KNOWN.items() if word.startswith(start)), None)


def is_hosted(word: str) -> bool:
    """Whether the host runs a tool of this type."""
    return not word.startswith(ON_THE_CLIENT)
