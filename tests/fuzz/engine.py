"""The fuzzer: makes cases from numbers, checks them, and reduces the first that fails.

A case is a tuple of byte strings, for most targets the pieces in which they arrive. It is made by `random.Random` from
the target's name and a number, so that the number is the seed: it alone brings a case back.
"""

import asyncio
import shlex
import traceback
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, suppress
from random import Random
from typing import Any, Protocol

Case = tuple[bytes, ...]

PATIENCE_S = 20.0
"""A case that takes longer hangs."""
_SHRINK_TRIES = 600


class Target(Protocol):
    """Something under test. ``fixed``: so many first members of a case are choices, which are not reduced."""

    fixed: int

    def make(self, random: Random) -> Case:
        """A case."""

    async def check(self, case: Case) -> None:
        """Raises AssertionError, or whatever the code under test should not have raised."""


class Opener(Protocol):
    """Makes a target; leaving the context checks and frees what all cases shared."""

    def __call__(self) -> AbstractAsyncContextManager[Target]:
        """The target."""


class Broken(AssertionError):
    """A case that fails: its number, the error, and the smallest case that fails in the same way."""


def chance(*seed: object) -> Random:
    """Repeatable chance."""
    return Random(":".join(map(str, seed)))  # noqa: S311 - chance for tests


async def fuzz(name: str, target: Target, first: int, *, count: int = 1 << 60, seconds: float = 1e9) -> int:
    """Checks the cases ``first``, ``first + 1`` ... until one of the bounds; returns how many. Raises `Broken`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    number = first
    while number < first + count and (loop.time() < deadline or number == first):
        case = target.make(chance(name, number))
        error = await attempt(target, case)
        if error is not None:
            raise Broken(await describe(name, number, target, case, error)) from error
        number += 1
        await asyncio.sleep(0)
    return number - first


async def attempt(target: Target, case: Case) -> Exception | None:
    """What is wrong with a case: an exception of the check, a hang, or one that only the event loop saw."""
    loop = asyncio.get_running_loop()
    overheard: list[dict[str, Any]] = []
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: overheard.append(context))
    try:
        async with asyncio.timeout(PATIENCE_S):
            await target.check(case)
    except Exception as error:  # noqa: BLE001 - any exception is a finding
        return error
    finally:
        loop.set_exception_handler(before)
    if overheard:
        found = overheard[0].get("exception")
        return found if isinstance(found, Exception) else AssertionError(f"the event loop saw: {overheard[0]}")
    return None


async def describe(name: str, number: int, target: Target, case: Case, error: Exception) -> str:
    """The report of a failure, with the commands that repeat it."""
    small = await shrink(target, case, error)
    trace = "".join(traceback.format_exception(error)[-6:])
    return (
        f"{trace}\n{name}: case {number} fails. Repeat it with\n"
        f"    scripts/fuzz --only {name} --seed {number} --count 1\n"
        f"or, reduced from {sum(map(len, case))} to {sum(map(len, small))} bytes, with\n"
        f"    scripts/fuzz --only {name} --case {shlex.quote(repr(small))}"
    )


async def shrink(target: Target, case: Case, error: Exception) -> Case:
    """The smallest case found that fails in the same way."""
    if isinstance(error, TimeoutError):  # each try would take as long again
        return case
    wanted = signature(error)
    tries = 0
    progress = True
    while progress:
        progress = False
        for smaller in reductions(case, target.fixed):
            if tries >= _SHRINK_TRIES:
                return case
            tries += 1
            if signature(await attempt(target, smaller)) == wanted:
                case, progress = smaller, True
                break
    return case


def signature(error: Exception | None) -> tuple[object, ...]:
    """What makes two failures the same: the class, and the line that raised it."""
    if error is None:
        return ()
    frames = traceback.extract_tb(error.__traceback__)
    return type(error), *((frames[-1].filename, frames[-1].lineno) if frames else ())


def reductions(case: Case, fixed: int) -> Iterator[Case]:
    """Cases with a little less: without a piece, two pieces as one, a piece with bytes cut out; large cuts first."""
    if len(case) > fixed + 1:
        yield (*case[:fixed], b"".join(case[fixed:]))
    for index in range(fixed, len(case)):
        yield case[:index] + case[index + 1 :]
    for index in range(fixed, len(case) - 1):
        yield (*case[:index], case[index] + case[index + 1], *case[index + 2 :])
    size = max(map(len, case[fixed:]), default=0)
    while size := size // 2:
        for index in range(fixed, len(case)):
            piece = case[index]
            for start in range(0, len(piece), size):
                yield (*case[:index], piece[:start] + piece[start + size :], *case[index + 1 :])


async def settle(turns: int = 8) -> None:
    """Lets callbacks that are due run."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def wind_down(tasks: set["asyncio.Task[Any]"], within_s: float = 5.0) -> None:
    """Waits until no tasks run but these; AssertionError when others stay."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while asyncio.all_tasks() - tasks:  # noqa: ASYNC110 - tasks of others have no event to wait for
                await asyncio.sleep(0.01)
    assert not asyncio.all_tasks() - tasks, asyncio.all_tasks() - tasks
