"""``[models]``: the operator's own names for models.

Called by `config`. What a target leads to is known only once the hosts are (`catalog.names`); here a name must be well
formed, a pinned host must exist, and no name may lead back to itself.
"""

from collections.abc import Mapping

from tollhouse.settings.reading import Problems, closest, describe

MAX_NAME_CHARS = 256


def is_model_name(name: str) -> bool:
    """Whether a name can stand for a model in a request: visible ASCII, and no ``#``, which pins a host."""
    return 0 < len(name) <= MAX_NAME_CHARS and all("!" <= c <= "~" for c in name) and "#" not in name


def read_aliases(tables: object, hosts: set[str], problems: Problems) -> dict[str, tuple[str, ...]]:
    """The operator's names for models; every name they lead to exists as far as settings alone can tell."""
    if not isinstance(tables, dict):
        problems.add("models", f"expected a table, got {describe(tables)}", "write [models]")
        return {}
    found = {}
    for name, row in tables.items():
        path = f"models.{name}"
        targets = _targets(row, path, problems)
        if not is_model_name(name) or "*" in name[:-1]:
            problems.add(path, "not a usable name", "visible ASCII without #; a star only at the end")
        for index, target in enumerate(targets):
            _check_target(name, target, f"{path}.targets[{index}]", hosts, problems)
        found[name] = targets
    for name in found:
        loop = _loop(name, found)
        if loop:
            problems.add(f"models.{name}", f"leads back to itself: {' -> '.join(loop)}", "name a host: openai/gpt-4o")
    return found


def _targets(row: object, path: str, problems: Problems) -> tuple[str, ...]:
    """The targets, written as one name, as a list, or as a table with ``targets``."""
    if isinstance(row, str):
        return (row,)
    if not isinstance(row, dict | list):
        problems.add(path, f"expected a string, list or table, got {describe(row)}", f'write "{path}" = "host/model"')
        return ()
    targets: object = row
    if isinstance(row, dict):
        for name in row.keys() - {"targets"}:
            problems.unknown(f"{path}.{name}", name, ["targets"])
        targets = row.get("targets")
    if not isinstance(targets, list) or not targets or not all(isinstance(t, str) for t in targets):
        problems.add(f"{path}.targets", "expected a list of at least one model name", 'write targets = ["host/model"]')
        return ()
    return tuple(targets)


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
