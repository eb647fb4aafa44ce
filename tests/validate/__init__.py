"""Tests of `tollhouse.validate`."""
