"""The settings of routing: ``[routing]``. Each default names its precedent. `settings.keys` lists the section."""

from dataclasses import dataclass

from tollhouse.settings.reading import key


@dataclass(frozen=True, slots=True)
class Routing:
    """Which target a request goes to, and what happens when one fails."""

    fidelity: str = key(
        "report",
        "parameters that a target does not honour: refuse the request, say so in the answer, or say nothing",
        choices=("strict", "report", "drop"),
    )
