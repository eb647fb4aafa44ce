"""Tests of `tollhouse.dialects.ollama`."""
