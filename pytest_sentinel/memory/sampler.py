"""The sampler: one thread that watches the memory of a few process trees and knows its own cost.

A cheap footprint is taken often; a PSS reading, some 2 ms a process, only when the footprint
has moved or the last reading is old. Law: the thread's share of one CPU stays within its budget,
but for the first reading of each root. A process that vanishes is no error: its last reading
stays. What a reading means is for limits.py to judge.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from dataclasses import dataclass

from pytest_sentinel.memory.processes import (
    MemoryReading,
    ProcessId,
    ProcessTable,
    cheap_footprint,
    identify,
    read_memory,
)
from pytest_sentinel.units import MIB

LONGEST_PAUSE = 2.0
"""Seconds between two checks however short of budget the sampler is."""
MOVED_BYTES = 8 * MIB
MOVED_SHARE = 0.05
SAVED_SECONDS = 5.0
"""So many seconds' worth of unused budget may be spent at once, so that a burst is seen."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Window:
    """What one root held since the last mark; None where it has not been read.

    Attributes:
        start: the last reading when the mark was set; None for what was watched later.
        peak: the reading with the greatest PSS, ``start`` included.
        end: the newest reading.
    """

    start: MemoryReading | None = None
    peak: MemoryReading | None = None
    end: MemoryReading | None = None


@dataclass(frozen=True, slots=True)
class SamplerCost:
    """What watching has cost since the first ``watch()``.

    Attributes:
        cpu_seconds: CPU time of the sampler's thread; this is what the budget bounds.
        wall_seconds: how long the sampler has been running.
        readings: PSS readings taken.
        checks: cheap footprints taken.
        errors: rounds that failed for another reason than a process that vanished.
        caller_cpu_seconds: CPU time of ``poke`` and ``read_now``, in their callers' threads.
    """

    cpu_seconds: float
    wall_seconds: float
    readings: int
    checks: int
    errors: int
    caller_cpu_seconds: float


@dataclass(slots=True, eq=False)
class _Root:
    name: str
    identity: ProcessId | None
    recursive: bool
    footprint: int = 0
    read_at: float = -math.inf
    price: float = 0.0


