"""Who may spend how much, decided in memory.

Theory of operation
-------------------
A request is held on every budget of its chain (key, user, team, organisation) and on the organisation's purse, at its
worst case, before anything is sent upstream. `take` looks at all of them first and then takes from all of them; as
nothing here awaits, no other request can come between the look and the taking, and that is the whole of the proof that
concurrent requests cannot overspend. `settle` and `release` give back on exactly what was taken, which the grip
remembers: a key that has moved or a budget that has changed meanwhile makes no difference to it.

A purse is money: what was credited less what was charged, `posted`. A window is one period of one budget: what was
charged in it, `spent`. Both carry what open holds have taken, `held`. A charge counts in the window in which its hold
was taken, also when it is settled after midnight.

The database follows through the journal; it is never asked. Amounts are nano-USD.
"""

from collections.abc import Mapping
from typing import Final

from tollhouse.ledger.budgets import FOREVER_S, window_of
from tollhouse.types.tenancy import Budget, Chain, Node

_KEPT_WINDOWS: Final = 4
"""Past windows that a node keeps: a wall clock that steps back finds what was spent then."""


class Purse:
    """The money of one organisation."""

    __slots__ = ("account", "allow_debt", "held", "posted")

    def __init__(self, account: int, posted: int, *, allow_debt: bool) -> None:
        self.account = account
        self.posted = posted
        self.held = 0
        self.allow_debt = allow_debt

    @property
    def available(self) -> int | None:
        """What a further hold may take; None where the organisation may owe."""
        return None if self.allow_debt else max(0, self.posted - self.held)


class Window:
    """One period of one budget. ``limit`` is the budget's at the moment."""

    __slots__ = ("end_s", "held", "limit", "node", "spent", "start_s")

    def __init__(self, node: int, limit: int, span: tuple[int, int], spent: int) -> None:
        self.node = node
        self.limit = limit
        self.start_s, self.end_s = span
        self.spent = spent
        self.held = 0

    @property
    def available(self) -> int:
        """What a further hold may take."""
        return max(0, self.limit - self.spent - self.held)


class Bounds:
    """What binds a chain from one moment to another: computed once for each period, not for each request."""

    __slots__ = ("from_s", "places", "purse", "until_s", "windows")

    def __init__(self, purse: Purse, windows: tuple[Window, ...]) -> None:
        self.purse = purse
        self.windows = windows
        self.places = _places(windows)
        self.from_s = max([window.start_s for window in windows], default=-FOREVER_S)
        self.until_s = min([window.end_s for window in windows], default=FOREVER_S)

    @property
    def available(self) -> int | None:
        """The most that a hold could take; None where nothing bounds it."""
        purse = self.purse
        bound, least = not purse.allow_debt, purse.posted - purse.held
        for window in self.windows:
            left = window.limit - window.spent - window.held
            if not bound or left < least:
                bound, least = True, left
        return max(least, 0) if bound else None


class Grip:
    """What one hold has taken, and where."""

    __slots__ = ("amount", "chain", "places", "purse", "windows")

    def __init__(self, chain: Chain, bounds: Bounds, amount: int) -> None:
        self.chain = chain
        self.purse = bounds.purse
        self.windows = bounds.windows
        self.places = bounds.places
        """The node and the start of each window, as `types.ledger.Spend` names them."""
        self.amount = amount

    def rebind(self, windows: tuple[Window, ...]) -> None:
        """Counts in these windows from now on."""
        self.windows = windows
        self.places = _places(windows)


class Shortage(Exception):
    """A hold was not taken: ``available`` is what it might have taken. ``window`` is the budget that binds, None where
    it is the purse.
    """

    def __init__(self, available: int, window: Window | None) -> None:
        super().__init__()
        self.available = available
        self.window = window


class _Meter:
    """One node's budget and its windows, newest last."""

    __slots__ = ("budget", "windows")

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.windows: list[Window] = []


