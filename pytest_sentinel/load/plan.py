"""What a class of browser users wants, how many fit, and when they start. Pure.

Terms are read once from the attributes of the class, and refused at birth when one makes no sense.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pytest_sentinel.addresses import parse_services
from pytest_sentinel.errors import SettingError
from pytest_sentinel.units import MIB

ENGINES: Final = ("chromium", "firefox", "webkit")
SLOT_MEMORY: Final = 160 * MIB  # a context with an ordinary page, and its share of a browser
SLOTS_PER_CORE: Final = 2
SLOTS_PER_BROWSER: Final = 4
_GOLDEN: Final = 0.618034  # multiples of it, without their whole part, never lie close together
_LONGEST_SPREAD: Final = 30.0
_ANSWER: Final = 10.0  # seconds in which a service says no, and a context opens and closes


@dataclass(frozen=True, slots=True)
class Terms:
    """What a class of browser users was told. Durations are seconds.

    Attributes:
        isolation: ``iteration``: each begins with nothing; ``user``: cookies and storage of a user
            go on from one iteration to the next.
        artifacts: ``first-failure``: a screenshot of the first failure of each step name and a
            trace of the next; ``trace``: a trace of the first, too, at the price of tracing all
            iterations until then; ``off``.
        lease_timeout: how long an iteration waits for a browser.
        step_timeout: how long Playwright waits for one action.
        iteration_timeout: how long an iteration may take altogether.
        context_options: more for Playwright's ``new_context``.

    Raises:
        SettingError: a value is bad.
    """

    browser: str = "chromium"
    isolation: str = "iteration"
    artifacts: str = "first-failure"
    vitals: bool = True
    lease_timeout: float = 30.0
    step_timeout: float = 30.0
    iteration_timeout: float = 300.0
    context_options: Mapping[str, Any] = field(default_factory=dict)
    storage_state: Any = None

    def __post_init__(self) -> None:
        _one_of("browser", self.browser, ENGINES)
        _one_of("isolation", self.isolation, ("iteration", "user"))
        _one_of("artifacts", self.artifacts, ("first-failure", "trace", "off"))
        for name in ("lease_timeout", "step_timeout", "iteration_timeout"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or value <= 0:
                raise SettingError(name, value, "is not more than zero seconds", "30")


def terms_of(cls: type) -> Terms:
    """Return the terms in the attributes of ``cls``.

    Raises:
        SettingError: one of them is bad.
    """
    names = Terms.__dataclass_fields__
    return Terms(**{name: getattr(cls, name) for name in names if hasattr(cls, name)})


def check_pool(pool: object) -> str:
    """Return ``pool`` if it is ``auto`` or a list of services.

    Raises:
        SettingError: it is neither.
    """
    if pool == "auto":
        return "auto"
    try:
        parse_services(str(pool))
    except ValueError as error:
        raise SettingError("pool", pool, str(error), "auto, or ws://127.0.0.1:9323") from None
    return str(pool)


def longest(terms: Terms, pool: str) -> float:
    """Return the seconds after which an iteration has ended, whatever happened to it."""
    services = 1 if pool in ("", "auto") else len(pool.split(","))
    return (
        terms.lease_timeout + services * (terms.lease_timeout + _ANSWER) + terms.iteration_timeout
    )


def default_slots(cores: int, memory: int, share: int) -> int:
    """Return how many iterations one sidecar runs at once.

    More than two for each core only wait for each other inside the browser.

    Args:
        cores: of this machine, or of its control group.
        memory: bytes that are left.
        share: sidecars among which the machine is divided.
    """
    by_cores = cores * SLOTS_PER_CORE
    by_memory = memory // SLOT_MEMORY
    return max(1, min(by_cores, by_memory) // max(1, share))


def browsers_for(slots: int) -> tuple[int, int]:
    """Return how many browsers hold ``slots``, and how many contexts each holds at most."""
    browsers = -(-slots // SLOTS_PER_BROWSER)
    return browsers, -(-slots // browsers)


def first_start(number: int, period: float) -> float:
    """Return how long the ``number``-th user waits before its first iteration.

    Users that begin in the same moment slow each other; these lie evenly within ``period`` seconds
    at any number of them (multiples of the golden ratio).
    """
    return (number * _GOLDEN % 1) * min(max(0.0, period), _LONGEST_SPREAD)


class Arrivals:
    """The intended starts of an open workload: so many a second, whether anybody is free or not.

    Law: each start that was intended is taken once, or dropped once. ``now`` is any monotonic
    clock, in seconds.
    """

    def __init__(self, rate: float, patience: float, now: float) -> None:
        self.rate = rate
        self._patience = patience
        self._next = now

    def due(self, now: float) -> float | None:
        """Take the earliest intended start that is due and not too late; None if there is none."""
        if self.rate <= 0 or self._next > now:
            return None
        intended = self._next
        self._next += 1 / self.rate
        return intended

    def overdue(self, now: float, patience: float | None = None) -> int:
        """Drop the starts that nobody took in time, or within ``patience``; return how many."""
        if self.rate <= 0:
            return 0
        allowed = self._patience if patience is None else patience
        behind = now - allowed - self._next
        if behind < 0:
            return 0
        late = int(behind * self.rate) + 1
        self._next += late / self.rate
        return late

    def wait(self, now: float) -> float:
        """Return the seconds until the next start is due."""
        return max(0.0, self._next - now) if self.rate > 0 else _LONGEST_SPREAD

    def change(self, rate: float, now: float) -> None:
        """Go on at another rate: what is due stays due."""
        if rate != self.rate:
            if self.rate <= 0 or self._next > now:
                self._next = now
            self.rate = rate


def steps_in(function: Any) -> list[str]:
    """Return the names of the steps that the source of a scenario shows, in order.

    A name that is made up as it runs is shown as ``(computed)``.
    """
    import ast
    import textwrap

    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return []
    found: list[tuple[int, int, str]] = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.AsyncWith):
            continue
        for item in node.items:
            call = item.context_expr
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "step":
                name = call.args[0] if call.args else None
                is_text = isinstance(name, ast.Constant) and isinstance(name.value, str)
                shown = str(getattr(name, "value", "")) if is_text else "(computed)"
                found.append((call.lineno, call.col_offset, shown))
    return list(dict.fromkeys(name for _, _, name in sorted(found)))


def _one_of(name: str, value: object, good: tuple[str, ...]) -> None:
    if value not in good:
        raise SettingError(name, value, f"is none of {', '.join(good)}", good[0])
