"""A loop of tool calls: the model asks, functions of ours answer, until it says something.

Reads OPENAI_BASE_URL and OPENAI_API_KEY. The simulated model calls what it is offered, so this runs without a provider.
"""

import json
from collections.abc import Callable

from openai import OpenAI

MODEL = "tollhouse/sim"


def weather(city: str) -> str:
    """What the tool does."""
    return f"Sunny in {city}, 21 degrees."


FUNCTIONS: dict[str, Callable[..., str]] = {"weather": weather}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather of a city, now",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }
]

client = OpenAI()
messages = [{"role": "user", "content": "What is the weather in Paris?"}]
while True:
    message = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS).choices[0].message
    if not message.tool_calls:
        break
    messages.append(message)
    for call in message.tool_calls:
        arguments = json.loads(call.function.arguments)
        result = FUNCTIONS[call.function.name](**arguments)
        print(f"{call.function.name}({arguments}) -> {result}")
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
print(message.content)
