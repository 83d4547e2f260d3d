"""The front door of a leak check: what may be asked, and what comes out however it ends.

The check itself is in phases.py. Here it is made, bounded, and turned into a report; an error of
the scenario passes through, with what was seen until then as a note on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pytest_sentinel.leaks.budget import Budget, OutOfTime
from pytest_sentinel.leaks.counters import Counters, CountersUnavailable
from pytest_sentinel.leaks.iterating import Scenario
from pytest_sentinel.leaks.phases import WATCHED, Check, Snapshots
from pytest_sentinel.leaks.plan import BUDGET, checked
from pytest_sentinel.leaks.verdict import LeakReport
from pytest_sentinel.leaks.virtualtime import VirtualTime

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["WATCHED", "Scenario", "Snapshots", "check_leaks"]

SETTLE_SECONDS = 2.0  # at most, for one sample
_NO_NOTE = (KeyboardInterrupt, SystemExit, GeneratorExit)


def check_leaks(
    page: Page,
    scenario: Scenario | tuple[Scenario, Scenario],
    *,
    iterations: int | Literal["auto"] = "auto",
    budget: float | str = BUDGET,
    clock: float | str | None = None,
    settle: float | None = None,
    watch: Sequence[str] = WATCHED,
    allow: Sequence[str] = (),
    snapshots: Snapshots = "on-suspicion",
) -> LeakReport:
    """Run ``scenario`` again and again and say whether the page keeps something of each run.

    Never raises on a verdict; what the scenario itself raises passes through, with what was seen
    until then as a note on it.

    Args:
        page: the page the scenario works on.
        scenario: one iteration, as a callable or as ``(action, back)``.
        iterations: the most that is run, warm-up and all; or "auto". What cannot be judged in so
            few is INCONCLUSIVE.
        budget: seconds, or a text such as "2 m", after which the check ends with a verdict from
            what it has read.
        clock: seconds, or a text such as "5s", by which Playwright's virtual clock moves with each
            iteration; None leaves the time alone.
        settle: seconds to wait at most for the page to come to rest before a sample.
        watch: names of the counters to judge; all by default.
        allow: patterns (fnmatch) of owners, kinds or fingerprints that may grow.
        snapshots: when heap snapshots are taken; "never" gives verdicts without owners.

    Raises:
        SettingError: an argument makes no sense, or the clock cannot move the page's timers.
    """
    plan, seconds, moved = checked(iterations=iterations, budget=budget, clock=clock, settle=settle)
    allowance = Budget(seconds)
    steps = scenario if isinstance(scenario, tuple) else (scenario,)
    try:
        counters = Counters(page, allowance)
    except CountersUnavailable as error:
        return LeakReport("INCONCLUSIVE", reason=f"counters are {error}", seconds=allowance.spent)
    except OutOfTime:
        return LeakReport(
            "INCONCLUSIVE",
            reason="the page did not answer within the budget",
            seconds=allowance.spent,
        )
    check = Check(page, counters, steps, plan, allowance)
    check.settle = settle or SETTLE_SECONDS
    check.ignored = [name for name in WATCHED if name not in watch]
    check.collections = "collections" in watch
    check.allow = allow
    check.snapshots = snapshots
    try:
        if moved is not None:
            virtual = VirtualTime(page, counters, moved)
            check.steps = (*steps, virtual.move)
        report = check.run()
    except _NO_NOTE:
        raise
    except BaseException as error:  # a test may end by pytest.fail, which is no Exception
        if check.iterations:
            error.add_note(f"sentinel: the leak check until then: {check.so_far()}")
        raise
    finally:
        counters.close()
    return replace(report, seconds=allowance.spent, ran=check.iterations)
