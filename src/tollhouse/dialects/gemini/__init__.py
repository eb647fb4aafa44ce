"""Gemini's generateContent (https://ai.google.dev/api/generate-content), in both directions. Pure.

Upstream (`providers.gemini`, `providers.vertex`): `encode` writes a request, `decode` reads an answer. Downstream:
`client` is the dialect of clients that speak it. `words` holds what both share.
"""
