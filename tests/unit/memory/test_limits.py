"""Memory limits: how they are written, and what breaks them."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_sentinel.errors import MemoryBudgetExceeded, NotMeasurable, SettingError
from pytest_sentinel.memory.limits import (
    COUNTS,
    GOOD_MARKERS,
    SIZES,
    Budget,
    Held,
    PageLimit,
    check_marker,
    describe_page,
    is_broken,
    judge_growth,
    judge_page,
    judge_peak,
    page_table,
    parse_marker,
    parse_page_limits,
    process_table,
)
from pytest_sentinel.units import KIB, MIB

PAGE = {**dict.fromkeys((*SIZES, *COUNTS), 0), "heap": 2 * MIB, "nodes": 12, "listeners": 26}


def page(**changed: int) -> dict[str, int]:
    """Return the counters of a page, some of them changed."""
    return {**PAGE, **changed}


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "expected"),
    [
        ("limit_page_heap", ("40 MB",), {}, Budget(40 * MIB)),
        ("limit_page_heap", (4096,), {}, Budget(4096)),
        ("limit_worker_memory", ("0.5 GB",), {}, Budget(512 * MIB)),
        ("limit_browser_memory", ("300 MB",), {}, Budget(300 * MIB)),
        ("limit_browser_memory", ("300 MB",), {"growth": "50 MB"}, Budget(300 * MIB, 50 * MIB)),
        ("limit_browser_memory", ("300 MB",), {"growth": "+50 MB"}, Budget(300 * MIB, 50 * MIB)),
        ("limit_browser_memory", ("300 MB",), {"growth": 0}, Budget(300 * MIB, 0)),
    ],
)
def test_a_marker_says_what_is_allowed(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any], expected: Budget
) -> None:
    """Sizes are texts or bytes; growth may be signed and may be nothing."""
    assert parse_marker(name, args, kwargs) == expected


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "problem"),
    [
        ("limit_page_heap", (), {}, "limit_page_heap: () is not one size"),
        ("limit_page_heap", ("1 MB", "2 MB"), {}, "('1 MB', '2 MB') is not one size"),
        ("limit_page_heap", ("lots",), {}, "'lots' is not a size"),
        ("limit_page_heap", (None,), {}, "None is not a size"),
        ("limit_page_heap", (True,), {}, "True is not a size"),
        ("limit_page_heap", (1.5,), {}, "1.5 is not a size"),
        ("limit_page_heap", (0,), {}, "0 is not a size above 0"),
        ("limit_page_heap", ("-1 MB",), {}, "'-1 MB' is not a size above 0"),
        ("limit_page_heap", ("+1 MB",), {}, "'+1 MB' is not a size above 0"),
        ("limit_page_heap", ("1 MB",), {"growth": "1 MB"}, "'growth' is no keyword here, there is"),
        ("limit_browser_memory", ("1 MB",), {"grow": 1}, "'grow' is no keyword here, only growth"),
        ("limit_browser_memory", ("1 MB",), {"growth": "a bit"}, "'a bit' is not a size"),
        ("limit_browser_memory", ("1 MB",), {"growth": "-1 MB"}, "'-1 MB' is a growth below 0"),
        ("limit_browser_memory", (), {"growth": "1 MB"}, "() is not one size"),
    ],
)
def test_a_bad_marker_is_refused_with_a_good_one_shown(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any], problem: str
) -> None:
    """The error names what was wrong with which value, and shows the marker as it should be."""
    with pytest.raises(SettingError) as caught:
        parse_marker(name, args, kwargs)

    assert problem in str(caught.value)
    assert str(caught.value).endswith(f"a good value is {GOOD_MARKERS[name]}")


@pytest.mark.parametrize(
    ("args", "kwargs", "problem"),
    [
        (("300 MB",), {"growth": "50 MB"}, ""),
        (("300 MB",), {"growth": 0}, ""),
        (("1 MB",), {}, ""),
        ((300,), {}, "limit_browser_memory: 300 is less than 1 MB"),
        (("300",), {}, "limit_browser_memory: '300' is less than 1 MB"),
        (("300 MB",), {"growth": 50}, "limit_browser_memory: 50 is less than 1 MB"),
        (("lots",), {}, "limit_browser_memory: 'lots' is not a size"),
    ],
)
def test_a_marker_that_nothing_could_keep_is_refused(
    args: tuple[Any, ...], kwargs: dict[str, Any], problem: str
) -> None:
    """A number without a unit is bytes, which hardly anybody means."""
    told = ""
    try:
        check_marker("limit_browser_memory", args, kwargs)
    except SettingError as error:
        told = str(error)

    assert told.startswith(problem)
    assert bool(told) is bool(problem)


@pytest.mark.parametrize("name", GOOD_MARKERS)
def test_the_good_markers_shown_are_good(name: str) -> None:
    """What the errors advise is itself accepted."""
    mark = eval(f"pytest.mark.{GOOD_MARKERS[name]}").mark  # a constant of ours

    assert parse_marker(mark.name, mark.args, mark.kwargs).limit > 0


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("heap", "+5 MB", PageLimit("heap", 5 * MIB, is_growth=True)),
        ("heap", " +5 MB", PageLimit("heap", 5 * MIB, is_growth=True)),
        ("heap", "-5 MB", PageLimit("heap", -5 * MIB, is_growth=True)),
        ("heap", "40 MB", PageLimit("heap", 40 * MIB, is_growth=False)),
        ("heap", 4096, PageLimit("heap", 4096, is_growth=True)),
        ("nodes", "+100", PageLimit("nodes", 100, is_growth=True)),
        ("nodes", "100", PageLimit("nodes", 100, is_growth=False)),
        ("listeners", 0, PageLimit("listeners", 0, is_growth=True)),
        ("listeners", -3, PageLimit("listeners", -3, is_growth=True)),
    ],
)
def test_signed_texts_and_numbers_are_growth_other_texts_are_ceilings(
    name: str, value: object, expected: PageLimit
) -> None:
    """One rule for sizes and counts alike."""
    assert parse_page_limits({name: value}) == (expected,)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "memory.limit: {} limits nothing"),
        ({"heep": "+5 MB"}, "'heep' is no counter of a page; a good value is one of heap, buffers"),
        ({"heap": "much"}, "memory.limit: heap: 'much' is not a size"),
        ({"heap": ""}, "memory.limit: heap: '' is not a size"),
        ({"heap": True}, "memory.limit: heap: True is not a size"),
        ({"nodes": "5 MB"}, "memory.limit: nodes: '5 MB' is not a whole number"),
        ({"nodes": 1.5}, "memory.limit: nodes: 1.5 is not a whole number"),
        ({"nodes": 1, "listeners": None}, "memory.limit: listeners: None is not a whole number"),
    ],
)
def test_a_limit_on_a_page_that_makes_no_sense_is_refused(
    given: dict[str, Any], problem: str
) -> None:
    """Nothing, an unknown name or a bad value is an error that says what would be good."""
    with pytest.raises(SettingError) as caught:
        parse_page_limits(given)

    assert problem in str(caught.value)


def test_a_peak_may_reach_its_limit_but_not_pass_it() -> None:
    """The finding shows reading and limit; at the limit there is none."""
    budget = Budget(300 * MIB)

    assert judge_peak(budget, 300 * MIB) is None
    assert judge_peak(budget, 412 * MIB) == "412 MiB at the peak, 300 MiB allowed"


def test_a_reading_that_looks_like_its_limit_is_shown_in_bytes() -> None:
    """The finding never says that 300 MiB is more than 300 MiB."""
    finding = judge_peak(Budget(300 * MIB), 300 * MIB + KIB)

    assert finding == "314,573,824 B at the peak, 314,572,800 B allowed"


@pytest.mark.parametrize(
    ("growth", "start", "end", "expected"),
    [
        (None, 0, 500 * MIB, None),
        (50 * MIB, 100 * MIB, 150 * MIB, None),
        (50 * MIB, 150 * MIB, 100 * MIB, None),
        (50 * MIB, 100 * MIB, 162 * MIB, "grew by 62 MiB, 50 MiB allowed"),
        (0, 100 * MIB, 162 * MIB, "grew by 62 MiB, 0 B allowed"),
    ],
)
def test_growth_is_judged_where_it_is_limited(
    growth: int | None, start: int, end: int, expected: str | None
) -> None:
    """Growth is the difference of end and start; without a limit on it there is no finding."""
    assert judge_growth(Budget(MIB, growth), start, end) == expected


@pytest.mark.parametrize(
    ("limit", "after", "broken"),
    [
        (PageLimit("nodes", 100, is_growth=True), page(nodes=112), False),
        (PageLimit("nodes", 100, is_growth=True), page(nodes=113), True),
        (PageLimit("nodes", 100, is_growth=False), page(nodes=100), False),
        (PageLimit("nodes", 100, is_growth=False), page(nodes=101), True),
        (PageLimit("nodes", -5, is_growth=True), page(nodes=7), False),
        (PageLimit("nodes", -5, is_growth=True), page(nodes=8), True),
    ],
)
def test_growth_is_held_against_before_and_a_ceiling_is_not(
    limit: PageLimit, after: dict[str, int], broken: bool
) -> None:
    """The page had 12 nodes before; below 0, growth is what must go."""
    assert is_broken(limit, PAGE, after) is broken


def test_every_broken_limit_of_a_page_is_a_finding() -> None:
    """A finding tells reading and limit, as change where growth is limited."""
    allowed = parse_page_limits({"heap": "+5 MB", "nodes": "100", "listeners": 0, "documents": 0})

    findings = judge_page(allowed, PAGE, page(heap=10 * MIB, nodes=312, listeners=27))

    assert findings == [
        "heap +8 MiB, +5 MiB allowed",
        "nodes 312, 100 allowed",
        "listeners +1, +0 allowed",
    ]


def test_growth_that_looks_like_its_limit_is_shown_in_bytes() -> None:
    """Signed bytes stand where the units would hide the difference."""
    allowed = parse_page_limits({"heap": "+5 MB"})

    [finding] = judge_page(allowed, PAGE, page(heap=7 * MIB + 1))

    assert finding == "heap +5,242,881 B, +5,242,880 B allowed"


def test_the_table_of_a_page_shows_what_moved_and_what_was_limited() -> None:
    """Counters that stood still and were not limited are left out."""
    allowed = parse_page_limits({"heap": "+5 MB", "listeners": "100", "frames": 0})
    after = page(heap=10 * MIB, nodes=1312, native=512 * KIB)

    assert page_table(allowed, page(native=576 * KIB), after) == [
        "            before    after   change  allowed",
        "heap         2 MiB   10 MiB   +8 MiB   +5 MiB  exceeded",
        "native     576 KiB  512 KiB  -64 KiB",
        "nodes           12    1,312   +1,300",
        "listeners       26       26       +0      100",
        "frames           0        0       +0       +0",
    ]


def test_the_table_of_an_engine_that_tells_less_has_fewer_rows() -> None:
    """A counter that was not read is not shown as 0."""
    allowed = parse_page_limits({"nodes": 0})

    assert page_table(allowed, {"nodes": 3}, {"nodes": 5}) == [
        "       before  after  change  allowed",
        "nodes       3      5      +2       +0  exceeded",
    ]


def test_the_table_of_processes_shows_start_peak_and_end() -> None:
    """What was read without the pages of files stands beside the PSS."""
    moments = [
        Held("start", 132 * MIB, 61 * MIB, 6),
        Held("peak", 250 * MIB, None, 6),
        Held("end", 220 * MIB, 123 * MIB, 6),
    ]

    assert process_table(moments) == [
        "           PSS  processes  without files",
        "start  132 MiB          6         61 MiB",
        "peak   250 MiB          6",
        "end    220 MiB          6        123 MiB",
    ]


def test_the_table_of_processes_is_narrower_without_growth() -> None:
    """Where only the peak was limited, there is one column of bytes."""
    assert process_table([Held("peak", 250 * MIB, None, 1)]) == [
        "          PSS  processes",
        "peak  250 MiB          1",
    ]


def test_a_page_in_a_line_leaves_out_what_it_has_none_of() -> None:
    """Sizes are shown in units, counts as numbers."""
    assert describe_page(PAGE) == "heap 2 MiB, nodes 12, listeners 26"


def test_a_broken_budget_says_promise_findings_and_details() -> None:
    """The first line is the verdict, what follows is where the memory was."""
    error = MemoryBudgetExceeded("memory.limit", ["heap 2 MiB, 1 MiB allowed", "nodes 2"], ["row"])

    assert (error.promise, error.details) == ("memory.limit", ("row",))
    assert error.findings == ("heap 2 MiB, 1 MiB allowed", "nodes 2")
    assert (error.status, error.letter) == ("MEMORY", "M")
    assert str(error) == "memory.limit: heap 2 MiB, 1 MiB allowed; nodes 2\n  row"


def test_what_cannot_be_measured_says_why() -> None:
    """NotMeasurable names the thing and the reason."""
    error = NotMeasurable("listeners", "not available on firefox")

    assert (error.what, error.why) == ("listeners", "not available on firefox")
    assert str(error) == "listeners: not available on firefox"
