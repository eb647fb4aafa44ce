"""Which targets a call is tried on, in which order. Pure: it reads a snapshot and nothing else."""

from tollhouse.errors import ModelNotFound
from tollhouse.snapshot import Snapshot
from tollhouse.types.calls import Plan


def plan(snapshot: Snapshot, model: str) -> Plan:
    """The targets of a model's name, in the operator's order, as many as one request may be tried on.

    Raises `ModelNotFound`, saying what may be meant.
    """
    targets = snapshot.names.resolve(model)
    if not targets:
        raise ModelNotFound(snapshot.suggestions.explain(model), param="model")
    return Plan(model, targets[: snapshot.max_attempts])
