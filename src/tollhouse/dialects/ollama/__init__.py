"""Ollama's own chat API (https://docs.ollama.com/api/chat): requests written, answers read. Pure."""
