"""Errors thrown into each await of what a pool does in the background: all of it is mended."""

from __future__ import annotations

import asyncio
import errno
import os
import types
from collections.abc import Callable, Generator
from itertools import count
from typing import Any

import pytest

from pytest_sentinel.pool import housekeeping
from pytest_sentinel.pool.health import judge
from pytest_sentinel.pool.options import PoolOptions
from tests import loops
from tests.faults.poolkit import Place, place, until

pytestmark = pytest.mark.browser

ERRORS = (
    lambda: OSError(errno.ENOSPC, "No space left on device"),
    asyncio.CancelledError,
    lambda: MemoryError("none left"),
    lambda: RuntimeError("can't start new thread"),
)
# All errors at each await, or one of them at each of the first few.
EVERY = bool(os.environ.get("INJECT_EVERY_ERROR"))
MOST = 40 if EVERY else 5
OPTIONS = PoolOptions(maximum=1)


@types.coroutine
def thrown_into(
    work: Any, point: int, error: BaseException, fired: Callable[[], None]
) -> Generator[Any, Any, Any]:
    """Run a coroutine; where it waits for the ``point``-th time, throw ``error`` instead."""
    step, value = work.send, None
    for number in count(1):
        try:
            waited_for = step(value)
        except StopIteration as stop:
            return stop.value
        if number == point:
            if waited_for is not None:
                waited_for._asyncio_future_blocking = False
            fired()
            step, value = work.throw, error
            continue
        try:
            step, value = work.send, (yield waited_for)
        except BaseException as problem:
            step, value = work.throw, problem
    raise AssertionError("unreachable")


class Injection:
    """Throws an error into the next call of a method, once."""

    def __init__(self, owner: Any, method: str) -> None:
        self._work = getattr(owner, method)
        self.point = 0
        self.error: BaseException | None = None
        self.has_fired = self.has_ended = False
        setattr(owner, method, self)

    def arm(self, point: int, error: BaseException) -> None:
        self.point, self.error, self.has_fired = point, error, False
        self.has_ended = False

    def _fire(self) -> None:
        self.has_fired = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        error, self.error = self.error, None
        work = self._work(*args, **kwargs)
        if error is None:
            return work

        async def run() -> Any:
            try:
                return await thrown_into(work, self.point, error, self._fire)
            finally:
                self.has_ended = True

        return run()


async def exercise(here: Place, *, renew: bool) -> None:
    """Have the browser replaced, lease, and give back; what a pool does is done by that."""
    if renew:
        for name in list(here.kept()):
            here.pool.crashed(name, "the test ended it")
            await until(lambda name=name: name not in here.kept(), 30, "the end of a browser")
    async with asyncio.timeout(60), here.pool.lease("chromium", "test", 50) as lease:
        assert await here.kept()[lease.browser].server.contexts(10) is not None
    await until(lambda: here.slots("leased") + here.slots("cleaning") == 0, 20, "a clean slot")
    rounds = here.pool._shell.kept_house_at
    await until(lambda: here.pool._shell.kept_house_at != rounds, 20, "a round of housekeeping")


def end_housekeeping() -> None:
    """Have it begin anew."""
    for task in asyncio.all_tasks():
        if task.get_name() == "sentinel-housekeeping":
            task.cancel()


def failures(here: Place) -> int:
    """Return how many failures in the background were counted."""
    counted = here.pool.statistics().counters.get("task_failures_total", {})
    told = len(here.named("task.failed"))
    assert sum(counted.values()) == told
    return told


def owner_of(method: str, pool: Any) -> Any:
    """Return what in a pool has this method."""
    owners = (pool, pool._servers, pool._house, pool._leases)
    hidden = (pool._servers._scratch, pool._servers._reaper)
    return next(owner for owner in (*owners, *hidden) if hasattr(owner, method))


