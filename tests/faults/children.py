"""Real child processes for the tests of processes and memory; each ends with its fixture."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MIB = 1024**2
REPOSITORY = Path(__file__).parents[2]

PARENT_OF_ONE = """
import subprocess, sys
child = subprocess.Popen(["sleep", "1000"])
print(child.pid, flush=True)
sys.stdin.read()
"""

_HOLDER = """
import sys
held = None
for line in sys.stdin:
    held = None
    held = b"x" * int(line)
    print("done", flush=True)
"""


class Child:
    """A Python process that holds as many bytes as it is told to."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _HOLDER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self.process.pid
        self.hold(0)

    def hold(self, size: int) -> None:
        """Make it hold ``size`` bytes in place of what it held."""
        assert self.process.stdin
        assert self.process.stdout
        print(size, file=self.process.stdin, flush=True)
        assert self.process.stdout.readline() == "done\n"

    def kill(self) -> None:
        """End it and leave nothing of it, not even a zombie."""
        self.process.kill()
        self.process.communicate()


def until(condition: Callable[[], object], timeout: float = 10.0) -> None:
    """Wait until ``condition()`` is true; fail the test when it is not in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        threading.Event().wait(0.005)


Run = Callable[..., "subprocess.Popen[str]"]


@contextmanager
def programs() -> Iterator[Run]:
    """Give a function that starts a Python program as leader of a group; end all groups."""
    started: list[subprocess.Popen[str]] = []

    def run(source: str, *before: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*before, sys.executable, "-c", textwrap.dedent(source)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd=REPOSITORY,
        )
        started.append(process)
        return process

    try:
        yield run
    finally:
        for process in started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    """Return the next line that a program printed."""
    assert process.stdout
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str]) -> None:
    """Let a program that waits for a line go on."""
    assert process.stdin
    print("go", file=process.stdin, flush=True)
