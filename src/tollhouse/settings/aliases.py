"""``[models]``: the operator's own names for models.

Called by `config`. What a target leads to is known only once the hosts are (`catalog.names`); here a name must be well
formed, a pinned host must exist, and no name may lead back to itself.
"""

from collections.abc import Mapping
from typing import Any

from tollhouse.settings.prices import PICO_PER_USD_PER_1M
from tollhouse.settings.reading import Problems, closest, describe, keys, read_table
from tollhouse.settings.routing import AliasKeys, RouteEntry, RoutePolicy, TargetKeys

MAX_NAME_CHARS = 256
_PER_1M = "_usd_per_1m"


def is_model_name(name: str) -> bool:
    """Whether a name can stand for a model in a request: visible ASCII, and no ``#``, which pins a host."""
    return 0 < len(name) <= MAX_NAME_CHARS and all("!" <= c <= "~" for c in name) and "#" not in name


def read_routes(tables: object, hosts: set[str], problems: Problems) -> dict[str, RoutePolicy]:
    """The operator's names for models; every name they lead to exists as far as settings alone can tell."""
    if not isinstance(tables, dict):
        problems.add("models", f"expected a table, got {describe(tables)}", "write [models]")
        return {}
    found = {}
    for name, row in tables.items():
        path = f"models.{name}"
        policy = _policy(row, path, problems)
        if not is_model_name(name) or "*" in name[:-1]:
            problems.add(path, "not a usable name", "visible ASCII without #; a star only at the end")
        for index, entry in enumerate(policy.entries):
            _check_target(name, entry.target, f"{path}.targets[{index}]", hosts, problems)
        found[name] = policy
    aliases = plain_aliases(found)
    for name in found:
        loop = _loop(name, aliases)
        if loop:
            problems.add(f"models.{name}", f"leads back to itself: {' -> '.join(loop)}", "name a host: openai/gpt-4o")
    return found


def plain_aliases(routes: Mapping[str, RoutePolicy]) -> dict[str, tuple[str, ...]]:
    """What each name stands for, by rising priority number and else as written."""
    return {
        name: tuple([entry.target for entry in sorted(policy.entries, key=lambda entry: entry.priority)])
        for name, policy in routes.items()
    }


def _policy(row: object, path: str, problems: Problems) -> RoutePolicy:
    """An alias, written as one name, as a list, or as a table with ``targets``."""
    if isinstance(row, str):
        return RoutePolicy((RouteEntry(row),))
    if not isinstance(row, dict | list):
        problems.add(path, f"expected a string, list or table, got {describe(row)}", f'write "{path}" = "host/model"')
        return RoutePolicy()
    targets: object = row
    stated: dict[str, Any] = {}
    if isinstance(row, dict):
        for name in row.keys() - {"targets"} - {spec.name for spec in keys(AliasKeys)}:
            problems.unknown(f"{path}.{name}", name, ["targets", *[spec.name for spec in keys(AliasKeys)]])
            row = {key: value for key, value in row.items() if key != name}
        targets = row.get("targets")
        stated = read_table(AliasKeys, {k: v for k, v in row.items() if k != "targets"}, path, problems)
    for name in [name for name in stated if name.endswith(_PER_1M)]:
        pico = stated.pop(name) * PICO_PER_USD_PER_1M
        if pico != int(pico):
            problems.add(f"{path}.{name}", "finer than six decimals", "round it; it is per 1M tokens")
        stated[name.removesuffix(_PER_1M) + "_pusd"] = int(pico)
    _check_patterns(stated, path, problems)
    return RoutePolicy(_entries(targets, f"{path}.targets", problems), **stated)


def _check_patterns(stated: Mapping[str, Any], path: str, problems: Problems) -> None:
    for name in ("allow", "deny"):
        for index, pattern in enumerate(stated.get(name, ())):
            if not is_model_name(pattern):
                problems.add(f"{path}.{name}[{index}]", "not a pattern", 'write "host/model", "host/*" or "*mini*"')


def _entries(targets: object, path: str, problems: Problems) -> tuple[RouteEntry, ...]:
    if not isinstance(targets, list) or not targets or not all(isinstance(t, str | dict) for t in targets):
        problems.add(path, "expected a list of at least one model name", 'write targets = ["host/model"]')
        return ()
    entries = []
    for index, target in enumerate(targets):
        if isinstance(target, str):
            entries.append(RouteEntry(target))
            continue
        where = f"{path}[{index}]"
        stated = read_table(TargetKeys, target, where, problems)
        if "model" not in stated:
            if "model" not in target:
                problems.add(f"{where}.model", "missing", 'write { model = "host/model", weight = 2 }')
            continue
        entries.append(RouteEntry(stated["model"], stated.get("weight", 1), stated.get("priority", 0)))
    if entries and not any(entry.weight for entry in entries):
        problems.add(path, "every weight is 0", "give one of them a weight")
    return tuple(entries)


def _check_target(alias: str, target: str, path: str, hosts: set[str], problems: Problems) -> None:
    model, pinned, host = target.rpartition("#")
    if not is_model_name(model if pinned else target):
        problems.add(path, "not a model name", 'write "host/model", "model#host" or a model\'s name')
    elif pinned and host not in hosts:
        close = closest(host, hosts)
        problems.add(
            path, f"no host named {host!r}", f"did you mean {close!r}?" if close else "declare it in [providers]"
        )
    elif "*" in target and not (target.endswith("/*") and target.count("*") == 1 and alias.endswith("*")):
        problems.add(path, "a star here needs a pattern as the alias", 'write "gpt-*" = "openai/*"')


def _loop(start: str, aliases: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The way from an alias back to itself, or nothing."""
    trail: dict[str, list[str]] = {start: [start]}
    queue = [start]
    while queue:
        here = queue.pop()
        for target in aliases[here]:
            if target == start:
                return [*trail[here], start]
            if target in aliases and target not in trail:
                trail[target] = [*trail[here], target]
                queue.append(target)
    return []
