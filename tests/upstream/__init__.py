"""Tests of the upstream HTTP client."""
