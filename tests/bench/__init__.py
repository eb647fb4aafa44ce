"""Tests of the speed harness itself; none of them asserts a speed."""
