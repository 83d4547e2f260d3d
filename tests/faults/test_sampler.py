"""The sampler against real processes: what it sees, what it leaves, what it costs."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator

import pytest

from pytest_sentinel.memory import sampler as sampler_module
from pytest_sentinel.memory.processes import MemoryReading, state
from pytest_sentinel.memory.sampler import Sampler, Window
from tests.faults.children import MIB, Child, Run, programs, said, tell, until


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


def test_a_peak_between_two_ends_is_seen(sampler: Sampler, child: Child) -> None:
    """100 MiB that came and went are in the peak, and neither in start nor in end.

    Growth that is caught half-way leaves up to the threshold of 8 MiB unread.
    """
    watch(sampler, "child", child.pid)
    sampler.mark()
    start = end(sampler, "child")

    child.hold(100 * MIB)
    until(lambda: end(sampler, "child").pss > start.pss + 91 * MIB)
    child.hold(0)
    until(lambda: end(sampler, "child").pss < start.pss + 9 * MIB)
    window = sampler.window()["child"]

    assert window.start == start
    assert window.peak is not None
    assert window.end is not None
    assert 91 * MIB < window.peak.pss - start.pss < 102 * MIB
    assert window.start.at < window.peak.at < window.end.at


def test_a_mark_begins_a_window_at_the_last_reading(sampler: Sampler, child: Child) -> None:
    """After a mark start, peak and end are the last reading, however high the peak was."""
    watch(sampler, "child", child.pid)
    child.hold(50 * MIB)
    until(lambda: end(sampler, "child").pss > 40 * MIB)
    child.hold(0)
    until(lambda: end(sampler, "child").pss < 30 * MIB)

    sampler.mark()
    window = sampler.window()["child"]

    assert window.end is not None
    assert window == Window(window.end, window.end, window.end)
    assert window.end.pss < 30 * MIB


def test_what_is_watched_after_the_mark_has_no_start(sampler: Sampler, child: Child) -> None:
    """A process that was not there when the test began has a peak and an end only."""
    sampler.mark()
    first = watch(sampler, "child", child.pid)

    assert sampler.window()["child"] == Window(None, first, first)


def test_what_is_no_longer_watched_stays_until_the_next_mark(
    sampler: Sampler, child: Child
) -> None:
    """The readings of a browser that was replaced belong to the test that saw it."""
    watch(sampler, "child", child.pid)
    before = sampler.window()
    sampler.unwatch("child")

    assert sampler.window() == before
    assert sampler.read_now("child") is None
    assert sampler.poke("child") is None
    sampler.mark()
    assert sampler.window() == {}


def test_a_name_passes_to_a_new_process_and_its_window_goes_on(
    sampler: Sampler, child: Child
) -> None:
    """The peak of a window is that of all the processes that had the name."""
    child.hold(60 * MIB)
    first = watch(sampler, "browser", child.pid)
    successor = Child()
    try:
        sampler.watch("browser", successor.pid)
        until(lambda: end(sampler, "browser") != first)

        assert sampler.window()["browser"].peak == first
        assert end(sampler, "browser").pss < first.pss - 50 * MIB
    finally:
        successor.kill()


def test_a_killed_process_drops_out_of_its_tree(sampler: Sampler) -> None:
    """The tree is one process and its memory smaller when a child of the root has died."""
    with programs() as run:
        root = parent_of(run, 40 * MIB)
        first = watch(sampler, "tree", root.pid)
        alone = watch(sampler, "root", root.pid, recursive=False)
        assert (first.processes, alone.processes) == (2, 1)

        tell(root)
        assert said(root) == "dead"
        until(lambda: end(sampler, "tree").processes == 1)

        assert end(sampler, "tree").pss < first.pss - 38 * MIB
        assert sampler.cost().errors == 0


def parent_of(run: Run, size: int) -> subprocess.Popen[str]:
    root = run(
        f"""
        import os, signal, sys
        held = b"x" * {size}
        child = os.fork()
        if child == 0:
            held = b"y" * {size}
            os.write(1, b"ready\\n")
            signal.pause()
        del held
        sys.stdin.readline()
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        print("dead", flush=True)
        sys.stdin.read()
        """
    )
    assert said(root) == "ready"
    return root


def test_a_vanished_root_keeps_its_last_readings(sampler: Sampler, child: Child) -> None:
    """A process that died is no error: its window stays, and nothing new is read."""
    watch(sampler, "child", child.pid)
    child.process.send_signal(signal.SIGKILL)
    until(lambda: state(child.pid) == "Z")
    assert sampler.read_now("child") is None
    child.kill()
    before, checks = sampler.window(), sampler.cost().checks

    until(lambda: sampler.cost().checks > checks + 3)

    assert sampler.window() == before
    assert sampler.read_now("child") is None
    assert sampler.poke("child") is None
    assert sampler.cost().errors == 0


def test_a_process_that_was_never_there_has_an_empty_window(sampler: Sampler, child: Child) -> None:
    """To watch a pid that has died already is no error either."""
    child.kill()
    sampler.watch("child", child.pid)
    until(lambda: sampler.cost().checks > 1)

    assert sampler.window() == {"child": Window(None, None, None)}
    assert sampler.read_now("child") is None
    assert sampler.cost().errors == 0


def test_a_reading_on_request_enters_the_window(child: Child) -> None:
    """read_now() returns the newest reading, which is the window's end from then on."""
    sampler = Sampler(interval=60, budget=1)
    try:
        first = watch(sampler, "child", child.pid)
        reading = sampler.read_now("child")

        assert reading is not None
        assert reading.at > first.at
        assert end(sampler, "child") == reading
    finally:
        sampler.close()


