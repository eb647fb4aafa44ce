"""Requests that the SDK tests of every language make."""

import base64
import struct
from typing import Any

HELLO: list[Any] = [{"role": "user", "content": "Hello! Who are you?"}]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PICTURE: dict[str, Any] = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"}}
_RATE = 8000
_WAV = (
    b"RIFF" + struct.pack("<I", 36 + 1600) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, _RATE, 2 * _RATE, 2, 16)
    + b"data" + struct.pack("<I", 1600) + bytes(1600)
)  # fmt: skip
SOUND: dict[str, Any] = {
    "type": "input_audio",
    "input_audio": {"data": base64.b64encode(_WAV).decode(), "format": "wav"},
}
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"enum": ["Paris", "Rome"]},
                "days": {"type": "integer", "minimum": 1, "maximum": 7},
            },
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}
CLOCK: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_time",
        "parameters": {"type": "object", "properties": {"zone": {"enum": ["CET", "UTC"]}}, "required": ["zone"]},
    },
}
TOOLS: list[Any] = [WEATHER, CLOCK]
ADVICE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"sky": {"enum": ["sun", "rain"]}, "degrees": {"type": "integer"}, "umbrella": {"type": "boolean"}},
    "required": ["sky", "degrees", "umbrella"],
    "additionalProperties": False,
}
ADVICE: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {"name": "advice", "strict": True, "schema": ADVICE_SCHEMA},
}
