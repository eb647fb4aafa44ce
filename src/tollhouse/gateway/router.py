"""Which targets a call is tried on, in which order. Pure."""

from tollhouse.catalog.names import Names
from tollhouse.errors import ModelNotFound
from tollhouse.types.calls import Plan


def plan(names: Names, model: str, max_attempts: int) -> Plan:
    """The targets of a model's name, in the operator's order. Raises `ModelNotFound`, saying what is close."""
    targets = names.resolve(model)
    if not targets:
        raise ModelNotFound(f"The model '{model}' does not exist here. GET /v1/models lists the names.", param="model")
    return Plan(model, targets[:max_attempts])
