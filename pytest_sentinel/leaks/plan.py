"""How often a scenario runs, and for what: the warm-up, sampled cycles, two windows for snapshots.

``iterations`` is the most that is run, all phases together. What takes more than that to judge is
not judged. No page and no clock here; repeat.py carries a plan out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pytest_sentinel.errors import SettingError
from pytest_sentinel.units import parse_duration

BUDGET = 30.0  # seconds that a check may take
WARM_UP = 8  # the virtual machine compiles what runs often, pages fill their small caches
CYCLE = 4
CYCLES = 2  # sampled at least; CYCLES_UNSURE at most
CYCLES_UNSURE = 5
WINDOWS = (5, 7)  # coprime, so that noise of any period cannot imitate one object per iteration
LONG_WINDOWS = (15, 21)
BURST_LEAST = 12  # iterations before an accusation, so that caches fill

FEWEST_CLEAN = 8  # iterations; in fewer a page that stands still may be one that has yet to start
FEWEST_LEAK = WARM_UP + CYCLES * CYCLE + BURST_LEAST + sum(WINDOWS)
UNEVEN = FEWEST_LEAK + sum(LONG_WINDOWS)  # for what does not grow with every iteration


@dataclass(frozen=True, slots=True)
class Plan:
    """The iterations of one check.

    Attributes:
        most: of all phases together; None when nobody set a limit.
        warm_up: before the first sample.
        cycle: between two samples.
    """

    most: int | None
    warm_up: int = WARM_UP
    cycle: int = CYCLE

    @property
    def finds_leaks(self) -> bool:
        """Whether there are enough to tell a leak from a cache that fills."""
        return self.most is None or self.most >= FEWEST_LEAK

    @property
    def finds_clean(self) -> bool:
        """Whether there are enough to call a page clean that stands still."""
        return self.most is None or self.most >= FEWEST_CLEAN

    @property
    def kept_back(self) -> int:
        """How many are kept for what follows a suspicion."""
        return BURST_LEAST + sum(WINDOWS) if self.finds_leaks else 0

    def left(self, ran: int) -> int | None:
        """Return how many may still run; None when nobody set a limit."""
        return None if self.most is None else max(0, self.most - ran)

    def allows(self, more: int, ran: int) -> bool:
        """Tell whether ``more`` may run after ``ran``."""
        return self.most is None or ran + more <= self.most


def plan_for(most: int | None) -> Plan:
    """Divide ``most`` iterations among the phases."""
    if most is None:
        return Plan(None)
    if most >= FEWEST_LEAK:
        spare = most - WARM_UP - BURST_LEAST - sum(WINDOWS)
        return Plan(most, WARM_UP, max(CYCLE, spare // 4))
    warm_up = min(WARM_UP, most // 2)
    return Plan(most, warm_up, max(1, min(CYCLE, (most - warm_up) // CYCLES)))


def checked(
    *,
    iterations: object = "auto",
    budget: object = BUDGET,
    clock: object = None,
    settle: object = None,
    allow: object = (),
) -> tuple[Plan, float, float | None]:
    """Return the plan, the seconds of the budget, and those that the clock moves each time.

    Raises:
        SettingError: an argument makes no sense.
    """
    if settle is not None and settle != 0:
        _seconds("settle", None if isinstance(settle, str) else settle, "2.0")
    if isinstance(allow, str) or not all(isinstance(glob, str) for glob in _listed(allow)):
        raise SettingError("allow", allow, "is no list of patterns", "['window.app.cache*']")
    if iterations == "auto":
        plan = plan_for(None)
    elif isinstance(iterations, int) and not isinstance(iterations, bool) and iterations > 0:
        plan = plan_for(iterations)
    else:
        raise SettingError("iterations", iterations, "is no number of iterations", "50 or 'auto'")
    moved = None if clock is None else _seconds("clock", clock, "'5s'")
    return plan, _seconds("budget", budget, "30 or '2 m'"), moved


def _listed(allow: object) -> list[object]:
    try:
        return list(allow)  # type: ignore[call-overload, no-any-return]
    except TypeError:
        return [None]


def _seconds(name: str, value: object, good: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise SettingError(name, value, "is no duration", good)
    try:
        seconds = parse_duration(value)
    except ValueError:
        raise SettingError(name, value, "is no duration", good) from None
    if not 0 < seconds < math.inf:
        raise SettingError(name, value, "is not more than zero", good)
    return seconds
