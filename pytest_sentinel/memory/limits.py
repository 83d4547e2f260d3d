"""Judge memory readings against the limits of a test, and understand how those are written.

Law: plain numbers in, findings out. A limit that makes no sense is refused with a good one shown,
before anything is measured. Measuring belongs to pagereading.py, ownpages.py and sampler.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pytest_sentinel.errors import SettingError
from pytest_sentinel.units import MIB, format_size, parse_size

SIZES: Final = ("heap", "buffers", "native")
"""What a page holds in bytes."""
COUNTS: Final = (
    *("nodes", "listeners", "documents", "frames", "contexts", "observers", "workers"),
    *("array_buffers", "peers", "audio", "css_rules"),
)
"""What a page holds in numbers."""

LIMIT_BROWSER: Final = "limit_browser_memory"
LIMIT_PAGE: Final = "limit_page_heap"
LIMIT_WORKER: Final = "limit_worker_memory"
GOOD_MARKERS: Final = {
    LIMIT_BROWSER: 'limit_browser_memory("300 MB", growth="50 MB")',
    LIMIT_PAGE: 'limit_page_heap("40 MB")',
    LIMIT_WORKER: 'limit_worker_memory("512 MB")',
}
_CALL: Final = "memory.limit"
_GOOD_CALL: Final = 'memory.limit(page, heap="+5 MB", nodes="+100", listeners=0)'


@dataclass(frozen=True, slots=True)
class Budget:
    """What a marker allows, in bytes: ``limit`` at the most, ``growth`` from start to end."""

    limit: int
    growth: int | None = None


@dataclass(frozen=True, slots=True)
class PageLimit:
    """What one counter of a page may reach, or by how much it may grow.

    Attributes:
        name: one of SIZES or COUNTS.
        bound: bytes or a number; below 0 for growth that must be negative.
        is_growth: whether ``bound`` is about the change over the block.
    """

    name: str
    bound: int
    is_growth: bool


@dataclass(frozen=True, slots=True)
class Held:
    """What processes held at one moment.

    Attributes:
        moment: start, peak or end.
        pss: bytes in all.
        own: bytes without the pages of files; None where that was not read.
        processes: how many there were.
    """

    moment: str
    pss: int
    own: int | None
    processes: int


def parse_marker(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Budget:
    """Return what a marker allows.

    Raises:
        SettingError: the marker has not exactly one size, or a bad one, or an unknown keyword.
    """
    known = ("growth",) if name == LIMIT_BROWSER else ()
    for keyword in kwargs:
        if keyword not in known:
            problem = f"is no keyword here, {'only growth is' if known else 'there is none'}"
            raise _bad_marker(name, keyword, problem)
    if len(args) != 1:
        raise _bad_marker(name, tuple(args), "is not one size")
    limit = _marker_size(name, args[0])
    if limit <= 0 or str(args[0]).lstrip().startswith("+"):
        raise _bad_marker(name, args[0], "is not a size above 0")
    if "growth" not in kwargs:
        return Budget(limit)
    growth = _marker_size(name, kwargs["growth"])
    if growth < 0:
        raise _bad_marker(name, kwargs["growth"], "is a growth below 0")
    return Budget(limit, growth)


def check_marker(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Refuse what a marker may say and no process or page could keep, such as 40 bytes.

    Raises:
        SettingError: as ``parse_marker``, or the limit is less than 1 MB, or a growth above 0 is.
    """
    budget = parse_marker(name, args, kwargs)
    if budget.limit < MIB:
        raise _bad_marker(name, args[0], "is less than 1 MB")
    if budget.growth is not None and 0 < budget.growth < MIB:
        raise _bad_marker(name, kwargs["growth"], "is less than 1 MB")


def parse_page_limits(given: Mapping[str, Any]) -> tuple[PageLimit, ...]:
    """Return the limits that a call of ``memory.limit`` names.

    A text with a sign, and any number, is how much a counter may grow; a text without a sign is
    what it may be at the end.

    Raises:
        SettingError: nothing is limited, a name is unknown, or a value makes no sense.
    """
    if not given:
        raise SettingError(_CALL, given, "limits nothing", _GOOD_CALL)
    return tuple(_page_limit(name, value) for name, value in given.items())


def judge_peak(budget: Budget, pss: int) -> str | None:
    """Return what is wrong with the greatest reading of a process or a tree, or None."""
    if pss <= budget.limit:
        return None
    reached, allowed = _amounts("heap", pss, budget.limit)
    return f"{reached} at the peak, {allowed} allowed"