@pytest.mark.parametrize(
    ("method", "least"),
    [
        *(("_launch", 3), ("_end", 2), ("keep_spare", 1)),
        *(("keep", 3), ("clean", 1), ("_probe", 1), ("_reconcile", 1)),
    ],
)
def test_an_error_at_any_await_is_told_and_mended(
    method: str, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The books are right again, the next lease is given, and health names what failed."""
    monkeypatch.setattr(housekeeping, "TICK", 0.05)
    errors = iter(error for _ in count() for error in ERRORS)
    renew = method in ("_launch", "_end", "keep_spare")

    async def run() -> None:
        async with place() as here:
            if method == "_launch":  # from its first beginning, without a server that waits
                here.pool._servers.keep_spare = nothing  # type: ignore[method-assign]
            await exercise(here, renew=False)
            injection = Injection(owner_of(method, here.pool), method)
            for point in range(1, MOST + 1):
                for _ in range(len(ERRORS) if EVERY else 1):
                    before, failed = failures(here), len(here.named("browser.failed"))
                    injection.arm(point, next(errors)())
                    if method == "keep":
                        end_housekeeping()
                    for kept in here.kept().values():
                        kept.probed_at = None  # so that one is due
                    await exercise(here, renew=renew)
                    if method != "keep":
                        await until(lambda: injection.has_ended, 20, f"end of {method}")
                        await asyncio.sleep(0)  # for what is done after a task
                    if not injection.has_fired:
                        break
                    told = failures(here) > before
                    booked = told or len(here.named("browser.failed")) > failed
                    assert booked, f"nothing was told of an error at await {point}"
                    statistics = here.pool.statistics()
                    assert sum(statistics.slots.values()) == 4
                    if told:
                        health = judge(statistics, OPTIONS, listening=True)
                        assert health.status == "degraded"
                        assert any(part.name.startswith("task ") for part in health.components)
                if not injection.has_fired:
                    break
            reached = point if injection.has_fired else point - 1
            assert reached >= least, f"only {reached} awaits were reached"

    loops.run(run())


async def nothing() -> None:
    """Do nothing."""


CALLS = ("note", "launched", "release", "adopt", "take", "measured")


@pytest.mark.parametrize("call", CALLS if EVERY else CALLS[:3])
def test_an_error_of_any_call_leaves_no_place_behind(
    call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at first with a full disk: what was begun counts as failed, and is done again."""
    monkeypatch.setattr(housekeeping, "TICK", 0.05)

    async def run() -> None:
        async with place() as here:
            here.pool._servers.keep_spare = nothing  # type: ignore[method-assign]
            owner = owner_of(call, here.pool)
            genuine, calls = getattr(owner, call), []

            def fail_first(*args: Any) -> Any:
                calls.append(args)
                if len(calls) == 1:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return genuine(*args)

            monkeypatch.setattr(owner, call, fail_first, raising=True)
            await exercise(here, renew=False)
            if call == "release":
                await exercise(here, renew=True)
            await until(lambda: failures(here), 10, "a failure that is told")
            (failure,) = here.pool.statistics().upkeep.failures
            assert failure.error == "OSError: [Errno 28] No space left on device"
            await until(lambda: len(calls) > 1, 10, "another call")

    loops.run(run())


def test_a_disk_that_stays_full_opens_the_breaker() -> None:
    """Who waits is told the cause; no place is left launching for ever, and no browser."""

    async def run() -> None:
        async with place() as here:

            def fail(_: object) -> None:
                raise OSError(errno.ENOSPC, "No space left on device")

            here.pool._servers._scratch.note = fail  # type: ignore[union-attr,method-assign]
            with pytest.raises(Exception, match="No space left on device") as caught:
                async with asyncio.timeout(60), here.pool.lease("chromium", "test", 50):
                    pass
            assert getattr(caught.value, "reason", "") == "breaker"
            await until(lambda: not here.kept(), 20, "the end of all browsers")
            assert here.slots("unused") == 4
            del here.pool._servers._scratch.note  # type: ignore[union-attr]

    loops.run(run())


def test_housekeeping_that_does_not_come_round_fails_health() -> None:
    """Health and readiness say so when no round was done for long, whatever holds it up."""

    async def run() -> None:
        async with place() as here:
            here.pool._shell.kept_house_at -= 31.0  # type: ignore[operator]
            statistics = here.pool.statistics()
            health = judge(statistics, OPTIONS, listening=True)
            assert health.status == "failing"

    loops.run(run())
