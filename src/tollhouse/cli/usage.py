"""``tollhouse usage``: what was used and what it cost, as a table, JSON or CSV; and one request in full."""

from pathlib import Path
from typing import Any

import click

from tollhouse.cli.desk import desk_options, open_client, show_json
from tollhouse.cli.reports import ask_report, report_options, show_lines, show_report, tell_more
from tollhouse.cli.tables import moment, plain, show_facts, show_rows

_GROUPS = ("day", "model", "kind", "key")
_PROMPT = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "input_audio_tokens")
_ANSWER = ("output_tokens", "output_audio_tokens")


@click.command()
@click.argument("request_id", required=False)
@report_options("day", _GROUPS)
@desk_options
def usage(request_id: str | None, as_json: bool, config_file: Path | None, data_dir: Path | None, **given: Any) -> None:
    """Show what was used. With REQUEST_ID, show one request: attempts, tokens, price, entries."""
    with open_client(config_file, data_dir) as client:
        if request_id is not None:
            _show_request(client.call("GET", "/admin/usage/{request_id}", request_id), as_json=as_json)
            return
        report = ask_report(client, "/admin/usage", given)
    show_report(report, given, _show_report, as_json=as_json)


def _show_report(report: dict[str, Any]) -> None:
    groups = [name for name in _GROUPS if name in report["group_by"]]
    show_lines(report, groups, ("requests", "in", "out", "usd"), _sums)
    tell_more(report)
    if running := report["open"]["requests"]:
        click.echo(f"{running} running now, which hold ${report['open']['held_usd']}.", err=True)


def _sums(sums: dict[str, Any]) -> list[object]:
    read = sum(sums[name] for name in _PROMPT)
    written = sum(sums[name] for name in _ANSWER)
    return [sums["requests"], read, written, sums["cost_usd"]]


def _found(safety: dict[str, Any] | None) -> str:
    """What was found in a request's texts, and what was withheld."""
    if safety is None:
        return "nobody looked"
    said = [
        f"{side}: {', '.join(f'{category} {severity}' for category, severity in safety[side].items())}"
        for side in ("prompt", "completion")
        if side in safety
    ]
    said += [f"blocked: {safety['blocked']}"] if "blocked" in safety else []
    said += [f"did not answer: {', '.join(safety['failed'])}"] if "failed" in safety else []
    return "; ".join(said) or "nothing was found"


def _show_request(request: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(request)
        return
    used = ", ".join(f"{name} {count}" for name, count in request["tokens"].items() if count)
    marks = [name for name in ("estimated", "interrupted") if request[name]]
    show_facts(
        [
            ("request", request["id"]),
            ("state", ", ".join([request["state"], *marks])),
            ("at", f"{moment(request['created_at'])} UTC"),
            ("key", f"{request['key']} ({plain(request['key_name'])})"),
            ("model", f"{plain(request['model'])} -> {plain(request['target'])}"),
            ("tokens", used or "none"),
            ("cost", f"${request['cost_usd']} of ${request['held_usd']} held"),
            ("safety", _found(request["safety"])),
        ]
    )
    for title, rows, names in (
        ("attempts", request["attempts"], ("target", "outcome", "duration_ms", "cost_usd", "upstream_request_id")),
        ("entries", request["entries"], ("transaction", "kind", "account", "amount_usd")),
    ):
        if rows:
            click.echo(f"\n{title}")
            show_rows(names, [[row[name] for name in names] for row in rows])
