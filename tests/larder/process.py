"""Run a larder as a child process, for whoever needs a real one: tests, benchmarks, load.

Standard library only, so that importing it costs nothing and starts nothing.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

_ROOT = Path(__file__).parents[2]

ADMIN_ADDRESS = "admin@larder.test"
ADMIN_PASSWORD = "admin of the tests"

_FOR_TESTS = {
    "LARDER_OUTBOX": "1",
    "LARDER_ADMIN_ADDRESS": ADMIN_ADDRESS,
    "LARDER_ADMIN_PASSWORD": ADMIN_PASSWORD,
    # All tests, and all users of a load, come from one address.
    "LARDER_LOGIN_RATE": "1000000",
    "LARDER_PAYMENT_TIMEOUT": "0.2",
    # Argon2 with its proper parameters takes 50 ms and 64 MiB a login: right for a shop.
    "LARDER_ARGON2_TIME_COST": "1",
    "LARDER_ARGON2_MEMORY_KIB": "64",
}


class LarderDidNotStart(RuntimeError):
    """Raised when a larder ended or stayed silent; the message holds its log."""

    def __init__(self, reason: str, log: str) -> None:
        self.reason = reason
        self.log = log
        super().__init__(f"larder {reason}; its log:\n{log or '(empty)'}")


@dataclass(frozen=True, slots=True)
class Larder:
    """A running larder: where it listens, its database, its log and its process id."""

    url: str
    database_url: str
    log: Path
    pid: int


@contextmanager
def running_larder(
    directory: Path, environment: Mapping[str, str] | None = None, *, timeout: float = 30.0
) -> Iterator[Larder]:
    """Run a larder with its files in ``directory`` until the block ends.

    ``environment`` adds ``LARDER_*`` variables to what tests want: an outbox, an admin, cheap
    hashes. Those of the caller's own environment are not inherited. The database is a SQLite file
    unless ``LARDER_DATABASE_URL`` names another.

    Raises:
        LarderDidNotStart: ``/health`` did not answer 200 within ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    log = directory / "larder.log"
    chosen = {
        "LARDER_DATABASE_URL": f"sqlite:///{directory / 'larder.sqlite3'}",
        **_FOR_TESTS,
        **(environment or {}),
    }
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("LARDER_")
    }
    command = [sys.executable, "-m", "tests.larder", "--port", "0"]
    with (
        log.open("wb") as sink,
        subprocess.Popen(
            command,
            cwd=_ROOT,
            env={**inherited, **chosen},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=sink,
        ) as process,
    ):
        try:
            url = _read_url(process, log, deadline)
            _wait_until_healthy(url, process, log, deadline)
            yield Larder(url, chosen["LARDER_DATABASE_URL"], log, process.pid)
        finally:
            _stop(process)


def _read_url(process: subprocess.Popen[bytes], log: Path, deadline: float) -> str:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(max(0.0, deadline - time.monotonic())):
            raise LarderDidNotStart("printed no URL in time", _text(log))
    line = process.stdout.readline().decode().strip()
    if not line:
        raise LarderDidNotStart(f"ended with status {process.wait()}", _text(log))
    return line


def _wait_until_healthy(
    url: str, process: subprocess.Popen[bytes], log: Path, deadline: float
) -> None:
    pause = threading.Event()
    while True:
        try:
            with urlopen(f"{url}/health", timeout=5):
                return
        except (URLError, OSError) as error:
            if process.poll() is not None:
                reason = f"ended with status {process.returncode}"
                raise LarderDidNotStart(reason, _text(log)) from error
            if time.monotonic() > deadline:
                raise LarderDidNotStart(f"is not healthy: {error}", _text(log)) from error
        pause.wait(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()


def _text(log: Path) -> str:
    return log.read_text(errors="replace")[-8000:]