class Sampler:
    """Watch named process trees from one thread, which starts with the first ``watch()``.

    Every method may be called from any thread. ``close()`` must be called at the end.
    """

    def __init__(
        self, interval: float = 0.1, refresh_after: float = 5.0, budget: float = 0.005
    ) -> None:
        self.interval = interval
        self.refresh_after = refresh_after
        self.budget = budget
        # Two locks: the table's is held for a scan (0.2 ms), the other for a few assignments.
        # Neither is held while memory is read, so that a test never waits for the thread.
        self._scan = threading.Lock()
        self._table = ProcessTable()
        self._lock = threading.Lock()
        self._roots: dict[str, _Root] = {}
        self._windows: dict[str, Window] = {}
        self._marked_at = -math.inf
        self._cpu_seconds = 0.0
        self._caller_cpu_seconds = 0.0
        self._readings = 0
        self._checks = 0
        self._errors = 0
        self._started_at = math.inf
        self._closed_at = math.inf
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._closing = False

    def watch(self, name: str, pid: int, recursive: bool = True) -> None:
        """Watch the process ``pid``, with its descendants unless ``recursive`` is False.

        The first reading is taken at once, in the sampler's thread. A name that is watched
        already passes to the new process, and its window goes on.

        Raises:
            RuntimeError: the sampler is closed.
        """
        root = _Root(name, identify(pid), recursive)
        with self._lock:
            if self._closing:
                raise RuntimeError("bug: watch() on a sampler that is closed")
            self._roots[name] = root
            self._windows.setdefault(name, Window())
            if self._thread is None:
                self._started_at = time.monotonic()
                self._thread = threading.Thread(
                    target=self._run, name="sentinel-sampler", daemon=True
                )
                self._thread.start()
        self._wake.set()

    def unwatch(self, name: str) -> None:
        """Stop watching ``name``; what was read of it stays in the window until the next mark."""
        with self._lock:
            self._roots.pop(name, None)

    def mark(self) -> None:
        """Begin a new window for everything watched: from here on belongs to the next test."""
        with self._lock:
            ends = {name: self._windows[name].end for name in self._roots}
            self._windows = {name: Window(end, end, end) for name, end in ends.items()}
            self._marked_at = time.monotonic()

    def window(self) -> dict[str, Window]:
        """Return what was read since the last mark, by name."""
        with self._lock:
            return dict(self._windows)

    def read_now(self, name: str) -> MemoryReading | None:
        """Take a PSS reading in this thread; None when ``name`` is gone or not watched."""
        return self._ask(name, threshold=None)

    def poke(self, name: str, threshold: int = MOVED_BYTES) -> MemoryReading | None:
        """Take a PSS reading in this thread if memory moved by ``threshold`` since the last.

        Returns that reading, or None when the last one still holds, which a cheap check
        (some 0.1 ms) has then shown, or when ``name`` is gone or not watched. A PSS reading
        of a browser with one page takes 13 ms: raise the threshold where that is too dear.
        """
        return self._ask(name, threshold)

    def cost(self) -> SamplerCost:
        """Return what the sampler has cost so far."""
        with self._lock:
            return SamplerCost(
                cpu_seconds=self._cpu_seconds,
                wall_seconds=max(0.0, min(time.monotonic(), self._closed_at) - self._started_at),
                readings=self._readings,
                checks=self._checks,
                errors=self._errors,
                caller_cpu_seconds=self._caller_cpu_seconds,
            )

    def close(self) -> None:
        """Stop the thread and wait for it, 1 s at most; windows and cost can still be read."""
        with self._lock:
            self._closing = True
            self._closed_at = min(self._closed_at, time.monotonic())
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=1.0)

    def _run(self) -> None:
        credit = missing = 0.0
        paid = time.thread_time()
        earned = time.monotonic()
        while not self._closing:
            try:
                missing = self._round(credit)
            except Exception:
                # Out of file descriptors, for one: the tests' trouble must not end the watch.
                _log.debug("a round of the memory sampler failed", exc_info=True)
                with self._lock:
                    self._errors += 1
            spent = time.thread_time() - paid
            paid += spent
            with self._lock:
                self._cpu_seconds = paid
            credit -= spent
            saving = (missing - credit) / self.budget
            self._wake.wait(min(max(self.interval, saving), LONGEST_PAUSE))
            self._wake.clear()
            wall = time.monotonic() - earned
            earned += wall
            credit = min(credit + wall * self.budget, SAVED_SECONDS * self.budget)

    def _round(self, credit: float) -> float:
        """Check every root; read those that are due, oldest first, while there is credit.

        ``credit`` is CPU time of this thread in seconds. A root never read is read anyway;
        what another reading will cost is taken from its last one. Returns the price of the
        first reading that was due and too dear, or 0.
        """
        with self._lock:
            roots = list(self._roots.values())
        checked = zip(roots, self._check(roots), strict=True)
        now = time.monotonic()
        due = [
            (root, pids, footprint)
            for root, (pids, footprint) in checked
            if pids
            and (_moved(root, footprint, MOVED_BYTES) or now - root.read_at > self.refresh_after)
        ]
        due.sort(key=lambda entry: entry[0].read_at)
        spendable = time.thread_time() + credit
        for root, pids, footprint in due:
            # No reading may cost more than can be saved, or it would never be taken.
            price = min(root.price, SAVED_SECONDS * self.budget)
            dear = root.read_at > -math.inf and time.thread_time() + price > spendable
            if dear or self._closing:
                return price
            self._read(root, pids, footprint)
        return 0.0

    def _ask(self, name: str, threshold: int | None) -> MemoryReading | None:
        began = time.thread_time()
        with self._lock:
            root = self._roots.get(name)
        if root is None:
            return None
        reading = None
        if threshold is None or self._seems_moved(root, threshold):
            [(pids, footprint)] = self._check([root])
            if threshold is None or _moved(root, footprint, threshold):
                reading = self._read(root, pids, footprint)
        with self._lock:
            self._caller_cpu_seconds += time.thread_time() - began
        return reading

    def _seems_moved(self, root: _Root, threshold: int) -> bool:
        """Tell by a look that costs less than a check whether a check is worth its price."""
        if root.identity is None or not root.recursive:
            return True
        with self._scan:
            pids = self._table.glimpse(root.identity.pid)
        footprint = cheap_footprint(pids)
        with self._lock:
            self._checks += 1
        return _moved(root, footprint, threshold)

    def _check(self, roots: list[_Root]) -> list[tuple[list[int], int]]:
        """Return the pids of each root's tree and their cheap footprint."""
        with self._scan:
            self._table.refresh()
            trees = [self._tree(root) for root in roots]
        checked = [(pids, cheap_footprint(pids)) for pids in trees]
        with self._lock:
            self._checks += len(roots)
        return checked

    def _tree(self, root: _Root) -> list[int]:
        if root.identity is None or self._table.identify(root.identity.pid) != root.identity:
            return []
        pid = root.identity.pid
        return self._table.descendants(pid) if root.recursive else [pid]

    def _read(self, root: _Root, pids: list[int], footprint: int) -> MemoryReading | None:
        began = time.thread_time()
        reading = read_memory(pids)
        price = time.thread_time() - began
        with self._lock:
            root.footprint, root.read_at, root.price = footprint, time.monotonic(), price
            if reading is not None:
                self._readings += 1
                if self._roots.get(root.name) is root:
                    before = self._windows[root.name]
                    self._windows[root.name] = _entered(before, reading, self._marked_at)
        return reading


def _moved(root: _Root, footprint: int, threshold: int) -> bool:
    if root.read_at == -math.inf:
        return True
    return abs(footprint - root.footprint) > max(threshold, root.footprint * MOVED_SHARE)


def _entered(window: Window, reading: MemoryReading, marked_at: float) -> Window:
    """Return ``window`` with ``reading`` in it.

    A reading that began before the mark and ended after it shows what the test found, not what
    it did: it is the start of the window if nothing else was read yet, and else is dropped.
    """
    if reading.at < marked_at:
        return Window(reading, reading, reading) if window.end is window.start else window
    peak = reading if window.peak is None or reading.pss > window.peak.pss else window.peak
    end = reading if window.end is None or reading.at >= window.end.at else window.end
    return Window(window.start, peak, end)
