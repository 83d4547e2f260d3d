"""What an attempt measured, put on its last report: as plain types that xdist can carry."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sentinel.attempts import REPORT_ATTRIBUTE, STATUS_ATTRIBUTE, Test, engine_of
from pytest_sentinel.telemetry.outcomes import outcome_of, seconds_of
from pytest_sentinel.telemetry.relay import pack, pack_plain
from pytest_sentinel.units import MIB

if TYPE_CHECKING:
    from pytest_sentinel.leaks.resources import Leftover
    from pytest_sentinel.memory.sampler import Sampler
    from pytest_sentinel.pagewatch import PageWatch
    from pytest_sentinel.pool.seats import Happening
    from pytest_sentinel.pool.worker import WorkerPool


def load(
    report: pytest.TestReport,
    test: Test,
    leaks: Sequence[Leftover],
    happenings: list[Happening],
    *,
    pool: WorkerPool | None,
    sampler: Sampler | None,
    pages: PageWatch | None,
) -> None:
    """End the attempt for those who measure, and put on ``report`` what they found."""
    is_watched = pool is not None or sampler is not None or pages is not None
    if not (is_watched or leaks or happenings or test.unsent or test.has_news):
        # As most tests that use no browser.
        packed = pack_plain(test.attempt, test.started, time.time())
        setattr(report, REPORT_ATTRIBUTE, packed)
        return
    memory: dict[str, Any] = {}
    browsers: list[str] = []
    waited: float | None = None
    if pool is not None:
        browsers = pool.end_test(used=test.uses_browser, passed=test.passed)
        happenings = happenings + pool.take_happenings()
        waited = pool.take_wait()
    if sampler is not None:
        memory = sampler.window()
    packed = pack(
        test.attempt,
        test.started,
        time.time(),
        memory,
        happenings,
        browsers,
        test.death,
        leaks,
        test.launch_failed,
        engine=engine_of(test) if browsers else "",
        page=pages.take() if pages is not None else None,
        fault=test.fault,
        wait=waited if browsers else None,
    )
    if test.unsent:
        packed["phases"] = {
            when: (outcome_of(kept), seconds_of(kept)) for when, kept in test.unsent.items()
        }
    setattr(report, REPORT_ATTRIBUTE, packed)
    annotate(report, test, packed.get("memory", {}), browsers, leaks)


def annotate(
    report: pytest.TestReport,
    test: Test,
    memory: dict[str, Any],
    browsers: Sequence[str],
    leaks: Sequence[object],
) -> None:
    """Tell the attempt's facts as properties and sections, for JUnit and whoever reads reports."""
    # Another plugin may have put anything there.
    report.user_properties = list(report.user_properties or ())
    report.sections = list(report.sections or ())
    tell = report.user_properties.append
    peaks = [memory.get(name, {}).get("peak") for name in browsers]
    if any(peaks):
        peak = max(peak for peak in peaks if peak is not None)
        tell(("sentinel_browser_peak_mib", round(peak / MIB)))
    if test.attempt > 1:
        tell(("sentinel_attempts", test.attempt))
    # A lost attempt sends no teardown report; the one that replaced it says why it was lost.
    death = test.death or test.earlier
    if death is not None:
        tell(("sentinel_crash", str(death)))
    if leaks:
        text = "\n".join(map(str, leaks))
        tell(("sentinel_leaks", text))
        if not hasattr(report, STATUS_ATTRIBUTE):  # else the failure says it
            report.sections.append(("sentinel: left open", text))