def judge_growth(budget: Budget, start: int, end: int) -> str | None:
    """Return what is wrong with how a tree grew, or None."""
    if budget.growth is None or end - start <= budget.growth:
        return None
    grown, allowed = _amounts("heap", end - start, budget.growth)
    return f"grew by {grown}, {allowed} allowed"


def is_broken(limit: PageLimit, before: Mapping[str, int], after: Mapping[str, int]) -> bool:
    """Tell whether a page broke this limit between two readings."""
    now = after[limit.name]
    return (now - before[limit.name] if limit.is_growth else now) > limit.bound


def judge_page(
    limits: Sequence[PageLimit], before: Mapping[str, int], after: Mapping[str, int]
) -> list[str]:
    """Return what is wrong with each counter that broke its limit."""
    findings = []
    for limit in limits:
        if not is_broken(limit, before, after):
            continue
        reached = after[limit.name]
        if limit.is_growth:
            reached -= before[limit.name]
        words = _amounts(limit.name, reached, limit.bound, signed=limit.is_growth)
        findings.append(f"{limit.name} {words[0]}, {words[1]} allowed")
    return findings


def page_table(
    limits: Sequence[PageLimit], before: Mapping[str, int], after: Mapping[str, int]
) -> list[str]:
    """Lay out what moved or was limited: before, after, change, and what was allowed."""
    limited = {limit.name: limit for limit in limits}
    rows = [("", "before", "after", "change", "allowed", "")]
    for name in (*SIZES, *COUNTS):
        if name not in after or (name not in limited and before[name] == after[name]):
            continue
        was, now = before[name], after[name]
        allowed, verdict = "", ""
        if (limit := limited.get(name)) is not None:
            allowed = _amount(name, limit.bound, signed=limit.is_growth)
            verdict = "exceeded" if is_broken(limit, before, after) else ""
        cells = _amount(name, was), _amount(name, now), _amount(name, now - was, signed=True)
        rows.append((name, *cells, allowed, verdict))
    return _columns(rows)


def process_table(moments: Sequence[Held]) -> list[str]:
    """Lay out what processes held from the start to the end."""
    rows = [("", "PSS", "processes", "without files")]
    for held in moments:
        own = "" if held.own is None else format_size(held.own)
        rows.append((held.moment, format_size(held.pss), str(held.processes), own))
    if all(held.own is None for held in moments):
        rows = [(*row[:3], "") for row in rows]
    return _columns(rows)


def describe_page(values: Mapping[str, int]) -> str:
    """Return a page's counters in a line, leaving out those at 0."""
    words = [f"{name} {_amount(name, n)}" for name, n in values.items() if n]
    return ", ".join(words)


def _page_limit(name: str, value: Any) -> PageLimit:
    if name not in (*SIZES, *COUNTS):
        known = ", ".join((*SIZES, *COUNTS))
        raise SettingError(_CALL, name, "is no counter of a page", f"one of {known}")
    bound = _understood(value, parse_size if name in SIZES else int)
    if bound is None:
        what = "a size" if name in SIZES else "a whole number"
        raise SettingError(f"{_CALL}: {name}", value, f"is not {what}", _GOOD_CALL)
    is_growth = isinstance(value, int) or value.lstrip()[0] in "+-"
    return PageLimit(name, bound, is_growth)


def _marker_size(name: str, value: Any) -> int:
    size = _understood(value, parse_size)
    if size is None:
        raise _bad_marker(name, value, "is not a size")
    return size


def _understood(value: Any, parse: Callable[[Any], int]) -> int | None:
    """Return what a number or a text says, None when it makes no sense."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        return parse(value)
    except ValueError:
        return None


def _bad_marker(name: str, value: object, problem: str) -> SettingError:
    return SettingError(name, value, problem, GOOD_MARKERS[name])


def _amounts(name: str, reached: int, allowed: int, *, signed: bool = False) -> tuple[str, str]:
    """Return both in words; in bytes where they would look the same."""
    words = _amount(name, reached, signed=signed), _amount(name, allowed, signed=signed)
    if words[0] != words[1]:
        return words
    sign = "+" if signed else ""
    return f"{reached:{sign},} B", f"{allowed:{sign},} B"


def _amount(name: str, value: int, *, signed: bool = False) -> str:
    if name not in SIZES:
        return f"{value:+,}" if signed else f"{value:,}"
    return f"+{format_size(value)}" if signed and value >= 0 else format_size(value)


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines: the first cell to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return lines
