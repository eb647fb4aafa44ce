"""A whole answer with its personal data restored. Pure. `gateway` calls it before the answer is written.

``logprobs`` stay the host's own, for they speak of the tokens that the model wrote. So do the offsets of citations.
"""

from typing import Any

from tollhouse.safety.personal.places import Places, rewritten_choices
from tollhouse.safety.personal.vault import Vault


def restore_reply(reply: dict[str, Any], vault: Vault, *, json_content: bool = False) -> dict[str, Any]:
    """An answer in the inner form with values for placeholders; the same object where nothing was masked.

    ``json_content`` says that the content is JSON, because the client asked for that (``response_format``): values
    are escaped in it, as they are in the arguments of tools.
    """
    if not vault:
        return reply
    choices = rewritten_choices(reply, Places(vault.restore, vault.restore_json))
    if json_content:
        for choice, given in zip(choices, reply["choices"], strict=True):
            _restore_content(choice, given, vault)
    return {**reply, "choices": choices}


def _restore_content(choice: Any, given: Any, vault: Vault) -> None:
    message = choice.get("message") if isinstance(choice, dict) else None
    if isinstance(message, dict) and isinstance(text := given["message"].get("content"), str):
        message["content"] = vault.restore_json(text)
