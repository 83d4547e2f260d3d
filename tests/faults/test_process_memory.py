"""What processes hold, read from real ones: PSS, USS, and the cheap footprint."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import psutil
import pytest

from pytest_sentinel.memory import processes
from pytest_sentinel.memory.processes import (
    cheap_footprint,
    read_memory,
    state,
    tree,
)
from tests.faults.children import MIB, Child, Run, programs, said, until


@pytest.fixture
def child() -> Iterator[Child]:
    """A Python process that holds memory on demand."""
    child = Child()
    yield child
    child.kill()


@pytest.fixture
def run() -> Iterator[Run]:
    """Start Python programs, and end them after the test."""
    with programs() as run:
        yield run


@pytest.fixture(params=["proc", "psutil"])
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test once on /proc and once on psutil, as on a system without /proc."""
    if request.param == "psutil":
        monkeypatch.setattr(processes, "HAS_PROC", False)
        monkeypatch.setattr(processes, "_HAS_ROLLUP", False)
    return str(request.param)


def test_memory_read_is_the_memory_held(source: str, child: Child) -> None:
    """100 MiB more in a child are 100 MiB more PSS, USS and cheap footprint, within 2 %."""
    before, cheap_before = read_memory([child.pid]), cheap_footprint([child.pid])
    asked = time.monotonic()
    child.hold(100 * MIB)
    after, cheap_after = read_memory([child.pid]), cheap_footprint([child.pid])

    assert before is not None
    assert after is not None
    assert after.processes == 1
    assert asked <= after.at <= time.monotonic()
    for grown in (after.pss - before.pss, after.uss - before.uss, cheap_after - cheap_before):
        assert abs(grown - 100 * MIB) < 2 * MIB
    assert after.uss <= after.pss <= psutil.Process(child.pid).memory_info().rss


def test_shared_pages_are_counted_once(run: Run) -> None:
    """Four processes that share 80 MiB hold 80 MiB of PSS, next to nothing of USS, in total."""
    root = run(
        f"""
        import os, signal, sys
        held = b"x" * {80 * MIB}
        for _ in range(3):
            if os.fork() == 0:
                signal.pause()
        print("ready", flush=True)
        sys.stdin.read()
        """
    )
    assert said(root) == "ready"

    reading = read_memory(tree(root.pid))

    assert reading is not None
    assert reading.processes == 4
    assert 80 * MIB < reading.pss < 120 * MIB
    assert reading.uss < 40 * MIB


def test_a_vanished_process_is_left_out_of_a_reading(source: str, child: Child) -> None:
    """Gone processes and zombies add nothing; of them alone there is no reading."""
    ended = Child()
    ended.process.send_signal(signal.SIGKILL)
    until(lambda: state(ended.pid) == "Z")
    assert cheap_footprint([ended.pid]) == 0
    ended.kill()

    both = read_memory([child.pid, ended.pid])

    assert both is not None
    assert both.processes == 1
    assert read_memory([ended.pid]) is None
    assert read_memory([]) is None
    assert cheap_footprint([ended.pid]) == 0


def test_where_a_process_may_not_be_looked_into_its_unshared_memory_stands_in(
    child: Child,
) -> None:
    """Another user's process is read as resident minus shared, and never as nothing."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody who may not look")
    child.hold(50 * MIB)
    os.seteuid(65534)
    try:
        reading = read_memory([child.pid])
    finally:
        os.seteuid(0)

    assert reading is not None
    assert reading.pss == reading.uss == cheap_footprint([child.pid])
    assert reading.pss > 50 * MIB


def test_a_process_without_memory_of_its_own_yields_no_reading() -> None:
    """A zombie that may not be looked into is left out, too."""
    ended = Child()
    ended.process.send_signal(signal.SIGKILL)
    until(lambda: state(ended.pid) == "Z")
    try:
        assert read_memory([ended.pid]) is None
    finally:
        ended.kill()
