"""Markers that make no sense are told from those that do, and a good one is shown."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pytest_sentinel.leaks.marks import (
    fault_of_allow_leak,
    fault_of_fresh_browser,
    fault_of_leak_check,
)

KNOWN = ("iterations", "settle", "budget", "clock", "allow")


class Mute:
    """Cannot show itself, nor be compared."""

    def __repr__(self) -> str:
        raise RuntimeError

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"iterations": 8},
        {"iterations": "auto"},
        {"settle": 0.5},
        {"settle": 60},
        {"settle": None},
        {"budget": 30},
        {"budget": "2 m"},
        {"clock": "5s"},
        {"clock": None},
        {"allow": ["window.*"]},
        {"allow": ()},
        {"allow": {"dom"}},
    ],
)
def test_a_good_leak_check(kwargs: dict[str, Any]) -> None:
    """Nothing is wrong with what a check takes."""
    assert fault_of_leak_check((), kwargs, KNOWN) == ""


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("iterations", "many", 'is neither a whole number nor "auto"'),
        ("iterations", 2.5, "is neither a whole number"),
        ("iterations", True, "is neither a whole number"),
        ("iterations", [20], "is neither a whole number"),
        ("iterations", 0, "is less than 8"),
        ("iterations", -1, "is less than 8"),
        ("iterations", 7, "is less than 8"),
        ("settle", "2 s", "is not a number of seconds"),
        ("settle", True, "is not a number of seconds"),
        ("settle", math.nan, "is not a number of seconds"),
        ("settle", math.inf, "is not a number of seconds"),
        ("settle", Mute(), "settle=<Mute> is not a number of seconds"),
        ("settle", 0, "is not more than zero"),
        ("settle", -1, "is not more than zero"),
        ("settle", 500, "is more than 60 seconds"),
        ("budget", True, "is not a duration"),
        ("budget", None, "is not a duration"),
        ("budget", "soon", "is not a duration"),
        ("budget", math.nan, "is not a time above zero"),
        ("budget", 0, "is not a time above zero"),
        ("budget", "2 d", "is more than a day"),
        ("clock", "-5s", "is not a duration"),
        ("allow", "window.x", "is not a list of patterns"),
        ("allow", 3, "is not a list of patterns"),
        ("allow", [" "], "has what is no pattern"),
        ("allow", [None], "has what is no pattern"),
    ],
)
def test_a_bad_leak_check(name: str, value: object, fault: str) -> None:
    """The fault names option and value, and shows a good one."""
    told = fault_of_leak_check((), {name: value}, KNOWN)

    assert told.startswith(f"leak_check: {name}=")
    assert fault in told
    assert f"a good value is {name}=" in told


@pytest.mark.parametrize(("args", "kwargs"), [((20,), {}), ((), {"iteration": 8})])
def test_what_a_leak_check_does_not_take(args: Any, kwargs: Any) -> None:
    """All that it takes is listed, and no option that the check itself does not have."""
    told = fault_of_leak_check(args, kwargs, ("iterations", "settle", "allow"))

    assert told.startswith("leak_check takes iterations, settle and allow only; write @pytest")


@pytest.mark.parametrize(
    ("args", "kwargs", "fault"),
    [
        (("context",), {"reason": "the app keeps it"}, ""),
        ((), {"reason": "x"}, "allow_leak takes one kind of context, "),
        (("context", "page"), {"reason": "x"}, "allow_leak takes one kind of"),
        ((["context"],), {"reason": "x"}, "allow_leak takes one kind of"),
        ((Mute(),), {"reason": "x"}, "allow_leak takes one kind of"),
        (("conetxt",), {"reason": "x"}, "allow_leak takes one kind of"),
        (("context",), {}, "allow_leak must give a reason"),
        (("context",), {"reason": " "}, "allow_leak must give a reason"),
        (("context",), {"reason": 3}, "allow_leak must give a reason"),
        (("context",), {"reason": "x", "until": "y"}, "allow_leak must give a reason"),
    ],
)
def test_an_allowance_has_one_kind_and_a_reason(args: Any, kwargs: Any, fault: str) -> None:
    """Anything else is shown how to be written."""
    told = fault_of_allow_leak(args, kwargs)

    assert told.startswith(fault)
    assert bool(told) is bool(fault)


@pytest.mark.parametrize(
    ("args", "kwargs", "fault"),
    [
        ((), {}, ""),
        ((3,), {}, "fresh_browser takes no arguments, not 3; write @pytest.mark.fresh_browser"),
        ((), {"count": 3}, "fresh_browser takes no arguments, not count=3; "),
    ],
)
def test_a_fresh_browser_takes_nothing(args: Any, kwargs: Any, fault: str) -> None:
    """What was given is named."""
    told = fault_of_fresh_browser(args, kwargs)

    assert told.startswith(fault)
    assert bool(told) is bool(fault)
