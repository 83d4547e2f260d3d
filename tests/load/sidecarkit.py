"""A sidecar with a worker's end that speaks to it plainly: no Locust, no gevent."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil

from pytest_sentinel.load import wire
from tests.runs import CACHE, slack

M = TypeVar("M")

# What a locustfile makes by `class Shopper(BrowserUser)`, without Locust.
HEAD = """
import asyncio
import os
import signal
import threading
from pathlib import Path

HERE = Path(__file__).parent


def task(function):
    def run(user):
        raise AssertionError("nobody calls this here")

    run.scenario = function
    run.__name__ = function.__name__
    return run


class Users:
    sentinel_browser_user = True
    abstract = True
    tasks = ()


def user(**attributes):
    tasks = [value for value in attributes.values() if hasattr(value, "scenario")]
    return type("Shopper", (Users,), {"abstract": False, **attributes, "tasks": tasks})

"""


class Talk:
    """The worker's end of one sidecar."""

    def __init__(self, directory: Path, code: str, **setup: Any) -> None:
        self.directory = directory
        file = directory / "locustfile.py"
        file.write_text(HEAD + code)
        self.temporary = directory / "temporary"
        self.temporary.mkdir()
        ours, theirs = socket.socketpair()
        self.socket = ours
        self._errors = (directory / "errors.txt").open("w+")
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pytest_sentinel.load.sidecar", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, "XDG_CACHE_HOME": CACHE, "TMPDIR": str(self.temporary)},
                stderr=self._errors,
                start_new_session=True,
            )
        self.frames = wire.Frames()
        self.heard: list[wire.Message] = []
        self._read = 0
        artifacts = str(directory / "artifacts")
        self.say(wire.Setup((str(file),), artifacts=artifacts, **setup))

    def say(self, message: wire.Message) -> None:
        """Send a message."""
        self.socket.sendall(wire.encode(message))

    def run(self, iteration: int, scenario: str = "Shopper.buy", **how: Any) -> None:
        """Ask for an iteration."""
        fields = {"user": iteration, "host": None, "pool": "auto", **how}
        self.say(wire.Run(iteration, fields["user"], scenario, fields["host"], fields["pool"]))

    def hear(self, kind: type[M], iteration: int | None = None, seconds: float = 30.0) -> M:
        """Return the next message of a kind that was not returned yet, and wait for it."""
        deadline = time.monotonic() + seconds * slack()
        while True:
            for place, message in enumerate(self.heard):
                is_it = iteration is None or getattr(message, "iteration", None) == iteration
                if isinstance(message, kind) and is_it:
                    del self.heard[place]
                    return message
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                data = self.socket.recv(64 * 1024)
            except TimeoutError:
                raise AssertionError(
                    f"no {kind.__name__} in {seconds} s\n{self.errors()}"
                ) from None
            if not data:
                raise EOFError(self.errors())
            self.heard += self.frames.feed(data)

    def errors(self) -> str:
        """Return what the sidecar wrote."""
        self._errors.flush()
        return Path(self._errors.name).read_text()

    def family(self) -> list[psutil.Process]:
        """Return the sidecar and all that it started."""
        try:
            process = psutil.Process(self.process.pid)
            return [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def named(self, part: str) -> psutil.Process:
        """Return the first process whose command line has ``part``."""
        for process in self.family():
            if part in " ".join(process.cmdline()):
                return process
        raise AssertionError(f"no process {part}")

    def browser(self) -> psutil.Process:
        """Return the main process of the first browser."""
        for process in self.family():
            words = process.cmdline()
            if words and "chrom" in words[0] and not any("--type=" in word for word in words):
                return process
        raise AssertionError("no browser")

    def driver(self) -> psutil.Process:
        """Return Playwright's driver."""
        return self.named("run-driver")

    def close(self) -> None:
        """Close the worker's end, as a worker that ends does, and close what is open here."""
        self.socket.close()
        try:
            self.process.wait(20 * slack())
        finally:
            self.process.kill()
            self.process.wait()
            self._errors.close()


def wait_gone(processes: list[psutil.Process], seconds: float = 5.0) -> list[str]:
    """Return those of ``processes`` that still live after ``seconds``, by their command lines."""
    _, alive = psutil.wait_procs(processes, timeout=seconds * slack())
    found = []
    for process in alive:
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline())[:120])
        except psutil.NoSuchProcess:
            continue
    return found


@contextmanager
def sidecar(directory: Path, code: str, **setup: Any) -> Iterator[Talk]:
    """Run a sidecar; at the end nothing of it is left, not even a file."""
    talk = Talk(directory, code, **setup)
    try:
        yield talk
        family = talk.family()
        talk.close()
        assert wait_gone(family) == []
        assert sorted(path.name for path in talk.temporary.iterdir()) == []
    except BaseException:
        sys.stderr.write(talk.errors())
        raise
    finally:
        for process in talk.family():
            process.kill()
        talk.close()
