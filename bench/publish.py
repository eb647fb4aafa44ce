"""Puts the figures of one run into the documentation: the tables of performance.md and the plots beside it."""

from pathlib import Path
from shutil import copyfile
from typing import Any

from bench import figures, process, report

PAGE = process.ROOT / "src" / "tollhouse" / "docs" / "performance.md"
_BEGIN, _END = "<!-- figures: written by scripts/bench --publish -->", "<!-- end of figures -->"

_ALT = {
    "json-cpu.svg": "CPU per JSON request",
    "chunk-cpu.svg": "CPU per streamed chunk",
    "latency.svg": "Latency at 1,000 requests a second",
    "footprint.svg": "Start time, memory, size and packages",
}


def section(record: dict[str, Any], scenarios: report.Scenarios, plots: list[str]) -> str:
    """The generated part of the page."""
    machine, versions = record["machine"], record["versions"]
    programs = ", ".join(f"{name} {version}" for name, version in versions.items())
    when = record["at"][:10]
    about = (
        f"Measured on {when}: {machine['cores']} cores ({machine['cpu']}), {machine['memory_mib']} MiB, "
        f"Linux {machine['kernel']}, Python {machine['python']}; {programs}. "
        f"Medians of {record['plan']['rounds']} rounds."
    )
    images = "\n\n".join(f"![{_ALT[name]}](img/{name})" for name in plots)
    tables = [report.verdict_lines(scenarios), report.details(scenarios)]
    return "\n\n".join([about, report.markdown_table(tables[0]), images, report.markdown_table(tables[1])])


def publish(out: Path, record: dict[str, Any], scenarios: report.Scenarios) -> None:
    """Rewrite the page between its marks and copy the plots. Raises ValueError when the marks are gone."""
    plots = list(figures.draw(scenarios))
    before, _, rest = PAGE.read_text().partition(_BEGIN)
    _, found, after = rest.partition(_END)
    if not found:
        raise ValueError(f"{PAGE} has no place for figures: it lacks {_BEGIN!r} or {_END!r}")
    PAGE.write_text(f"{before}{_BEGIN}\n\n{section(record, scenarios, plots)}\n\n{_END}{after}")
    folder = PAGE.parent / "img"
    folder.mkdir(exist_ok=True)
    for name in plots:
        copyfile(out / name, folder / name)
    print(f"Published to {PAGE}.")