class Wallet:
    """Every purse and every budget. Wall-clock seconds come in as ``now_s``."""

    def __init__(self, spent: Mapping[tuple[int, int], int] | None = None) -> None:
        self.purses: dict[int, Purse] = {}
        """By the number of the organisation's node."""
        self._meters: dict[int, _Meter] = {}
        self._bounds: dict[tuple[int, ...], Bounds] = {}
        self._spent = dict(spent or {})
        """By node and start: what the database knew of windows at start, and what became of those let go since."""

    # --- what binds ------------------------------------------------------------------------------------------

    def set_purse(self, org: int, purse: Purse) -> None:
        """An organisation's money, at start or when the organisation is made."""
        self.purses[org] = purse
        self._bounds.clear()

    def set_budgets(self, nodes: Mapping[int, Node]) -> list[int]:
        """Follows the tree. Returns the nodes whose budget is new, or counts by other periods than before: what they
        have spent in the current one has to be found out and added to its window.
        """
        meters: dict[int, _Meter] = {}
        fresh = []
        for number, node in nodes.items():
            if node.budget is None:
                continue
            known = self._meters.get(number)
            if known is not None and _same_periods(known.budget, node.budget):
                meters[number] = known
                known.budget = node.budget
                for window in known.windows:
                    window.limit = node.budget.limit_nusd
            else:
                meters[number] = _Meter(node.budget)
                fresh.append(number)
        self._meters = meters
        self._bounds.clear()
        return fresh

    def forget(self, node: int) -> None:
        """What was known of a node's spending at start no longer holds."""
        self._spent = {place: amount for place, amount in self._spent.items() if place[0] != node}

    def window(self, node: int, now_s: float) -> Window:
        """The window of a node's budget that a moment lies in. Raises KeyError where the node has no budget."""
        meter = self._meters[node]
        for window in reversed(meter.windows):
            if window.start_s <= now_s < window.end_s:
                return window
        span = window_of(meter.budget, now_s)
        window = Window(node, meter.budget.limit_nusd, span, self._spent.get((node, span[0]), 0))
        self._bounds.clear()
        windows = sorted([*meter.windows, window], key=_start)
        old = [kept for kept in windows[:-_KEPT_WINDOWS] if not kept.held and kept is not window]
        self._spent.update({(node, gone.start_s): gone.spent for gone in old})
        meter.windows = [kept for kept in windows if kept not in old]
        return window

    def bounds(self, chain: Chain, now_s: float) -> Bounds:
        """What binds a chain at a moment."""
        bounds = self._bounds.get(chain.nodes)
        if bounds is None or not bounds.from_s <= now_s < bounds.until_s:
            found = [self.window(node, now_s) for node in chain.nodes if node in self._meters]
            bounds = self._bounds[chain.nodes] = Bounds(self.purses[chain.payer], tuple(found))
        return bounds

    def windows(self, chain: Chain, now_s: float) -> tuple[Window, ...]:
        """The windows that bind a chain, the key's first."""
        return self.bounds(chain, now_s).windows

    def available(self, chain: Chain, now_s: float) -> int | None:
        """The most that a hold of this chain could take now; None where nothing bounds it."""
        return self.bounds(chain, now_s).available

    # --- holds -----------------------------------------------------------------------------------------------

    def take(self, chain: Chain, amount: int, now_s: float) -> Grip:
        """Holds an amount on the whole chain, or on none of it. Zero always passes. Raises `Shortage`."""
        bounds = self.bounds(chain, now_s)
        purse, windows = bounds.purse, bounds.windows
        if amount:
            room = purse.available
            if room is not None and amount > room:
                raise Shortage(room, None)
            for window in windows:
                if amount > window.limit - window.spent - window.held:
                    raise Shortage(window.available, window)
            purse.held += amount
            for window in windows:
                window.held += amount
        return Grip(chain, bounds, amount)

    def take_money(self, org: int, amount: int) -> Grip:
        """Holds an organisation's money for a movement. That is no spending: no budget binds it or counts it. Raises
        `Shortage`.
        """
        purse = self.purses[org]
        room = purse.available
        if room is not None and amount > room:
            raise Shortage(room, None)
        purse.held += amount
        return Grip(Chain(0, (), org), Bounds(purse, ()), amount)

    def bind(self, grip: Grip, window: Window, taken_at_s: float) -> None:
        """Puts a hold that is open under a budget that is new, in place of the one that the node had: its charge will
        count if it was taken in the period.
        """
        if window.node not in grip.chain.nodes:
            return
        windows = [kept for kept in grip.windows if kept.node != window.node]
        if window.start_s <= taken_at_s < window.end_s:
            window.held += grip.amount
            windows.append(window)
        grip.rebind(tuple(windows))

    def settle(self, grip: Grip, charge: int) -> None:
        """Turns a hold into a charge of at most its amount. Once for each grip: `ledger.ledger` sees to that."""
        purse = grip.purse
        purse.held -= grip.amount
        purse.posted -= charge
        for window in grip.windows:
            window.held -= grip.amount
            window.spent += charge

    def give_back(self, grip: Grip, charge: int, taken_at_s: float) -> None:
        """Undoes a settled charge, in the budgets as they are now: one that is new has counted it too."""
        grip.purse.posted += charge
        grip.rebind(self._windows_at(grip.chain, taken_at_s))
        for window in grip.windows:
            window.spent -= charge

    def _windows_at(self, chain: Chain, at_s: float) -> tuple[Window, ...]:
        """The windows of a moment that there are. One that was made now would have counted nothing."""
        meters = [self._meters[node] for node in chain.nodes if node in self._meters]
        return tuple([window for meter in meters for window in meter.windows if window.start_s <= at_s < window.end_s])


def _places(windows: tuple[Window, ...]) -> tuple[tuple[int, int], ...]:
    return tuple([(window.node, window.start_s) for window in windows])


def _start(window: Window) -> int:
    return window.start_s


def _same_periods(one: Budget, other: Budget) -> bool:
    return (one.period, one.zone) == (other.period, other.zone)
