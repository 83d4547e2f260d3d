"""From what was read to a verdict, however a check ended."""

from __future__ import annotations

from pytest_sentinel.leaks.conclusion import Conclusion
from pytest_sentinel.leaks.runaway import Point
from pytest_sentinel.leaks.suspicion import suspects
from pytest_sentinel.leaks.verdict import Finding, Leak, Sample

STILL = tuple(Sample(n, {"nodes": 10}) for n in (8, 12, 16))
GROWING = tuple(Sample(n, {"nodes": n, "listeners": n}) for n in (8, 12, 16, 28, 40))
DOUBLING = tuple(Point({"heap": 100_000 * 2**n, "nodes": 10}) for n in range(7))
LEAK = Leak("heap", "window.kept", retained_bytes=1600)
HINT = "install it"


def test_proven_leaks_are_weighed() -> None:
    """Against what is allowed, and against doubts; something weak is a question."""
    assert Conclusion(STILL).judge([LEAK], weak=False).verdict == "LEAK"
    allowed = Conclusion(STILL, allow=("window.*",)).judge([LEAK], weak=True)
    assert (allowed.verdict, allowed.allowed) == ("CLEAN", (LEAK,))
    doubted = Conclusion(STILL, audit=(Finding("a doubt", True),)).judge([LEAK], weak=False)
    assert (doubted.verdict, doubted.reason) == ("INCONCLUSIVE", "growth was found, but a doubt")
    assert Conclusion(STILL).judge([], weak=True).verdict == "INCONCLUSIVE"


def test_counters_alone_accuse_when_they_are_exact() -> None:
    """Bytes raise a question, and stillness is clean; the hint stands where no owner does."""
    assert Conclusion(GROWING, hint=HINT).by_counters((), 0).reason.endswith(HINT)
    assert Conclusion(STILL).by_counters((), 1).verdict == "INCONCLUSIVE"
    assert Conclusion(STILL, hint=HINT).by_counters((), 0).reason.endswith("stopped growing")


def test_growth_that_speeds_up_is_a_leak_with_or_without_an_owner() -> None:
    """Owners that weigh next to nothing beside the largest are left out."""
    small = Leak("string", "window.Error", retained_bytes=10)
    named = Conclusion(points=DOUBLING, samples=STILL).runaway([LEAK, small])
    assert (named.leaks, "2 times" in named.reason) == ((LEAK,), True)
    bare = Conclusion(points=DOUBLING, samples=STILL).so_far("it failed")
    assert (bare.verdict, bare.leaks[0].kind, bare.leaks[0].owner) == ("LEAK", "heap", "")
    nodes = tuple(Point({"nodes": 100 * 2**n}) for n in range(7))
    assert Conclusion(points=nodes, samples=STILL).runaway().leaks[0].kind == "dom"


def test_too_few_iterations_say_how_many_would_do() -> None:
    """One or many, with or without growth."""
    too_few = Conclusion(GROWING).too_few(1, (), 8, 40).reason
    assert too_few == (
        "nothing grew, but 1 iteration is too few to judge by; "
        "iterations=8 would do, or 40 if something grows"
    )
    moving = suspects(GROWING, ())
    assert Conclusion(GROWING).too_few(12, moving, 40).reason == (
        "nodes and listeners grew, but 12 iterations are too few to judge by; "
        "iterations=40 would do"
    )


def test_the_end_of_a_budget_is_judged_by_what_was_read() -> None:
    """Enough exact samples accuse; fewer say what they saw and which budget would do."""
    assert Conclusion(GROWING).out_of_time(40, 30, 0.5).verdict == "LEAK"
    few = Conclusion(GROWING[:3]).out_of_time(16, 30, 2.0).reason
    assert "used up after 16 iterations; nodes and listeners grew until then; budget=" in few
    assert "nothing grew until then" in Conclusion(STILL).so_far("it failed").reason
    assert "too little was seen" in Conclusion(()).so_far("it failed").reason
