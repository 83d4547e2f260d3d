"""What the sampler costs and what it leaves behind: its thread, its budget, its errors."""

from __future__ import annotations

import os
import resource
import statistics
import threading
import time
from collections.abc import Iterator

import pytest

from pytest_sentinel.memory.processes import MemoryReading
from pytest_sentinel.memory.sampler import Sampler
from tests.faults.children import MIB, Child, until


@pytest.fixture
def child() -> Iterator[Child]:
    """A Python process that holds memory on demand."""
    child = Child()
    yield child
    child.kill()


@pytest.fixture
def sampler() -> Iterator[Sampler]:
    """A sampler that is quick and may spend a tenth of a CPU."""
    sampler = Sampler(interval=0.01, budget=0.1)
    yield sampler
    sampler.close()


def watch(sampler: Sampler, name: str, pid: int, recursive: bool = True) -> MemoryReading:
    """Watch ``pid`` and wait for the first reading."""
    sampler.watch(name, pid, recursive)
    until(lambda: sampler.window()[name].end)
    return end(sampler, name)


def end(sampler: Sampler, name: str) -> MemoryReading:
    reading = sampler.window()[name].end
    assert reading is not None
    return reading


def test_a_poke_that_finds_nothing_is_cheap(child: Child) -> None:
    """Its median CPU time stays below half a millisecond."""
    sampler = Sampler(interval=60, budget=1)
    spent = []
    try:
        watch(sampler, "child", child.pid)
        for _ in range(100):
            before = time.thread_time()
            sampler.poke("child")
            spent.append(time.thread_time() - before)
        cost = sampler.cost()
    finally:
        sampler.close()

    # Under coverage each line costs several times what it does in a user's run.
    assert statistics.median(spent) < 0.002
    assert cost.readings == 1
    assert cost.checks >= 101
    assert 0 < cost.caller_cpu_seconds < sum(spent)


def test_the_thread_starts_with_the_first_watch_and_ends_with_close(child: Child) -> None:
    """No thread before, one during, none after; close() may be called twice."""
    before = set(threading.enumerate())
    sampler = Sampler()
    assert set(threading.enumerate()) == before
    assert sampler.cost().wall_seconds == 0

    watch(sampler, "child", child.pid)
    watch(sampler, "self", os.getpid(), recursive=False)
    [thread] = set(threading.enumerate()) - before
    assert thread.name == "sentinel-sampler"

    began = time.monotonic()
    sampler.close()
    assert time.monotonic() - began < 1
    assert not thread.is_alive()
    wall = sampler.cost().wall_seconds
    sampler.close()
    assert sampler.cost().wall_seconds == wall > 0
    assert set(sampler.window()) == {"child", "self"}
    with pytest.raises(RuntimeError, match="closed"):
        sampler.watch("child", child.pid)


def test_closing_a_sampler_that_never_watched_is_nothing() -> None:
    """There is no thread to wait for."""
    sampler = Sampler()
    sampler.close()

    assert sampler.window() == {}


def test_no_descriptor_is_left_open(sampler: Sampler, child: Child) -> None:
    """Hundreds of checks later as many descriptors are open as before."""
    watch(sampler, "child", child.pid)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(200):
        sampler.poke("child")
    sampler.close()

    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_failed_round_is_counted_and_the_watch_goes_on(sampler: Sampler, child: Child) -> None:
    """Out of descriptors for a while, the sampler counts errors, then reads again."""
    watch(sampler, "child", child.pid)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        until(lambda: sampler.cost().errors > 0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    before = end(sampler, "child")

    child.hold(50 * MIB)
    until(lambda: end(sampler, "child").pss > before.pss + 40 * MIB)


def test_the_thread_keeps_to_its_budget() -> None:
    """Asked for a reading every millisecond, it takes what 2 % of a CPU can pay, in turn."""
    budget = 0.02
    sampler = Sampler(interval=0.001, refresh_after=0, budget=budget)
    try:
        names = ["one", "two", "three"]
        for name in names:
            sampler.watch(name, os.getpid(), recursive=False)
        until(lambda: sampler.cost().wall_seconds > 3)
        cost, ends = sampler.cost(), [end(sampler, name).at for name in names]
    finally:
        sampler.close()

    assert cost.readings > len(names)
    assert cost.cpu_seconds / cost.wall_seconds < budget * 1.1, cost
    assert max(ends) - min(ends) < 2.5


def test_all_methods_may_be_called_at_once(sampler: Sampler, child: Child) -> None:
    """Four threads that poke, mark, read and watch leave a sampler that still works."""
    failures: list[BaseException] = []

    def use(name: str) -> None:
        try:
            for _ in range(30):
                sampler.watch(name, child.pid)
                sampler.poke(name)
                sampler.mark()
                sampler.read_now(name)
                sampler.window()
                sampler.unwatch(name)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=use, args=(f"user {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert sampler.cost().errors == 0
    assert watch(sampler, "child", child.pid).processes == 1
