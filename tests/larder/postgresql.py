"""Run a PostgreSQL of one's own, for whoever wants a larder on one: tests and load.

It listens on 127.0.0.1 alone, trusts everybody who comes there, and forgets all at its end: its
disk is never waited for. It refuses to run as root, so root starts it as another user.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

OWNER = "larder"

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
_ATTEMPTS = 3


class PostgresqlDidNotStart(RuntimeError):
    """Raised when PostgreSQL is not installed, or ended at once; the message holds its log."""

    def __init__(self, reason: str, log: str = "") -> None:
        self.reason = reason
        super().__init__(f"PostgreSQL {reason}{f'; its log:{chr(10)}{log}' if log else ''}")


@dataclass(frozen=True, slots=True)
class Postgresql:
    """A running server."""

    port: int

    def create_database(self) -> str:
        """Create an empty database that nobody else uses, and return its URL."""
        name = f"larder_{uuid4().hex[:12]}"
        with self.connect("postgres") as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return f"postgresql+psycopg://{OWNER}@127.0.0.1:{self.port}/{name}"

    def connect(self, name: str) -> psycopg.Connection[Any]:
        """Connect to a database as its owner; each statement stands for itself."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=OWNER, dbname=name, autocommit=True
        )


def programs() -> Path | None:
    """Return the directory of the newest PostgreSQL that is installed."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((path.parent for path in debian), key=_version, default=None)


@contextmanager
def running_postgresql(*, timeout: float = 60.0) -> Iterator[Postgresql]:
    """Run a server until the block ends; its files are gone afterwards.

    Raises:
        PostgresqlDidNotStart: it is not installed, or did not come up in time.
    """
    tools = programs()
    if tools is None:
        raise PostgresqlDidNotStart("is not installed: apt-get install postgresql")
    directory = Path(tempfile.mkdtemp(prefix="postgresql-", dir=_public_place()))
    try:
        who = _somebody(directory)
        log = directory / "log"
        data = directory / "data"
        with log.open("wb") as sink:
            subprocess.run(
                [
                    *(tools / "initdb", "--pgdata", data, "--username", OWNER, "--auth", "trust"),
                    *("--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"),
                ],
                check=False,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                **who,
            )
            if not (data / "PG_VERSION").exists():
                raise PostgresqlDidNotStart("made no cluster", _text(log))
            process, port = _start(tools, data, sink, log, who, timeout)
            try:
                yield Postgresql(port)
            finally:
                _stop(process)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _start(
    tools: Path, data: Path, sink: Any, log: Path, who: dict[str, Any], timeout: float
) -> tuple[subprocess.Popen[bytes], int]:
    for _ in range(_ATTEMPTS):
        port = _free_port()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
            "max_connections": 200,
            "shared_buffers": "32MB",
        }
        options = [word for item in settings.items() for word in ("-c", "{}={}".format(*item))]
        process = subprocess.Popen(
            [tools / "postgres", "-D", data, *options],
            cwd=data,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            **who,
        )
        try:
            if _is_up(process, port, time.monotonic() + timeout):
                return process, port
        except BaseException:
            _stop(process)
            raise
        # Somebody may have taken the port between the look and the start.
        _stop(process)
    raise PostgresqlDidNotStart("did not come up", _text(log))


def _is_up(process: subprocess.Popen[bytes], port: int, deadline: float) -> bool:
    pause = threading.Event()
    while process.poll() is None and time.monotonic() < deadline:
        try:
            Postgresql(port).connect("postgres").close()
        except psycopg.OperationalError:
            pause.wait(0.05)
        else:
            return True
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    # Fast: clients are cut off. Then at once, and leave the rest to the kernel.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        process.send_signal(number)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            continue
        return
    process.wait()


def _public_place() -> str | None:
    """Return where another user gets to his own directory; a temporary one of root's is closed."""
    if os.geteuid() != 0:
        return None
    own = Path(tempfile.gettempdir())
    open_to_all = stat.S_ISVTX | stat.S_IXOTH
    for place in (own, *own.parents):
        if place.stat().st_mode & open_to_all == open_to_all:
            return str(place)
    return "/tmp"


def _somebody(directory: Path) -> dict[str, Any]:
    """Give ``directory`` to whom the server is to run as, and return how he is told to Popen."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        os.chown(directory, entry.pw_uid, entry.pw_gid)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise PostgresqlDidNotStart("refuses to run as root, and there is nobody else")


def _die_with_parent() -> None:
    # After the change of user, which would cancel it. SIGQUIT ends the server and its children.
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _version(tools: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in tools.parent.name.split(".") if part.isdigit())


def _text(log: Path) -> str:
    return log.read_text(errors="replace")[-8000:]
