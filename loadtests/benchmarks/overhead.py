"""What the plugin costs: the same suite plain and with it, alternating, on xdist workers.

Both runs get the same browser from the same registry; the plain one blocks the plugin. Wall time
is the whole run's. Memory is the peak of the PSS of the whole process tree, read from outside in
the same way for both. Ratios count, not seconds: on a busy machine both runs are slow.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from pytest_sentinel.browsers import prepare
from pytest_sentinel.telemetry.journal import read_record
from pytest_sentinel.telemetry.record import BrowserEvent, End
from pytest_sentinel.units import format_size

HERE = Path(__file__).parent
TARGET = 1.03
TARGET_OF_EVERYTHING = 1.05
# What a run can be told to measure beyond its defaults.
EVERYTHING = (
    *("--sentinel-metrics=127.0.0.1:0", "--sentinel-metrics-linger=off", "--sentinel-textfile=."),
    "--sentinel-page-metrics=on",
    "--sentinel-gates=infrastructure_rate: rate == 0%; harness_rate: rate == 0%",
)
_PSS = re.compile(rb"^Pss: +(\d+) kB", re.MULTILINE)

SUITE = """
import pytest


@pytest.mark.parametrize("number", range({short}))
def test_short(page, number):
    page.set_content("<button onclick='this.textContent = 1'>0</button>")
    page.locator("button").click()
    assert page.locator("button").text_content() == "1"


@pytest.mark.parametrize("number", range({waiting}))
def test_waiting(page, number):
    page.set_content("<p>waiting</p>")
    assert page.evaluate("new Promise(done => setTimeout(() => done(7), 150))") == 7
"""


@dataclass(frozen=True)
class Measured:
    """One run: seconds of wall time, seconds of CPU of all its processes, peak bytes of PSS."""

    wall: float
    cpu: float
    peak: int


def main() -> int:
    """Run the benchmark; the exit status is 1 when a ratio is above its target."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="sentinel-overhead-") as name:
        suite = Path(name)
        (suite / "pytest.ini").write_text("[pytest]\n")
        (suite / "test_suite.py").write_text(
            SUITE.format(short=options.short, waiting=options.waiting)
        )
        print(
            f"{options.short} short and {options.waiting} waiting tests, -n {options.workers},"
            f" {options.pairs} pairs, load before {os.getloadavg()[0]:.1f}"
        )
        for sentinel in (False, True):  # both find their files in the cache, and compiled
            _measure(suite, options.workers, sentinel=sentinel)
        extra = EVERYTHING if options.everything else ()
        pairs = list(_pairs(suite, options.workers, options.pairs, extra))
        good = _conclude(pairs, TARGET_OF_EVERYTHING if options.everything else TARGET)
        _say_where(suite, options.workers, options.short + options.waiting)
    return 0 if good else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5, help="plain and sentinel runs (5)")
    parser.add_argument("--short", type=int, default=200, help="short tests in the suite (200)")
    parser.add_argument("--waiting", type=int, default=60, help="tests that wait 150 ms (60)")
    parser.add_argument("--workers", "-n", type=int, default=2, help="xdist workers (2)")
    parser.add_argument("--everything", action="store_true", help="with metrics and gates, too")
    return parser.parse_args()


def _pairs(
    suite: Path, workers: int, count: int, extra: tuple[str, ...]
) -> Iterator[tuple[Measured, Measured]]:
    print(f"{'pair':>4}  {'plain':^28}  {'sentinel':^28}  {'wall':>6}  {'cpu':>6}  {'peak':>6}")
    for number in range(1, count + 1):
        # Whoever runs second finds the machine warmer or busier: take turns.
        order = (False, True) if number % 2 else (True, False)
        found = {
            sentinel: _measure(suite, workers, sentinel=sentinel, extra=extra if sentinel else ())
            for sentinel in order
        }
        plain, ours = found[False], found[True]
        shown = [
            f"{each.wall:6.2f} s {each.cpu:6.1f} s {format_size(each.peak):>10}"
            for each in (plain, ours)
        ]
        print(
            f"{number:>4}  {shown[0]:>28}  {shown[1]:>28}  {ours.wall / plain.wall:6.3f}"
            f"  {ours.cpu / plain.cpu:6.3f}  {ours.peak / plain.peak:6.3f}",
            flush=True,
        )
        yield plain, ours


