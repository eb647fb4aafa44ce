"""Tests of routing: decisions, state machines, and storms in simulated time."""
