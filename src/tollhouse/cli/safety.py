"""``tollhouse safety``: what the classifier says of a text, how good it is on one's own texts, and what was found."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from tollhouse.catalog import store as catalog
from tollhouse.cli.curves import line_of, svg_of
from tollhouse.cli.desk import json_option, show_json
from tollhouse.cli.evaluation import RATES, Figures, as_json, evaluate
from tollhouse.cli.labelled import Unreadable, read_rows
from tollhouse.cli.ledger import Progress
from tollhouse.cli.options import config_option, settings_or_exit
from tollhouse.cli.safety_report import report
from tollhouse.cli.tables import plain, show_facts, show_rows
from tollhouse.config import Settings
from tollhouse.safety.beside import with_listed
from tollhouse.safety.classifier import HEADS, Classifier, Reading
from tollhouse.safety.embedding_loader import NAME as EMBEDDING
from tollhouse.safety.lists import Lists
from tollhouse.safety.policy import Decision, Policies, Policy
from tollhouse.types.safety import COMPLETION, HARMS, PROMPT, SEVERITIES, Verdict, joined

_SWEARING = ("none", "mild", "strong", "severe")
_EXCERPT_CHARS = 60
_DEFAULT = "[safety]"
_LEVELS = SEVERITIES[1:]


@click.group()
def safety() -> None:
    """What the local safety classifier says, and what it found."""


safety.add_command(report)


# --- check -------------------------------------------------------------------------------------------------------


class _Held(Struct, frozen=True):
    """What one policy would do with a text."""

    name: str
    prompt: Decision
    completion: Decision
    unasked: tuple[str, ...]
    """Who would be asked too, and was not: its judges, and the second local tier."""

    @property
    def blocks(self) -> bool:
        return self.prompt.blocked or self.completion.blocked


@safety.command()
@click.argument("text", required=False)
@click.option("--policy", "names", multiple=True, metavar="NAME", help="Only what this policy would do (repeatable).")
@json_option
@config_option
def check(text: str | None, names: tuple[str, ...], as_json: bool, config_file: Path | None) -> None:
    """Judge TEXT, or standard input, and say what each policy would do with it, as a prompt and as an answer.

    With --policy, exits with 1 where one of them would block it.
    """
    given = sys.stdin.buffer.read().decode("utf-8", "replace") if text is None or text == "-" else text
    settings = settings_or_exit(config_file, catalog.load())
    policies = _chosen(settings, names)
    classifier = Classifier.load()
    reading = classifier.read(given)
    verdict, lists = classifier.verdict(reading), Lists(settings.safety)
    held = [_hold(name, policy, given, verdict, lists) for name, policy in policies]
    if as_json:
        show_json(_page(classifier, reading, verdict, held))
    else:
        _show_reading(classifier, reading, verdict, given)
        show_rows(("policy", "as a prompt", "as an answer"), [_policy_cells(one) for one in held])
        for one in held:
            if one.unasked:
                click.echo(f"{plain(one.name)} also asks, but not here: {plain(', '.join(one.unasked))}")
    sys.exit(1 if names and any(one.blocks for one in held) else 0)


def _chosen(settings: Settings, names: Sequence[str]) -> list[tuple[str, Policy]]:
    """The policies that were named, else the default and every policy that there is. Raises `click.UsageError`."""
    known = settings.safety.names
    if unknown := [name for name in names if name not in known]:
        raise click.UsageError(f"There is no policy {unknown[0]!r}; there are {', '.join(known)}.")
    policies = Policies(settings.safety, settings.tiers, settings.limits.default_tier)
    default = [] if names else [(_DEFAULT, policies.resolve())]
    return default + [(name, policies.named(name)) for name in names or known]


def _hold(name: str, policy: Policy, text: str, verdict: Verdict, lists: Lists) -> _Held:
    reader = lists.reader(policy)
    if reader is not None:
        reader.feed(text)
    in_answer = reader.finish() if reader is not None else ()
    answer = joined(verdict, Verdict(in_answer)) if in_answer else verdict
    prompt = with_listed(verdict, text, policy, lists)
    unasked = (*policy.judges, *([EMBEDDING] if policy.embedding else []))
    return _Held(name, policy.decide(prompt, PROMPT), policy.decide(answer, COMPLETION), unasked)


def _page(classifier: Classifier, reading: Reading, verdict: Verdict, held: Iterable[_Held]) -> dict[str, Any]:
    return {
        "detector": classifier.name,
        "categories": {
            name: {
                "severity" if name in HARMS else "detected": _said(name, verdict),
                "score": reading.scores[at],
                "thresholds": dict(zip(_LEVELS, classifier.thresholds[name], strict=True)),
                "start": reading.spans[at][0],
                "end": reading.spans[at][1],
            }
            for at, name in enumerate(HEADS)
        },
        "profanity": _SWEARING[reading.profanity],
        "policies": {
            one.name: {
                **{side: _decision(getattr(one, side)) for side in (PROMPT, COMPLETION)},
                **({"not_asked": one.unasked} if one.unasked else {}),
            }
            for one in held
        },
    }


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "blocked": decision.blocked,
        "categories": decision.categories,
        "content_filter_results": decision.results,
    }


def _said(name: str, verdict: Verdict) -> str | bool:
    return SEVERITIES[verdict.level(name)] if name in HARMS else bool(verdict.level(name))


def _show_reading(classifier: Classifier, reading: Reading, verdict: Verdict, text: str) -> None:
    rows = []
    for at, name in enumerate(HEADS):
        start, end = reading.spans[at]
        thresholds = [f"{one:.3f}" for one in classifier.thresholds[name]]
        rows.append((name, _said(name, verdict), f"{reading.scores[at]:.3f}", *thresholds, f"{start}-{end}"))
    show_rows(("category", "found", "score", *_LEVELS, "worst at"), rows)
    facts = [("profanity", _SWEARING[reading.profanity]), ("detector", classifier.name)]
    worst = max(range(len(HEADS)), key=lambda at: reading.scores[at])
    if verdict.findings and reading.spans[worst][1]:
        facts.append((f"worst {HEADS[worst]}", _excerpt(text, *reading.spans[worst])))
    show_facts(facts)


def _excerpt(text: str, start: int, end: int) -> str:
    window = " ".join(text[start:end].split())
    return window if len(window) <= _EXCERPT_CHARS else f"{window[: _EXCERPT_CHARS - 3]}..."


def _policy_cells(one: _Held) -> tuple[str, str, str]:
    return one.name, _does(one.prompt), _does(one.completion)


def _does(decision: Decision) -> str:
    if decision.blocked:
        return f"blocked: {', '.join(decision.categories)}"
    return "passes" if decision.results else "not looked at"


# --- eval --------------------------------------------------------------------------------------------------------


@safety.command("eval")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--fpr",
    "rates",
    multiple=True,
    type=click.FloatRange(0, 1),
    default=RATES,
    show_default=True,
    metavar="SHARE",
    help="Share of harmless texts that may be flagged (repeatable).",
)
@click.option("--svg", type=click.Path(dir_okay=False, path_type=Path), help="Also write the curves as a picture.")
@json_option
def eval_command(file: Path, rates: tuple[float, ...], svg: Path | None, as_json: bool) -> None:
    """Measure the classifier on labelled texts: JSON lines of {"text", "labels"}, or CSV with a column for each label.

    Labels are hate, self_harm, sexual, violence and jailbreak: 0 or 1, or left out where nobody knows.
    """
    classifier = Classifier.load()
    try:
        rows = read_rows(file)
    except Unreadable as problem:
        raise click.ClickException(f"{file}: {problem}.") from problem
    with ExitStack() as shown:
        progress = shown.enter_context(Progress("Reading"))
        found = evaluate(classifier, rows, rates, progress.show)
    if svg is not None:
        _write(svg, svg_of(f"{classifier.name} on {file.name}", {one.category: one.curve for one in found}))
    if as_json:
        _show_figures_as_json(classifier, len(rows), found)
        return
    click.echo(f"{len(rows):,} texts of {plain(file.name)}, judged by {classifier.name}\n")
    _show_figures(found)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}.") from error


def _show_figures_as_json(classifier: Classifier, texts: int, found: Iterable[Figures]) -> None:
    show_json({"detector": classifier.name, "texts": texts, "categories": [as_json(one) for one in found]})


def _show_figures(found: Sequence[Figures]) -> None:
    heads = ("category", "texts", "positive", "AUPRC", "AUC", "best F1", "at")
    show_rows(
        heads,
        [
            (
                one.category,
                one.texts,
                one.positives,
                *(f"{value:.3f}" for value in (one.auprc, one.auc, one.best_f1, one.best_threshold)),
            )
            for one in found
        ],
    )
    click.echo("\nThresholds for shares of harmless texts that may be flagged:")
    show_rows(
        ("category", "share", "threshold", "found"),
        [
            (one.category, _share(at.rate), f"{at.threshold:.3f}", _share(at.recall))
            for one in found
            for at in one.at_rates
        ],
    )
    click.echo("\nWhat the shipped thresholds do:")
    show_rows(
        ("category", "severity", "threshold", "hits", "false alarms", "missed", "passed", "precision", "recall"),
        [_level_cells(one, level) for one in found for level in one.at_levels],
    )
    click.echo("\nPrecision (height) over recall (0 to 100 %, left to right):")
    encoding = (getattr(sys.stdout, "encoding", "") or "").lower().replace("-", "")
    for one in found:
        click.echo(f"{one.category.ljust(9)} |{line_of(one.curve, plain=not encoding.startswith('utf'))}|")


def _level_cells(one: Figures, level: str) -> tuple[object, ...]:
    threshold, counts = one.at_levels[level]
    shares = f"{counts.precision:.3f}", f"{counts.recall:.3f}"
    hits, false_alarms, missed, passed = counts
    return one.category, level, f"{threshold:.3f}", hits, false_alarms, missed, passed, *shares


def _share(value: float) -> str:
    return f"{value * 100:.4g} %"
