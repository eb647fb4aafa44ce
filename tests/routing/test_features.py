"""What requests need, and how hard they look."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.routing.abilities import AUDIO, FILES, REASONING, SCHEMA, SPEECH, TOOLS, VIDEO, VISION
from tollhouse.routing.difficulty import WEIGHTS, estimate
from tollhouse.routing.features import IMAGE_TOKENS, Features, read_features


def chat(content: object = "Hi", **said: object) -> dict[str, Any]:
    """A request with one message of a user."""
    return {"model": "m", "messages": [{"role": "user", "content": content}], **said}


def part(kind: str, **said: object) -> list[dict[str, object]]:
    """Content of one part."""
    return [{"type": kind, **said}]


class TestNeeds:
    """The bits."""

    @pytest.mark.parametrize(
        ("body", "need"),
        [
            (chat(), 0),
            (chat(part("text", text="Hi")), 0),
            (chat(part("image_url", image_url={"url": "https://x/y.png"})), VISION),
            (chat(part("input_audio", input_audio={"data": "AA==", "format": "wav"})), AUDIO),
            (chat(part("video_url", video_url={"url": "https://x"})), VIDEO),
            (chat(part("file", file={"file_data": "data:application/pdf;base64,AA=="})), FILES),
            (chat(part("file", file={"file_data": "data:text/plain;base64,AA=="})), 0),
            (chat(part("file", file={"file_id": "f"})), FILES),
            (chat(tools=[{"type": "function"}]), TOOLS),
            (chat(functions=[{"name": "f"}]), TOOLS),
            (chat(tools=[{"type": "function"}], tool_choice="none"), 0),
            (chat(tools=[]), 0),
            ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, TOOLS),
            (chat(response_format={"type": "json_schema"}), SCHEMA),
            (chat(response_format={"type": "json_object"}), SCHEMA),
            (chat(response_format={"type": "text"}), 0),
            (chat(reasoning_effort="high"), REASONING),
            (chat(reasoning_effort="minimal"), 0),
            (chat(reasoning={"effort": "medium"}), REASONING),
            (chat(reasoning={"max_tokens": 2000}), REASONING),
            (chat(reasoning={"enabled": False}), 0),
            (chat(modalities=["text", "audio"]), SPEECH),
        ],
    )
    def test_of_a_request(self, body: dict[str, Any], need: int) -> None:
        """Each thing that a model must be able to do is one bit."""
        assert read_features(body, 100).need == need

    def test_lengths(self) -> None:
        """The prompt is its bytes without media, in tokens, and so much for each image; the answer is its cap."""
        image = part("image_url", image_url={"url": "data:image/png;base64," + "A" * 8000})
        body = chat(image, max_tokens=5, max_completion_tokens=500)
        features = read_features(body, 8_422)
        assert features.prompt_tokens == 400 // 4 + IMAGE_TOKENS
        assert features.context_tokens == 100 + IMAGE_TOKENS + 500

    @given(
        st.dictionaries(
            st.sampled_from(["tools", "response_format", "reasoning", "reasoning_effort", "modalities", "max_tokens"]),
            st.none()
            | st.booleans()
            | st.integers()
            | st.text()
            | st.lists(st.text())
            | st.dictionaries(st.text(), st.integers()),
        ),
        st.none()
        | st.text()
        | st.lists(
            st.none()
            | st.text()
            | st.dictionaries(st.sampled_from(["type", "text", "file"]), st.integers() | st.text())
        ),
    )
    def test_hostile_values(self, said: dict[str, Any], content: object) -> None:
        """Members and content of any kind give features and a difficulty from 0 to 1."""
        body = chat(content, **said)
        assert 0.0 <= estimate(body, read_features(body, 10)).difficulty <= 1.0


class TestDifficulty:
    """The formula."""

    def of(self, text: str, **said: object) -> float:
        """The difficulty of a question."""
        body = chat(text, **said)
        return estimate(body, read_features(body, len(text))).difficulty

    def test_it_orders_what_people_would(self) -> None:
        """A greeting is easier than a question about code, and that than a proof with code to be thought through."""
        greeting = self.of("Hi there!")
        code = self.of("What does this do?\n```python\ndef f(x): return x\n```")
        proof = self.of(
            "Prove step by step that the integral converges, then refactor this:\n```\ndef f(): pass\n```" * 10
        )
        assert greeting < 0.15 < code < 0.5 < proof

    def test_effort_counts_most(self) -> None:
        """Who asks for much reasoning asks for a good model, and who asks for none does not."""
        assert self.of("Hi", reasoning_effort="xhigh") > 0.55
        assert self.of("Prove the theorem.", reasoning_effort="none") < 0.06

    def test_every_sign_is_in_the_table(self) -> None:
        """What is added is what the table says, no more."""
        body = chat(
            "Prove step by step, in ```python```: ∑ ü" + "é" * 3000, tools=[{}], response_format={"type": "json_schema"}
        )
        features = Features(
            need=read_features(body, 9).need | VISION, prompt_tokens=10**9, output_tokens=10**6, turns=99
        )
        signs = estimate(body, features)
        assert signs.keys() == WEIGHTS.keys() - {"effort"}
        assert signs["prompt"] == WEIGHTS["prompt"]
        assert signs["turns"] == WEIGHTS["turns"]
        assert signs.difficulty == 1.0
