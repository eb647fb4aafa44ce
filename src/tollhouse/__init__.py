"""Tollhouse: one self-hosted, OpenAI-compatible door to every model and AI service."""

__version__ = "0.1.0"
