"""Anthropic's Messages API (https://platform.claude.com/docs/en/api/messages), in both directions. Pure.

Upstream (`providers.anthropic`): `encode` writes a request, `decode` reads an answer. Downstream: `client` is the
dialect of clients that speak it. `words` holds what both share.
"""
