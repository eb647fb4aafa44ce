"""Which targets a call is tried on, in which order. Pure: it reads a snapshot and nothing else."""

from tollhouse.errors import ModelNotFound
from tollhouse.snapshot import Snapshot
from tollhouse.types.calls import Plan


def plan(snapshot: Snapshot, model: str, kind: str | None = None) -> Plan:
    """The targets of a model's name, in the operator's order, as many as one request may be tried on.

    ``kind`` is an endpoint other than chat: targets that are known to lack it are left out. Raises `ModelNotFound`,
    saying what may be meant.
    """
    targets = snapshot.names.resolve(model)
    if not targets:
        raise ModelNotFound(snapshot.suggestions.explain(model), param="model")
    if kind is not None:
        targets = tuple([target for target in targets if snapshot.endpoint(target, kind) is not None])
        if not targets:
            raise ModelNotFound(f"The model '{model}' does not serve /v1/{kind}.", param="model")
    return Plan(model, targets[: snapshot.max_attempts])