def test_a_poke_reads_only_when_memory_has_moved(child: Child) -> None:
    """A poke takes no reading while nothing moved, and takes one past its threshold."""
    sampler = Sampler(interval=60, budget=1)
    try:
        first = watch(sampler, "child", child.pid)
        assert sampler.poke("child") is None
        assert end(sampler, "child") == first

        child.hold(20 * MIB)
        assert sampler.poke("child", threshold=32 * MIB) is None
        reading = sampler.poke("child")

        assert reading is not None
        assert reading.pss > first.pss + 18 * MIB
        assert end(sampler, "child") == reading
        assert sampler.poke("child") is None
    finally:
        sampler.close()


def test_small_movements_are_read_when_the_last_reading_is_old(child: Child) -> None:
    """After ``refresh_after`` seconds a reading is due although nothing moved."""
    sampler = Sampler(interval=0.01, refresh_after=0.1, budget=0.5)
    try:
        first = watch(sampler, "child", child.pid)
        until(lambda: end(sampler, "child") != first)

        assert end(sampler, "child").at >= first.at + 0.1
    finally:
        sampler.close()


def reading(pss: int, at: float) -> MemoryReading:
    return MemoryReading(pss=pss, uss=pss, processes=1, at=at)


def test_a_reading_under_way_at_the_mark_is_the_start_of_the_new_window() -> None:
    """It shows what the test found, so its peak is not charged to the test."""
    last, late = reading(600, at=1), reading(500, at=2)

    assert sampler_module._entered(Window(last, last, last), late, marked_at=3) == Window(
        late, late, late
    )


def test_a_reading_from_before_the_mark_is_dropped_after_a_newer_one() -> None:
    """The new window has a reading of its own then, and needs no older start."""
    last, own, late = reading(100, at=1), reading(110, at=4), reading(500, at=2)
    window = Window(last, own, own)

    assert sampler_module._entered(window, late, marked_at=3) == window


def test_readings_that_overtake_each_other_keep_the_newest_at_the_end() -> None:
    """Peak is the greatest whenever it was read; end is the one that began last."""
    first, second = reading(900, at=4), reading(100, at=5)
    window = sampler_module._entered(Window(), second, marked_at=3)

    assert sampler_module._entered(window, first, marked_at=3) == Window(None, first, second)
