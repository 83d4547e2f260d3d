"""Run a scratch suite in a process of its own, with real browsers, and see what it left.

A scratch suite is one conftest (``KIT``) and one file of tests. Its tests can find and signal
their own browser, and do a thing ``once`` in a run, however often they are repeated.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree as ET

import psutil
import pytest

from pytest_sentinel.telemetry.journal import read_record
from pytest_sentinel.telemetry.record import Attempt, BrowserEvent, Line

# Where the browsers of Playwright are, and the overlay: found again by runs with another HOME.
CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
# Neighbours that are installed here, and cost a scratch run two thirds of its time. How we get on
# with them is for the tests of compatibility.
NEIGHBOURS = (
    *("anyio", "cacheprovider", "django", "html", "hypothesispytest", "locust", "metadata"),
    *("rerunfailures", "timeout"),
)
OPTIONS = tuple(word for name in NEIGHBOURS for word in ("-p", f"no:{name}"))
MARK = "SENTINEL_SCRATCH_RUN"

HEAD = """
import os
import pathlib
import signal
import threading

import psutil
import pytest

HERE = pathlib.Path(__file__).parent
"""
KIT = (
    HEAD
    + '''


def _pid(browser):
    session = browser.new_browser_cdp_session()
    found = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    return next(process["id"] for process in found if process["type"] == "browser")


@pytest.fixture(scope="session")
def pid_of():
    """The pid of a browser's main process."""
    return _pid


@pytest.fixture
def kill(browser):
    """Send a signal to the browser's main process; with ``wait``, see to it that it has died."""

    def send(number=signal.SIGKILL, wait=False):
        process = psutil.Process(_pid(browser))
        process.send_signal(number)
        while wait and process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            threading.Event().wait(0.005)

    return send


@pytest.fixture(scope="session")
def once():
    """Tell, the first time in a run that something is asked about, that it is the first."""

    def is_first(name="it"):
        try:
            (HERE / f"{name}.once").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    return is_first
'''
)


def slack() -> float:
    """Return by how much this machine is slower than an idle one, as its load tells."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait for ``condition``; fail when it does not come true in time."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"after {seconds:.1f} s there was still not: {what}")
        pause.wait(0.02)


class Scratch:
    """A scratch suite, and what its last run told."""

    def __init__(self, pytester: pytest.Pytester, tests: str, kit: str = "") -> None:
        os.environ["XDG_CACHE_HOME"] = CACHE  # pytester gives the environment back
        pytester.makeconftest(KIT + kit)
        pytester.makepyfile(test_it=HEAD + tests)
        self.pytester = pytester
        self.path = pytester.path
        # Not that of this process, where the browser of another test of ours may live.
        self.temporary = self.path / "temporary"
        self.temporary.mkdir()
        os.environ["TMPDIR"] = str(self.temporary)

    def run(self, *options: str) -> pytest.RunResult:
        """Run it to its end."""
        return self.pytester.runpytest_subprocess(*OPTIONS, *options, timeout=300)

    def run_here(self, *options: str) -> pytest.RunResult:
        """Begin and end a run in this process, which is faster, without running a test."""
        # pytest-playwright does not let a test run inside a test.
        return self.pytester.runpytest_inprocess(*OPTIONS, "--collect-only", *options)

    def start(self, *options: str) -> Started:
        """Start it; nothing of it survives the end of a ``with`` around what is returned."""
        return Started(self.path, self.temporary, options)

    def record(self) -> list[Line]:
        """Return the lines of the last run's record."""
        return read_record(self.path / ".sentinel" / "runs" / "latest")

    def attempts(self, name: str = "") -> list[Attempt]:
        """Return the attempts whose node id contains ``name``."""
        return [line for line in self.record() if isinstance(line, Attempt) and name in line.nodeid]

    def events(self, *names: str) -> list[BrowserEvent]:
        """Return what happened to browsers, all of it or by the names of the events."""
        found = [line for line in self.record() if isinstance(line, BrowserEvent)]
        return [line for line in found if not names or line.event in names]

    def browser_log(self) -> str:
        """Return what all browsers of the last run wrote."""
        logs = (self.path / ".sentinel" / "runs" / "latest").glob("browsers-*.log")
        return "".join(log.read_text(errors="replace") for log in logs)

    def testcases(self) -> dict[str, list[ET.Element]]:
        """Return the test cases of ``junit.xml`` by name."""
        found: dict[str, list[ET.Element]] = {}
        for case in ET.parse(self.path / "junit.xml").iter("testcase"):
            found.setdefault(case.attrib["name"], []).append(case)
        return found


def properties(case: ET.Element) -> dict[str, str]:
    """Return the properties of a test case."""
    return {row.attrib["name"]: row.attrib["value"] for row in case.iter("property")}


class Started:
    """A run in the background, known by a mark in the environment of all that it starts."""

    def __init__(self, directory: Path, temporary: Path, options: tuple[str, ...]) -> None:
        self.mark = uuid.uuid4().hex
        self.temporary = temporary
        self._output = (directory / "output.txt").open("w+")
        self._seen: set[psutil.Process] = set()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *OPTIONS, *options],
            cwd=directory,
            env={**os.environ, MARK: self.mark, "TMPDIR": str(self.temporary)},
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.root = psutil.Process(self.process.pid)

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *_: object) -> None:
        self.look()
        for process in self.alive():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()
        self._output.close()

    def output(self) -> str:
        """Return what it has written so far."""
        self._output.flush()
        self._output.seek(0)
        return self._output.read()

    def wait(self, seconds: float = 120.0) -> int:
        """Wait for its end and return its status; what it says goes into the failure."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the run did not end in {seconds} s:\n{self.output()}")

    def look(self) -> set[psutil.Process]:
        """Note, and return, every process of the run: by its mark, or as a child of one.

        Chromium's own children write their titles over the environment that they were given.
        """
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark:
                    self._seen.add(process)
                    self._seen.update(process.children(recursive=True))
            except psutil.Error:
                continue
        return self._seen

    def browsers(self) -> list[psutil.Process]:
        """Return the main processes of the browsers that live now."""
        return [
            process
            for process in self.alive()
            if "--remote-debugging-pipe" in _words(process) and "--type=" not in _words(process)
        ]

    def alive(self) -> list[psutil.Process]:
        """Return the processes of the run that live now."""
        return [process for process in self.look() if _is_alive(process)]

    def signal_all(self, number: signal.Signals) -> None:
        """Signal its process group, as a terminal does on Ctrl-C."""
        os.killpg(self.process.pid, number)

    def assert_all_gone(self, seconds: float = 5.0) -> None:
        """Assert that within ``seconds`` no process of the run and no profile is left."""
        deadline = seconds * slack()
        self.process.poll()
        wait_until(
            lambda: self.process.poll() is not None and not self.alive(),
            deadline,
            f"an end of {[(p.pid, _words(p)[:80]) for p in self.alive()]}",
        )
        left = self.leftovers()
        assert left == [], f"left in the temporary directory: {left}"

    def leftovers(self) -> list[str]:
        """Return what lies in the run's temporary directory that a browser or the pool made."""
        ours = ("playwright_", "playwright-artifacts", "sentinel-", "org.chromium", ".org.chromium")
        found = [path.name for path in self.temporary.iterdir()]
        return [name for name in found if name.startswith(ours) or "profile" in name]


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
