"""Tests of `tollhouse.dialects.cohere`."""
