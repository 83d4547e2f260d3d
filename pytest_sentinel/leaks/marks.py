"""What is wrong with a marker of ours, in words that show a good one. Pure: looks at values alone.

The markers of memory are judged by ``memory.limits``. Which test has a marker, and what becomes
of the run, is for ``markers`` to say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from pytest_sentinel.errors import shown
from pytest_sentinel.leaks.leftovers import KINDS
from pytest_sentinel.units import parse_duration

FEWEST: Final = 8
"""Iterations. In fewer, a page that stands still may be one that has yet to start."""
LONGEST_SETTLE: Final = 60.0
"""Seconds, for one sample. More is a time in milliseconds."""
_LONGEST: Final = 86_400.0

_GOOD_ALLOW: Final = 'write @pytest.mark.allow_leak("context", reason="the app keeps it")'
_GOOD_CHECK: Final = "write @pytest.mark.leak_check or @pytest.mark.leak_check(iterations=20)"
_GOOD_FRESH: Final = "write @pytest.mark.fresh_browser"


def fault_of_allow_leak(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return what is wrong with an ``allow_leak``; empty if nothing is."""
    if len(args) != 1 or not isinstance(args[0], str) or args[0] not in KINDS:
        return f"allow_leak takes one kind of {', '.join(KINDS)}; {_GOOD_ALLOW}"
    reason = kwargs.get("reason")
    if len(kwargs) != 1 or not (isinstance(reason, str) and reason.strip()):
        return f"allow_leak must give a reason; {_GOOD_ALLOW}"
    return ""


def fault_of_fresh_browser(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return what is wrong with a ``fresh_browser``; empty if nothing is."""
    if not args and not kwargs:
        return ""
    given = [*map(shown, args), *(f"{name}={shown(value)}" for name, value in kwargs.items())]
    return f"fresh_browser takes no arguments, not {', '.join(given)}; {_GOOD_FRESH}"


def fault_of_leak_check(
    args: Sequence[Any], kwargs: Mapping[str, Any], known: Collection[str]
) -> str:
    """Return what is wrong with a ``leak_check``; empty if nothing is.

    Args:
        args: of the marker.
        kwargs: of the marker.
        known: the options that a check takes.
    """
    options = {name: option for name, option in _OPTIONS.items() if name in known}
    if args or set(kwargs) - set(options):
        *names, last = options
        return f"leak_check takes {', '.join(names)} and {last} only; {_GOOD_CHECK}"
    for name, value in kwargs.items():
        find, good = options[name]
        fault = find(value)
        if fault:
            return f"leak_check: {name}={shown(value)} {fault}; a good value is {name}={good}"
    return ""


def _of_iterations(value: Any) -> str:
    if isinstance(value, str):
        return "" if value == "auto" else 'is neither a whole number nor "auto"'
    if isinstance(value, bool) or not isinstance(value, int):
        return 'is neither a whole number nor "auto"'
    return f"is less than {FEWEST}, the fewest that can be judged" if value < FEWEST else ""


def _of_settle(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return "is not a number of seconds"
    if value <= 0:
        return "is not more than zero seconds"
    return f"is more than {LONGEST_SETTLE:g} seconds" if value > LONGEST_SETTLE else ""


def _of_duration(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return "is not a duration"
    try:
        seconds = parse_duration(value)
    except ValueError:
        return "is not a duration"
    if not math.isfinite(seconds) or seconds <= 0:
        return "is not a time above zero"
    return "is more than a day" if seconds > _LONGEST else ""


def _of_clock(value: Any) -> str:
    return "" if value is None else _of_duration(value)


def _of_allow(value: Any) -> str:
    if isinstance(value, str) or not isinstance(value, Sequence | set | frozenset):
        return "is not a list of patterns"
    good = all(isinstance(pattern, str) and pattern.strip() for pattern in value)
    return "" if good else "has what is no pattern of an owner, kind or fingerprint"


_OPTIONS: Final[dict[str, tuple[Callable[[Any], str], str]]] = {
    "iterations": (_of_iterations, "20"),
    "settle": (_of_settle, "2.0"),
    "budget": (_of_duration, '"30 s"'),
    "clock": (_of_clock, '"5s"'),
    "allow": (_of_allow, '["window.cache*"]'),
}
