"""The script that compiles the catalogue: exact prices, no silent loss, the file that the package reads."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tollhouse.catalog.store import Catalogue
from tollhouse.types.calls import Prices, PriceTier

SCRIPT = Path(__file__).parents[2] / "scripts" / "compile-catalog"
TABLES = "[hosts]\n[makers]\n"


def facts(cost: dict[str, Any], kinds: tuple[str, ...] = ("text", "pdf")) -> dict[str, Any]:
    """A snapshot of one host with one model."""
    model = {
        "name": "M",
        "cost": cost,
        "limit": {"context": 10, "output": 0},
        "modalities": {"input": list(kinds), "output": ["text"]},
        "tool_call": True,
        "reasoning": False,
        "temperature": False,
        "release_date": "2026-01-02",
    }
    host = {
        "name": "A",
        "api": "https://a.example/v1",
        "doc": "d",
        "env": ["A_KEY"],
        "wire": "@ai-sdk/openai-compatible",
    }
    return {"source": "test", "providers": {"a": {**host, "models": {"m": model}}}}


def compile_facts(folder: Path, snapshot: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Runs the script on a snapshot."""
    source, target = folder / "facts.json", folder / "models.json"
    source.write_text(snapshot)
    run = subprocess.run(  # noqa: S603  our own script
        [sys.executable, str(SCRIPT), str(source), str(target)], capture_output=True, text=True, check=False, timeout=60
    )
    return run, target


def test_prices_are_made_without_floats(tmp_path: Path) -> None:
    """A price is read digit by digit: what a float would blur is exact, and its noise is rounded away."""
    text = json.dumps(facts({"input": 1, "output": 2})).replace('"input": 1', '"input": 0.0375')
    text = text.replace('"output": 2', '"output": 0.049999999999999996')
    run, target = compile_facts(tmp_path, text)
    assert run.returncode == 0, run.stderr
    catalogue = Catalogue(target.read_bytes(), TABLES)
    model = catalogue.models("a")["m"]
    assert model.prices == Prices(input=37_500, output=50_000)
    assert (model.tools, model.temperature, model.context_tokens, model.output_tokens) == (True, False, 10, None)
    assert model.input_kinds == ("text", "pdf")


def test_every_class_of_price_is_kept(tmp_path: Path) -> None:
    """Tiers, misspelt classes and charges of unknown unit all reach the shipped file."""
    tiers = [{"input": 3, "output": 4, "tier": {"size": 200_000}}, {"input": 2, "tier": {"size": 100_000}}]
    run, target = compile_facts(
        tmp_path, json.dumps(facts({"input": 1, "cached_input": 2, "request": 5, "tiers": tiers}))
    )
    assert run.returncode == 0, run.stderr
    catalogue = Catalogue(target.read_bytes(), TABLES)
    assert catalogue.models("a")["m"].prices == Prices(input=1_000_000, cache_read=2_000_000)
    assert catalogue.models("a")["m"].tiers == (
        PriceTier(100_000, Prices(input=2_000_000)),
        PriceTier(200_000, Prices(input=3_000_000, output=4_000_000)),
    )
    assert catalogue.models("a")["m"].unstated_prices == ("request",)


@pytest.mark.parametrize(
    "snapshot", [facts({"input": -1}), facts({"surcharge": 1}), facts({"input": 1}, kinds=("text", "smell"))]
)
def test_what_is_not_understood_stops_the_script(tmp_path: Path, snapshot: dict[str, Any]) -> None:
    """A negative price, an unknown class or an unknown kind of content is never dropped in silence."""
    run, target = compile_facts(tmp_path, json.dumps(snapshot))
    assert run.returncode != 0
    assert not target.exists()
