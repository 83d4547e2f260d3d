"""A running `sentinel serve`: a process of its own, with ports that the system chose.

Its events are read as they come. Leaving the block stops it and asserts that nothing of it is left.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.runs import CACHE, slack, wait_until

MARK = "SENTINEL_TEST_SERVICE"

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _die_with_us() -> None:
    """Have the kernel stop the service when the process of the tests dies."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _with_descriptors(limit: int) -> Callable[[], None]:
    """Have the service begin with so many descriptors at most."""

    def begin() -> None:
        _die_with_us()
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    return begin


class Service:
    """One service, from the first line of its log to the last."""

    def __init__(
        self, directory: Path, *options: str, descriptors: int = 0, **environment: str
    ) -> None:
        self.temporary = directory / "temporary"
        self.temporary.mkdir(exist_ok=True)
        self.mark = os.urandom(8).hex()
        self.events: list[dict[str, Any]] = []
        self._errors = (directory / "errors.txt").open("w+")
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "pytest_sentinel.cli", "serve", "--log", "json"),
                *("--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", *options),
            ],
            env={
                **os.environ,
                "XDG_CACHE_HOME": CACHE,
                "TMPDIR": str(self.temporary),
                MARK: self.mark,
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
            preexec_fn=_with_descriptors(descriptors) if descriptors else _die_with_us,
        )
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def named(self, name: str) -> list[dict[str, Any]]:
        """Return the events of this name."""
        return [event for event in list(self.events) if event["event"] == name]

    def errors(self) -> str:
        """Return what it wrote to standard error."""
        self._errors.flush()
        self._errors.seek(0)
        return self._errors.read()

    def wait_started(self) -> None:
        """Wait until it takes clients."""
        wait_until(
            lambda: self.named("service.started") or self.process.poll() is not None,
            30 * slack(),
            "a started service",
        )
        if not self.named("service.started"):
            pytest.fail(f"the service did not start:\n{self.errors()}")

    @property
    def ws(self) -> str:
        """Where leases are."""
        return str(self.named("service.started")[0]["listen"])

    @property
    def control(self) -> str:
        """Where control is, as HOST:PORT."""
        return str(self.named("service.started")[0]["control"]).removeprefix("http://")

    def get(self, path: str, token: str | None = None) -> tuple[int, Any]:
        """Ask the control port; return the status and the JSON, or the text."""
        return self.ask("GET", path, token)

    def ask(
        self, method: str, path: str, token: str | None = None, body: bytes | None = None
    ) -> tuple[int, Any]:
        """Ask the control port in any way."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        request = urllib.request.Request(
            f"http://{self.control}{path}", data=body, headers=headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                status, text = error.code, error.read().decode()
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def leases(self) -> list[dict[str, Any]]:
        """Return the leases that are held."""
        found: list[dict[str, Any]] = self.get("/status")[1]["pool"]["leases"]
        return found

    def browsers(self, state: str = "ready") -> list[dict[str, Any]]:
        """Return the browsers in a state."""
        rows = self.get("/status")[1]["pool"]["browsers"]
        return [row for row in rows if row["state"] == state]

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `sentinel` on it."""
        return subprocess.run(
            [sys.executable, "-m", "pytest_sentinel.cli", *words, "--control", self.control],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def processes(self) -> list[psutil.Process]:
        """Return what lives of it: itself, and all that it started."""
        found = set()
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == self.mark:
                    found.add(process)
                    found.update(process.children(recursive=True))
        return [process for process in found if _lives(process)]

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 30.0) -> int:
        """Signal it, wait for its end, and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(seconds * slack())
        self._reading.join(5.0)
        return status

    def close(self) -> None:
        """End what is left of it by force."""
        for process in self.processes():
            with suppress(psutil.Error):
                process.kill()
        self.process.wait()
        self._reading.join(5.0)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._errors.close()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


@contextmanager
def service(
    directory: Path,
    *options: str,
    descriptors: int = 0,
    wait: bool = True,
    **environment: str,
) -> Iterator[Service]:
    """Run a service, and ``wait`` until it takes clients.

    At the end it stops by SIGTERM, and nothing of it is left.
    """
    running = Service(directory, *options, descriptors=descriptors, **environment)
    try:
        if wait:
            running.wait_started()
        yield running
        running.stop()
        deadline = time.monotonic() + 5 * slack()
        while running.processes() and time.monotonic() < deadline:
            threading.Event().wait(0.05)
        assert [" ".join(process.cmdline())[:100] for process in running.processes()] == []
        assert sorted(path.name for path in running.temporary.iterdir()) == []
    except BaseException:
        told = [running.errors(), *map(json.dumps, running.events)]
        sys.stderr.write("\n".join(told) + "\n")
        raise
    finally:
        running.close()
