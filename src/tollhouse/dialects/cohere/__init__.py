"""Cohere's v2 chat API (https://docs.cohere.com/reference/chat): requests written, answers read. Pure."""
