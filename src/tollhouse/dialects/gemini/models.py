"""What Google's models take, by their names. Read by `thinking`, `functions`, `contents` and `encode`.

Facts are those of https://ai.google.dev/gemini-api/docs/thinking, .../docs/file-input-methods and .../docs/gemini-3. A
name that says nothing is taken for one of the newest generation.
"""

import re
from functools import lru_cache

from msgspec import Struct

LEVELS = ("minimal", "low", "medium", "high")
"""By rising depth."""
_NAME = re.compile(r"gemini-(\d)(?:[.-](\d)(?!\d))?")
_OLD = re.compile(r"gemini-(1|exp|pro-vision|ultra)|gemma-[123]|gemma-3n|learnlm")
_MUTE = re.compile(r"tts|native-audio|live|embedding|computer-use-preview-10|imagen")
_NEWEST = 31


class Model(Struct, frozen=True):
    """One model. ``generation`` is ten times its number: 25 for Gemini 2.5."""

    generation: int
    thinking: str
    """``level``, ``budget``, or ``none`` where it cannot be told how much to think."""
    levels: tuple[str, ...] = ()
    least_tokens: int = 0
    most_tokens: int = 0
    stops: bool = False
    """A budget of 0 turns its thinking off."""
    instructed: bool = True
    """It takes a system instruction."""
    image: bool = False
    """It answers with images."""

    @property
    def signed(self) -> bool:
        """It refuses a function call without a ``thoughtSignature`` (docs/thought-signatures)."""
        return self.generation >= 30

    @property
    def fetches(self) -> bool:
        """It reads public addresses: "not supported for the Gemini 2.0 family" (docs/file-input-methods)."""
        return self.generation >= 25

    @property
    def validates(self) -> bool:
        """It knows the mode ``VALIDATED``."""
        return self.generation >= 25

    @property
    def sees_results(self) -> bool:
        """A function's result may hold media (docs/function-calling, "Multimodal function responses")."""
        return self.generation >= 30


@lru_cache(maxsize=1024)
def model_of(name: str) -> Model:
    """The model of a name, with or without a publisher in front."""
    name = name.rpartition("/")[2].lower()
    image = "image" in name
    match = _NAME.search(name)
    generation = 10 * int(match[1]) + int(match[2] or 0) if match else _NEWEST
    if _OLD.search(name):
        return Model(15, "none", instructed="gemma" not in name, image=image)
    if name.startswith("gemma"):
        return Model(25, "level", ("minimal", "high"))
    if _MUTE.search(name) or generation < 25 or (image and generation < 31):
        return Model(generation, "none", image=image)
    if generation < 30:
        return _budgeted(name, generation)
    return Model(generation, "level", _levels(name, generation), image=image)


def _budgeted(name: str, generation: int) -> Model:
    if "pro" in name:
        return Model(generation, "budget", (), 128, 32_768)
    return Model(generation, "budget", (), 512 if "lite" in name else 1, 24_576, stops=True)


def _levels(name: str, generation: int) -> tuple[str, ...]:
    if "image" in name:
        return ("minimal", "high")
    if "pro" in name:
        return ("low", "high") if generation < 31 and "latest" not in name else ("low", "medium", "high")
    return LEVELS
