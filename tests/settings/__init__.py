"""Tests of what the settings are read from."""
