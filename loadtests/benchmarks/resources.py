"""What the search for leftovers costs each test: the guard itself, and a run with and without it.

    python loadtests/benchmarks/resources.py [--tests N] [--rounds N]

Loaded into the measured runs as a pytest plugin, this file times each test as a whole and, of
that, what the guard and its notes take: ``begin``, ``end``, the halves of its hooks around others,
and every origin that is taken. CPU is of the whole process, and so includes its other threads.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

TARGET_MS = 1.0
SUITES = {
    "trivial": """
        import pytest
        @pytest.mark.parametrize("number", range({tests}))
        def test_trivial(number):
            assert number >= 0
    """,
    "files and fixtures": """
        import pytest
        @pytest.fixture(scope="module")
        def wide(tmp_path_factory):
            with (tmp_path_factory.mktemp("wide") / "file").open("w") as file:
                yield file
        @pytest.mark.parametrize("number", range({tests}))
        def test_files(wide, tmp_path, number):
            for name in "abcd":
                (tmp_path / name).write_text("x")
            wide.write("x")
    """,
    "page": """
        import pytest
        @pytest.mark.parametrize("number", range({pages}))
        def test_page(page, number):
            page.on("request", lambda request: None)
            page.route("**/x", lambda route: route.abort())
            page.set_content("<h1>page</h1>")
            assert page.query_selector("h1")
    """,
}
IMPORTS = """
import sys, time
if {listens}:
    from pytest_sentinel.leaks.acquisitions import Acquisitions
    from pytest_sentinel.leaks.origins import Origins
    notes = Acquisitions(Origins())
    notes.watch()
    if not {hears}:
        notes.close()
known = len(sys.modules)
began = time.process_time()
import asyncio, email.mime.text, http.server, xml.dom.minidom, unittest.mock
import httpx, hypothesis, requests, sqlalchemy.orm, playwright.sync_api
print(time.process_time() - began, len(sys.modules) - known)
"""
_FILE = "SENTINEL_BENCHMARK_FILE"


class Clock:
    """Wall and CPU seconds that were spent inside something, nested calls counted once."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0
        self._depth = 0

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def inner(*args: Any, **kwargs: Any) -> Any:
            self._depth += 1
            wall, cpu = time.perf_counter(), time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                self._depth -= 1
                if not self._depth:
                    self.wall += time.perf_counter() - wall
                    self.cpu += time.process_time() - cpu

        return inner

    def timed_halves(self, hook: Callable[..., Any]) -> Callable[..., Any]:
        """Time a wrapping hook without what it wraps."""

        def inner(fixturedef: Any, request: Any) -> Generator[None, Any, Any]:
            wrapped = hook(fixturedef=fixturedef, request=request)
            self.timed(next)(wrapped)
            try:
                result = yield
            except BaseException as error:
                wrapped.throw(error)
                raise
            try:
                self.timed(wrapped.send)(result)
            except StopIteration as stopped:
                return stopped.value
            raise AssertionError("a wrapper yielded twice")

        return inner


class Timing:
    """The pytest plugin: one row for each test."""

    def __init__(self) -> None:
        self.guard = Clock()
        self.rows: list[tuple[float, float, float, float]] = []

    def pytest_collection_finish(self, session: Any) -> None:
        guard = session.config.pluginmanager.getplugin("sentinel-resources")
        if guard is None:
            return
        guard.begin = self.guard.timed(guard.begin)
        guard.end = self.guard.timed(guard.end)
        for impl in session.config.hook.pytest_fixture_setup.get_hookimpls():
            if impl.plugin is guard:
                impl.function = self.guard.timed_halves(impl.function)
        notes = guard._notes
        notes.origins.take = self.guard.timed(notes.origins.take)

    def pytest_runtest_logstart(self) -> None:
        self._began = time.perf_counter(), time.process_time(), self.guard.wall, self.guard.cpu

    def pytest_runtest_logfinish(self) -> None:
        wall, cpu, guard_wall, guard_cpu = self._began
        self.rows.append(
            (
                time.perf_counter() - wall,
                time.process_time() - cpu,
                self.guard.wall - guard_wall,
                self.guard.cpu - guard_cpu,
            )
        )

    def pytest_unconfigure(self) -> None:
        Path(os.environ[_FILE]).write_text(json.dumps(self.rows))


def pytest_configure(config: Any) -> None:
    config.pluginmanager.register(Timing())


def measure(suite: str, mode: str) -> list[list[float]]:
    """Run a suite; return a row for each test: wall, CPU, the guard's wall, its CPU."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_suite.py").write_text(suite)
        Path(folder, "pytest.ini").write_text("[pytest]\n")
        rows = Path(folder, "rows.json")
        path = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:locust", "-p", "resources"]
        ran = subprocess.run(
            [*command, "-p", "no:cacheprovider", f"--sentinel-leaks={mode}"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path), _FILE: str(rows)},
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode != 0:
            raise SystemExit(ran.stdout + ran.stderr)
        found: list[list[float]] = json.loads(rows.read_text())
        return found[1:-1]  # the first starts the browser, the last ends it


def quantiles(values: list[float]) -> tuple[float, float]:
    """Return the median and the 95th percentile, in milliseconds."""
    ordered = sorted(values)
    return 1000 * statistics.median(ordered), 1000 * ordered[int(0.95 * (len(ordered) - 1))]


def print_imports(rounds: int) -> None:
    """Print what a pile of imports costs: hardly anything raises more audit events."""
    print("\nCPU of importing", end="")
    for name, listens, hears in (
        ("without a hook", False, False),
        ("heard", True, True),
        ("deaf", True, False),
    ):
        code = IMPORTS.format(listens=listens, hears=hears)
        seconds = []
        for _ in range(rounds):
            ran = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True
            )
            cpu, modules = ran.stdout.split()
            seconds.append(float(cpu))
        if name == "without a hook":
            print(f" {modules} modules, median of {rounds}:", end="")
        print(f"  {name} {1000 * statistics.median(seconds):.0f} ms", end="")
    print()


def main() -> int:
    """Print the table; fail when the guard's median is above the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"{'ms per test':20} {'':>8} {'guard':>15} {'test, on':>15} {'test, off':>15}")
    print(f"{'':20} {'':>8} {'p50':>7} {'p95':>7} {'p50':>7} {'p95':>7} {'p50':>7} {'p95':>7}")
    worst = 0.0
    for name, text in SUITES.items():
        lines = text.format(tests=options.tests, pages=max(20, options.tests // 8)).splitlines()
        suite = "\n".join(line.removeprefix(" " * 8) for line in lines)
        on: list[list[float]] = []
        off: list[list[float]] = []
        for _ in range(options.rounds):  # in turns, for the machine has other work too
            on += measure(suite, "warn")
            off += measure(suite, "off")
        for clock, column in (("CPU", 1), ("wall", 0)):
            guard = quantiles([row[column + 2] for row in on])
            figures = (
                *guard,
                *quantiles([row[column] for row in on]),
                *quantiles([row[column] for row in off]),
            )
            print(f"{name:20} {clock:>8} " + " ".join(f"{figure:7.3f}" for figure in figures))
            if clock == "CPU":
                worst = max(worst, guard[0])
    print_imports(3 * options.rounds)
    print(f"the guard's worst median: {worst:.3f} ms of CPU; target {TARGET_MS} ms")
    return int(worst > TARGET_MS)


if __name__ == "__main__":
    raise SystemExit(main())