def _conclude(pairs: list[tuple[Measured, Measured]], target: float) -> bool:
    good = True
    for name in ("wall", "cpu", "peak"):
        ratios = [getattr(ours, name) / getattr(plain, name) for plain, ours in pairs]
        middle = statistics.median(ratios)
        line = f"{name:<5} median {middle:.3f}, from {min(ratios):.3f} to {max(ratios):.3f}"
        if name != "cpu":
            good = good and middle <= target
            line += f"  (target <= {target}: {'met' if middle <= target else 'missed'})"
        print(line)
    return good


def _measure(suite: Path, workers: int, *, sentinel: bool, extra: tuple[str, ...] = ()) -> Measured:
    """Run the suite once and watch its tree from outside."""
    environ = dict(os.environ)
    # What pip installs is compiled. Where Python may keep nothing, this source tree alone would be
    # compiled anew by every process, and that be taken for what the plugin costs.
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    prepare(environ)
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(workers), *extra]
    command += ["-p", "no:locust", "-p", "no:cacheprovider"]
    if not sentinel:
        command += ["-p", "no:sentinel"]
    before = os.times()
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=suite, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    peak = _Peak(process.pid)
    output, _ = process.communicate()
    wall = time.perf_counter() - began
    after = os.times()
    if process.returncode != 0:
        raise SystemExit(f"the suite failed:\n{output}")
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    return Measured(wall, cpu, peak.stop())


class _Peak:
    """The greatest PSS of a process and all its descendants, looked at once a second."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._stopped = threading.Event()
        self._peak = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.wait(1.0):
            with suppress(psutil.Error):
                tree = [self._process, *self._process.children(recursive=True)]
                self._peak = max(self._peak, sum(_pss(process.pid) for process in tree))

    def stop(self) -> int:
        self._stopped.set()
        self._thread.join()
        return max(1, self._peak)


def _pss(pid: int) -> int:
    with suppress(OSError):
        found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_bytes())
        return int(found[1]) * 1024 if found else 0
    return 0


def _say_where(suite: Path, workers: int, tests: int) -> None:
    """Run once more with every hook and fixture of the plugin timed, and print where it goes."""
    (suite / "stopwatch.py").write_bytes((HERE / "stopwatch.py").read_bytes())
    _measure(suite, workers, sentinel=True, extra=("-p", "stopwatch"))
    lines = read_record(suite / ".sentinel" / "runs" / "latest")
    end = next(line for line in lines if isinstance(line, End))
    launches = [
        line.seconds
        for line in lines
        if isinstance(line, BrowserEvent) and line.seconds is not None
    ]
    print("where it goes (one more run, with the plugin's hooks and fixtures timed)")
    for where in ("worker", "controller"):
        found: dict[str, list[float]] = {}
        for file in suite.glob(f"stopwatch-{where}-*.tsv"):
            for row in file.read_text().splitlines():
                name, *numbers = row.split("\t")
                entry = found.setdefault(name, [0.0, 0.0, 0.0])
                entry[:] = [total + float(more) for total, more in zip(entry, numbers, strict=True)]
        wall, cpu = (sum(entry[index] for entry in found.values()) for index in (1, 2))
        print(
            f"  {where}: {1000 * wall / tests:.2f} ms a test,"
            f" {1000 * cpu / tests:.2f} ms of it CPU; {wall:.2f} s in all"
        )
        for name, (calls, wall, cpu) in sorted(found.items(), key=lambda row: -row[1][2])[:8]:
            print(
                f"    {name:<50} {calls:6.0f} x {1e6 * wall / calls:8.0f} us,"
                f" {1e6 * cpu / calls:7.0f} us of CPU"
            )
    print(f"  sampler threads: {end.sampler_seconds:.2f} s of CPU")
    print(f"  launches, Playwright's part included: {', '.join(f'{s:.2f} s' for s in launches)}")


if __name__ == "__main__":
    sys.exit(main())
