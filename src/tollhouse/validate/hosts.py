"""The request fields by which other gateways let a client choose the upstream host, its credential, or other models.

A gateway that obeyed them would send the operator's keys wherever a client says (CVE-2024-6587). This one reads none of
them; refusing them, rather than passing them on, tells the client so, and keeps them from a gateway further up: one
that took another model from ``models`` (OpenRouter) or ``fallbacks`` would run what nobody here allowed or priced.
"""

from collections.abc import Collection

from tollhouse.errors import InvalidRequest
from tollhouse.validate.rules import Refused, Rule

WHY = "the operator of this gateway configures hosts, credentials and fallbacks."
REFUSED = Refused(WHY)
HOST_FIELDS: dict[str, Rule] = dict.fromkeys(
    (
        "api_base",
        "api_host",
        "api_key",
        "api_type",
        "api_version",
        "aws_access_key_id",
        "aws_bedrock_runtime_endpoint",
        "aws_profile_name",
        "aws_region_name",
        "aws_role_name",
        "aws_secret_access_key",
        "aws_session_name",
        "aws_session_token",
        "aws_sts_endpoint",
        "aws_web_identity_token",
        "azure_ad_token",
        "azure_endpoint",
        "base_url",
        "content_policy_fallbacks",
        "context_window_fallbacks",
        "custom_host",
        "custom_llm_provider",
        "default_headers",
        "extra_headers",
        "fallbacks",
        "http_proxy",
        "https_proxy",
        "model_list",
        "models",
        "organization",
        "proxies",
        "proxy",
        "user_config",
        "vertex_credentials",
        "vertex_location",
        "vertex_project",
    ),
    REFUSED,
)


# The same in headers and query parameters. `api-key` and `api-version` are not among them: Azure clients send those.
CHOOSERS = ("api_base", "api_host", "azure_endpoint", "base_url", "custom_host", "custom_llm_provider")
PREFIXES = ("", "x_", "x_litellm_", "x_portkey_")
SPELLINGS = [prefix + name for prefix in PREFIXES for name in CHOOSERS]
HOST_NAMES: frozenset[str] = frozenset(SPELLINGS + [name.replace("_", "-") for name in SPELLINGS])
EITHER = frozenset[str | bytes]([*HOST_NAMES, *(name.encode() for name in HOST_NAMES)])


def refuse_hosts(names: Collection[str] | Collection[bytes]) -> None:
    """Raises `InvalidRequest` when one of the lower-case names, of headers or query parameters, chooses a host.

    The names of headers may be bytes, as the web server keeps them.
    """
    if EITHER.isdisjoint(names):
        return
    name = min(name if isinstance(name, str) else name.decode() for name in EITHER.intersection(names))
    raise InvalidRequest(f"The parameter '{name}' is not accepted: {WHY}", param=name, code="unsupported_parameter")
