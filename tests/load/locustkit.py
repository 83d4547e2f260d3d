"""Locust as people run it: a process of its own, headless, with real browsers and a report.

Leaving a run asserts that five seconds later nothing of it lives, and that every iteration is in
the report once.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from tests.runs import CACHE, slack, wait_until

ROOT = Path(__file__).resolve().parents[2]
MARK = "SENTINEL_TEST_LOAD"

HEAD = """
import asyncio
import os
import signal
from pathlib import Path

from locust import FastHttpUser, constant, constant_pacing

from pytest_sentinel.load import BrowserUser, task

HERE = Path(__file__).parent
"""

FLOW = """
class Shopper(BrowserUser):
    wait_time = constant(0.2)

    @task
    async def look(self, page, step):
        async with step("meals"):
            await page.goto("/meals")
        async with step("kitchen"):
            await page.get_by_role("link", name="Kitchen").click()
            await page.locator("#kitchen li button").first.click()
"""


class Run:
    """One run of Locust, with the code of a locustfile or with a file that is there."""

    def __init__(
        self, directory: Path, code: str | Path, *options: str, **environment: str
    ) -> None:
        self.directory = directory
        if isinstance(code, Path):
            self.file = code
        else:
            self.file = directory / "locustfile.py"
            self.file.write_text(HEAD + code)
        self.temporary = directory / "temporary"
        self.temporary.mkdir(exist_ok=True)
        self.mark = os.urandom(8).hex()
        self.log = directory / "locust.txt"
        self.report_file = directory / "report.json"
        self._sink = self.log.open("w")
        # Every master would listen on the one port that Locust has for all of them.
        master = str(free_port())
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "locust", "-f", str(self.file), "--only-summary"),
                *("--sentinel-report", str(self.report_file), *options),
            ],
            cwd=directory,
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")},
                "XDG_CACHE_HOME": CACHE,
                "TMPDIR": str(self.temporary),
                "PYTHONPATH": str(ROOT),
                "LOCUST_MASTER_BIND_PORT": master,
                "LOCUST_MASTER_NODE_PORT": master,
                MARK: self.mark,
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=self._sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def text(self) -> str:
        """Return what it wrote so far."""
        return self.log.read_text(errors="replace")

    def report(self) -> dict[str, Any]:
        """Return its report."""
        found: dict[str, Any] = json.loads(self.report_file.read_text())
        return found

    def family(self) -> list[psutil.Process]:
        """Return every process that it started, by the mark in their environments."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                # A zombie has no environment; a browser's children carry it, too.
                if process.environ().get(MARK) == self.mark:
                    found.append(process)
        return found

    def find(self, matches: Callable[[list[str]], bool]) -> list[psutil.Process]:
        """Return the processes of this run whose command lines match."""
        found = []
        for process in self.family():
            with suppress(psutil.Error):
                if (words := process.cmdline()) and matches(words):
                    found.append(process)
        return found

    def browsers(self) -> list[psutil.Process]:
        """Return the main processes of its browsers."""
        return self.find(
            lambda words: "chrom" in words[0] and not any("--type=" in word for word in words)
        )

    def drivers(self) -> list[psutil.Process]:
        """Return the drivers of Playwright."""
        return self.find(lambda words: "run-driver" in words)

    def sidecars(self) -> list[psutil.Process]:
        """Return the sidecars."""
        return self.find(lambda words: "pytest_sentinel.load.sidecar" in words)

    def workers(self) -> list[psutil.Process]:
        """Return Locust's own worker processes, children of its master."""
        processes = self.find(lambda words: "locust" in words)
        return [process for process in processes if process.pid != self.process.pid]

    def until(self, *parts: str, seconds: float = 60.0) -> None:
        """Wait until it has written all ``parts``."""
        wait_until(
            lambda: all(part in self.text() for part in parts) or self.process.poll() is not None,
            seconds * slack(),
            f"{parts} in:\n{self.text()}",
        )
        assert all(part in self.text() for part in parts), self.text()

    def until_there(self, name: str, seconds: float = 60.0) -> None:
        """Wait until a scenario has made a file of this name."""
        there = self.directory / name
        wait_until(
            lambda: there.exists() or self.process.poll() is not None,
            seconds * slack(),
            f"{name}:\n{self.text()}",
        )
        assert there.exists(), self.text()

    def wait(self, seconds: float = 90.0) -> int:
        """Return its exit status."""
        return self.process.wait(seconds * slack())

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Signal it, and return its exit status."""
        self.process.send_signal(number)
        return self.wait()

    def leftovers(self, seconds: float = 5.0) -> list[str]:
        """Return what lives of it after ``seconds``, and what it left in its temporary files."""
        deadline = time.monotonic() + seconds * slack()
        while (found := self._alive()) and time.monotonic() < deadline:
            threading.Event().wait(0.1)
        files = [
            path.name
            for path in self.temporary.iterdir()
            if not path.name.startswith(("tmp", ".org.chromium", "locust"))
        ]
        return found + files

    def _alive(self) -> list[str]:
        found = []
        for process in self.family():
            with suppress(psutil.Error):
                found.append(" ".join(process.cmdline())[:100])
        return found

    def close(self) -> None:
        """End what is left of it by force."""
        for process in self.family():
            with suppress(psutil.Error):
                process.kill()
        self.process.wait()
        self._sink.close()


@contextmanager
def locust(directory: Path, code: str | Path, *options: str, **environment: str) -> Iterator[Run]:
    """Run Locust; nothing of it is left at the end."""
    run = Run(directory, code, *options, **environment)
    try:
        yield run
        if run.process.poll() is None:
            run.stop()
        left = run.leftovers()
        assert not left, left
    except BaseException:
        sys.stderr.write(run.text())
        raise
    finally:
        run.close()


def booked(report: dict[str, Any]) -> dict[str, int]:
    """Return the outcomes of a report, having seen that every iteration is in one of them."""
    outcomes: dict[str, int] = report["outcomes"]
    assert sum(outcomes.values()) == report["begun"], report
    return outcomes


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Tell whether a web interface is up."""
    try:
        return bool(get(port, "/"))
    except OSError:
        return False


def get(port: int, path: str) -> bytes:
    """Return a page of a web interface."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        body: bytes = answer.read()
        return body


def post(port: int, path: str, body: str) -> None:
    """Press a button of a web interface."""
    url = f"http://127.0.0.1:{port}/{path}"
    request = urllib.request.Request(url, data=body.encode(), method="POST")
    with urllib.request.urlopen(request, timeout=60):
        pass
