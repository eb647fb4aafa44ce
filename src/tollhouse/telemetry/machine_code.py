"""Whether the hot path is machine code in this installation. The command line and the benchmarks tell it."""

from importlib.util import find_spec


def is_compiled() -> bool:
    """Whether `scripts/compile` made what is installed; else it runs as it is."""
    pipeline = find_spec("tollhouse.gateway.pipeline")
    return pipeline is not None and not str(pipeline.origin).endswith(".py")
