"""The settings as text: the commented file that ``tollhouse init`` writes, and the tables of the documentation.

Both are made from the metadata of `settings.keys`, so that neither can say what the code does not.
"""

import json
from pathlib import Path
from typing import Any

from tollhouse.settings.judges import JudgeKeys
from tollhouse.settings.keys import SECTIONS, AllowanceKeys
from tollhouse.settings.provider_keys import ModelKeys, ProviderKeys, QuirkKeys, TierKeys
from tollhouse.settings.reading import Key, keys
from tollhouse.settings.routing import AliasKeys, TargetKeys
from tollhouse.settings.safety import BlocklistKeys, PolicyKeys, ProtectedKeys, TopicKeys

HEAD = """\
# Tollhouse settings. Every key is shown with its default; take out the "# " before a key to change it.
# A variable TOLLHOUSE_SECTION_KEY (for example TOLLHOUSE_SERVER_PORT) goes over what stands here.
# `tollhouse check` reports every mistake in this file at once.
"""

PROVIDERS = """\
# --- upstream hosts -------------------------------------------------------------------------------
# A host of the catalogue needs only a key. Any other OpenAI-compatible API needs a base_url.
#
# [providers.openai]
# api_key = "env:OPENAI_API_KEY"
#
# [providers.my-vllm]
# base_url = "http://10.0.0.7:8000/v1"
# models = ["qwen3-32b"]
#
# Every key of [providers.NAME]:
"""

TIERS = """\
# --- tiers ----------------------------------------------------------------------------------------
# What a key may ask for in any 60 seconds. A key names its tier, or has [limits] default_tier.
#
# [tiers.free]
# requests_per_minute = 60
# tokens_per_minute = 90000
# concurrent = 2
#
# [tiers.starter]
# requests_per_minute = 60
# concurrent = 10
#
# [tiers.paid]
# tokens_per_minute = 10000000
# soft = ["tokens"]
#
# The same keys bind each model separately in [tiers.NAME.per_model], and one model, by the name that is asked for, in
# [tiers.NAME.models."MODEL"]. Every key of [tiers.NAME]:
"""

MODELS = """\
# --- names ----------------------------------------------------------------------------------------
# Names of your own, each for one model or for several that are tried in order.
# A star at the end of a name stands for anything; "host/*" passes the requested name on.
#
# [models]
# fast-chat = "openai/gpt-4o-mini"
# "gpt-*" = "openai/*"
# smart = ["anthropic/claude-sonnet-4-5", "openai/gpt-5"]
#
# [models.shared]
# targets = [{ model = "openai/gpt-5", weight = 3 }, { model = "azure/gpt-5", weight = 1 }]
# strategy = "weighted"
#
# Every key of [models.NAME] beside targets:
"""


SAFETY = """\
# --- safety policies ------------------------------------------------------------------------------
# What is blocked, for those who name the policy: safety = "NAME" in [tiers.NAME], in [models.NAME], of a key.
# Lists and topics are in [safety.blocklists.NAME] and [safety.topics.NAME], judges in [safety.judges.NAME].
#
# [safety.policies.public]
# template = "moderate"
# profanity = true
# blocklists = ["rivals"]
#
# [safety.blocklists.rivals]
# terms = ["acme*", "other corp"]
#
# Every key of [safety.policies.NAME]:
"""


def render_toml() -> str:
    """The text of a settings file with every key, all commented out: it is valid as it stands."""
    parts = [HEAD]
    for name, section in SECTIONS.items():
        parts.append(f"# {_summary(section)}\n[{name}]\n" + _lines(section))
    parts.append(PROVIDERS + _lines(ProviderKeys))
    parts.append(TIERS + _lines(AllowanceKeys))
    parts.append(MODELS + _lines(AliasKeys))
    parts.append(SAFETY + _lines(PolicyKeys))
    return "\n".join(parts)


def render_markdown() -> str:
    """The reference tables of the settings, a heading and a table for each section."""
    parts = [_table(f"[{name}]", section, f"TOLLHOUSE_{name}_".upper()) for name, section in SECTIONS.items()]
    parts.append(_table("[safety.policies.NAME]", PolicyKeys))
    parts.append(_table("[safety.blocklists.NAME]", BlocklistKeys))
    parts.append(_table("[safety.topics.NAME]", TopicKeys))
    parts.append(_table("[safety.protected]", ProtectedKeys))
    parts.append(_table("[safety.judges.NAME]", JudgeKeys))
    parts.append(_table("[tiers.NAME]", AllowanceKeys))
    parts.append(_table("[models.NAME]", AliasKeys))
    parts.append(_table("[[models.NAME.targets]]", TargetKeys))
    parts.append(_table("[providers.NAME]", ProviderKeys))
    parts.append(_table("[providers.NAME.quirks]", QuirkKeys))
    parts.append(_table('[providers.NAME.models."MODEL"]', ModelKeys))
    parts.append(_table('[[providers.NAME.models."MODEL".tiers]]', TierKeys))
    return "\n".join(parts)


def _lines(section: type) -> str:
    return "".join(f"# {spec.doc}{_note(spec)}\n# {spec.name} = {_toml(spec.default)}\n" for spec in keys(section))


def _table(title: str, section: type, prefix: str = "") -> str:
    rows = [f"### `{title}`", "", _summary(section), ""]
    rows += ["| key | default | meaning |", "|---|---|---|"]
    for spec in keys(section):
        name = f"`{spec.name}`" + (f"<br>`{prefix}{spec.name.upper()}`" if prefix else "")
        default = "" if spec.default in (None, "") else f"`{_toml(spec.default)}`"
        rows.append(f"| {name} | {default} | {spec.doc}{_note(spec)} |".replace("  ", " "))
    return "\n".join(rows) + "\n"


def _summary(section: type) -> str:
    return " ".join((section.__doc__ or "").split())


def _note(spec: Key) -> str:
    """Unit, range and choices, in brackets."""
    parts = [spec.unit] if spec.unit else []
    if spec.choices:
        parts.append(" | ".join(json.dumps(choice) for choice in spec.choices if choice).replace("|", "or"))
    if spec.least is not None and spec.most is not None:
        parts.append(f"{_number(spec.least)} to {_number(spec.most)}")
    elif spec.least is not None:
        parts.append(f"at least {_number(spec.least)}")
    return f" ({', '.join(parts)})" if parts else ""


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str | Path):
        return json.dumps(str(value))
    return "{}" if value is None else _number(value)
