"""``tollhouse usage``: what was used and what it cost, as a table, JSON or CSV; and one request in full."""

from pathlib import Path
from typing import Any

import click

from tollhouse.cli.desk import desk_options, json_option, open_client, show_json
from tollhouse.cli.tables import moment, plain, show_facts, show_rows

_GROUPS = ("day", "model", "kind", "key")
_PROMPT = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "input_audio_tokens")
_ANSWER = ("output_tokens", "output_audio_tokens")


@click.command()
@click.argument("request_id", required=False)
@click.option(
    "--by", default="day", show_default=True, help="Lines: any of day, model, kind, key, with commas between."
)
@click.option("--from", "first", help="First UTC day, as 2026-01-31; 30 days ago unless given.")
@click.option("--to", "last", help="Last UTC day; today unless given.")
@click.option("--under", help="Only this organisation, team, user or key.")
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="CSV, for a spreadsheet.")
@desk_options
def usage(request_id: str | None, as_json: bool, config_file: Path | None, data_dir: Path | None, **given: Any) -> None:
    """Show what was used. With REQUEST_ID, show one request: attempts, tokens, price, entries."""
    with open_client(config_file, data_dir) as client:
        if request_id is not None:
            _show_request(client.call("GET", "/admin/usage/{request_id}", request_id), as_json=as_json)
            return
        query = {
            "group_by": given["by"],
            "from": given["first"],
            "to": given["last"],
            "under": given["under"],
            "format": "csv" if given["as_csv"] else "json",
        }
        report = client.call("GET", "/admin/usage", query=query)
    if given["as_csv"]:
        click.echo(report.decode(), nl=False)
    elif as_json:
        show_json(report)
    else:
        _show_report(report)


def _show_report(report: dict[str, Any]) -> None:
    groups = [name for name in _GROUPS if name in report["group_by"]]
    rows = [[_name(line, group) for group in groups] + _sums(line) for line in report["data"]]
    rows.append(["total", *[""] * (len(groups) - 1), *_sums(report["totals"])] if groups else _sums(report["totals"]))
    show_rows([*groups, "requests", "in", "out", "usd"], rows)
    if report["has_more"]:
        click.echo("There are more lines: ask for fewer days, or for --csv of one of them.", err=True)
    if running := report["open"]["requests"]:
        click.echo(f"{running} running now, which hold ${report['open']['held_usd']}.", err=True)


def _name(line: dict[str, Any], group: str) -> object:
    return line.get("key_name") or line["key"] if group == "key" else line[group]


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
