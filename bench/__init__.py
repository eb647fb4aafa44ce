"""The speed harness: ``scripts/bench``. Every figure is a ratio of programs measured in turns, in one run."""
