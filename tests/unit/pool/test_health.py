"""What a pool's figures mean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_sentinel.pool.health import Health, descriptors, judge, readiness
from pytest_sentinel.pool.options import PoolOptions
from pytest_sentinel.pool.snapshot import (
    BreakerFigures,
    BrowserFigures,
    FailureFigures,
    LeaseFigures,
    MemoryFigures,
    PoolStatistics,
    UpkeepFigures,
)

OPTIONS = PoolOptions(maximum=2, contexts_per_browser=4, max_waiting=3)
BROWSER = BrowserFigures("b1", "chromium", "ready", 1, 7, 0, 0, 60.0, 0, 2.0, True)
LEASE = LeaseFigures("l1", "me", "chromium", "b1", 1.0)
OPEN = BreakerFigures("chromium", "open", "no display", "", 20.0)
POOL = PoolStatistics(
    browsers=(BROWSER,),
    leases=(),
    waiting={"chromium": 0},
    maximum=2,
    slots={"free": 4, "unused": 4},
    counters={},
    breakers=(BreakerFigures("chromium", "closed", "", "", 0.0),),
    memory=MemoryFigures(100, 1000, ""),
    draining=False,
    generation=1,
)


def health(pool: PoolStatistics, *, listening: bool = True) -> Health:
    """Judge a pool."""
    return judge(pool, OPTIONS, listening=listening)


def word(pool: PoolStatistics, component: str) -> str:
    """Return the status of one component."""
    return next(part.status for part in health(pool).components if part.name == component)


def test_a_pool_that_serves_is_ok() -> None:
    """All parts are ok, and so is the whole."""
    found = health(POOL)

    assert found.status == "ok"
    assert [part.name for part in found.components] == [
        *("lease-port", "browser b1", "memory", "breaker chromium")
    ]


def test_a_pool_without_browsers_is_ok() -> None:
    """Browsers come when they are needed."""
    assert health(replace(POOL, browsers=())).status == "ok"


def test_a_port_that_takes_nobody_is_failing() -> None:
    """Without it nothing can be leased."""
    assert health(POOL, listening=False).status == "failing"


@pytest.mark.parametrize(
    "sick",
    [
        replace(BROWSER, state="quarantined"),
        replace(BROWSER, last_probe_ok=False),
        replace(BROWSER, last_probe_ago=50.0),
        replace(BROWSER, last_probe_ago=None, age=50.0),
    ],
)
def test_a_sick_browser_beside_a_well_one_degrades(sick: BrowserFigures) -> None:
    """The service serves; somebody should know."""
    pool = replace(POOL, browsers=(BROWSER, replace(sick, name="b2")))

    assert (health(pool).status, word(pool, "browser b2")) == ("degraded", "failing")


def test_a_young_browser_need_not_have_been_probed() -> None:
    """The first probe takes its time."""
    young = replace(BROWSER, age=1.0, last_probe_ago=None, last_probe_ok=None)

    assert health(replace(POOL, browsers=(young,))).status == "ok"


def test_nothing_but_sick_browsers_is_failing() -> None:
    """Nobody is served."""
    pool = replace(POOL, browsers=(replace(BROWSER, state="quarantined"),))

    assert health(pool).status == "failing"


def test_an_open_breaker_fails_where_no_browser_serves() -> None:
    """With a browser it degrades, without one it fails."""
    pool = replace(POOL, breakers=(OPEN,))

    assert health(pool).status == "degraded"
    assert health(replace(pool, browsers=())).status == "failing"


@pytest.mark.parametrize(
    "pool",
    [
        replace(POOL, draining=True, browsers=()),
        replace(POOL, memory=MemoryFigures(990, None, "99 % is used")),
    ],
)
def test_what_a_restart_would_not_mend_only_degrades(pool: PoolStatistics) -> None:
    """A drain and a lack of memory do not get a service restarted."""
    assert health(pool).status == "degraded"


@pytest.mark.parametrize(
    ("reason", "pool"),
    [
        ("", POOL),
        ("", replace(POOL, waiting={"chromium": 3})),
        ("draining", replace(POOL, draining=True)),
        ("memory", replace(POOL, memory=MemoryFigures(1, 1, "full"))),
        ("breaker", replace(POOL, breakers=(OPEN,))),
        ("full", replace(POOL, leases=(LEASE,) * 8, waiting={"chromium": 3})),
    ],
)
def test_readiness_has_a_reason(reason: str, pool: PoolStatistics) -> None:
    """Ready is whoever would not refuse."""
    found = readiness(pool, OPTIONS)

    assert (found.ready, found.reason) == (not reason, reason)


def test_waiters_that_their_owner_holds_back_are_no_demand() -> None:
    """Neither readiness nor pressure, nor what is free, counts who waits for its own owner."""
    greedy = replace(POOL, leases=(LEASE,), waiting={"chromium": 3}, held_back={"chromium": 3})
    found = readiness(greedy, OPTIONS)
    assert (found.ready, found.free, found.waiting, found.held_back) == (True, 7, 0, 3)
    assert found.pressure == 0.125
    full = replace(greedy, leases=(LEASE,) * 8, waiting={"chromium": 6})
    assert readiness(full, OPTIONS).reason == "full"
    assert readiness(replace(full, waiting={"chromium": 5}), OPTIONS).reason == ""


def test_pressure_counts_those_who_wait() -> None:
    """It is the share of slots that are taken or wanted, and full where nothing can serve."""
    busy = replace(POOL, leases=(LEASE,) * 8, waiting={"chromium": 2})

    assert readiness(busy, OPTIONS).pressure == 1.25
    assert (readiness(busy, OPTIONS).free, readiness(POOL, OPTIONS).free) == (0, 8)
    assert readiness(replace(POOL, maximum=0), OPTIONS).pressure == 1.0


def test_housekeeping_that_does_not_come_round_is_failing() -> None:
    """Without it nothing is probed, weighed or cleaned; a restart may help."""
    late = replace(POOL, upkeep=UpkeepFigures(last_round_ago=31.0))

    assert health(POOL).status == "ok"
    assert (health(late).status, word(late, "housekeeping")) == ("failing", "failing")
    assert readiness(late, OPTIONS).reason == "housekeeping"


def test_a_failure_in_the_background_degrades_for_a_minute() -> None:
    """Somebody should know what failed, and why; what is long over is in the counters."""
    failure = FailureFigures("launch", "OSError: No space left on device", 3.0)
    failed = replace(POOL, upkeep=UpkeepFigures(0.5, (failure,)))
    over = replace(POOL, upkeep=UpkeepFigures(0.5, (replace(failure, ago=61.0),)))

    assert (health(failed).status, word(failed, "task launch")) == ("degraded", "degraded")
    assert "No space left" in health(failed).components[-1].detail
    assert health(over).status == "ok"
    assert readiness(failed, OPTIONS).ready


def test_too_few_descriptors_degrade() -> None:
    """The remedy is named; enough of them is a fact like any other."""
    few = judge(POOL, OPTIONS, descriptors(100, 200), listening=True)

    assert few.status == "degraded"
    assert "ulimit -n" in few.components[-1].detail
    assert judge(POOL, OPTIONS, descriptors(1024, 200), listening=True).status == "ok"
