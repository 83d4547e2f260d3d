"""Carry the metrics of a run to where they are wanted: a file, a live port, a Pushgateway.

Law: an export never changes a run's result. What fails is counted and told once; what hangs is
left to itself after two seconds. The run's own thread does nothing but add up.
"""

from __future__ import annotations

import base64
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from prometheus_client import push_to_gateway, write_to_textfile
from prometheus_client.exposition import default_handler, generate_latest

from pytest_sentinel.addresses import Address
from pytest_sentinel.telemetry.liveport import LivePort
from pytest_sentinel.telemetry.measures import Measures, Table
from pytest_sentinel.telemetry.record import Attempt, BrowserEvent, Line, Run
from pytest_sentinel.telemetry.registry import (
    LAST,
    LiveMeasures,
    RunFigures,
    as_openmetrics,
    registry_of,
)
from pytest_sentinel.telemetry.scrub import scrub
from pytest_sentinel.telemetry.zeros import at_zero, with_zeros, zeros

FILE_NAME: Final = "metrics.om"
SPOOL_NAME: Final = "push.prom"
JOB: Final = "sentinel"
PATIENCE: Final = 2.0

_FIRST_WRITE = 1.0
_EVERY = 10.0
_SHARE = 100  # of the time between two writes, which writing may take one
_MOST_MOMENTS = 60


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where the metrics of a run are to go; None is nowhere.

    Attributes:
        directory: of the run's files; gets ``metrics.om``, and what could not be pushed.
        port: where the live metrics are.
        linger: seconds to wait after the end for a last scrape.
        push: a Pushgateway.
        textfile: a directory, or a ``.prom`` file in one, that a node_exporter reads.
        grouping: what tells a suite's metrics from another's at the Pushgateway.
    """

    directory: Path | None = None
    port: Address | None = None
    linger: float = 0.0
    push: str | None = None
    textfile: Path | None = None
    grouping: tuple[tuple[str, str], ...] = ()


class Past:
    """The metrics at up to 60 moments; when there are more, every second one is forgotten."""

    def __init__(self) -> None:
        self.moments: list[tuple[float, Table]] = []

    def add(self, at: float, table: Table) -> None:
        """Keep one more moment."""
        self.moments.append((at, table))
        if len(self.moments) > _MOST_MOMENTS:
            # The newest always stays.
            self.moments = self.moments[-1::-2][::-1]


class Exporter:
    """Exports one run.

    Args:
        complain: called with a sentence when a transport fails for the first time.
    """

    def __init__(self, measures: Measures, wanted: Wanted, complain: Callable[[str], None]) -> None:
        self._live = LiveMeasures(measures)
        self._wanted = wanted
        self._complain = complain
        self._past = Past()
        self._zero = Table()
        self._has_changed = False
        self._stop = threading.Event()
        self._failures: dict[str, int] = {}
        self._failures_lock = threading.Lock()
        self._complaints: list[str] = []
        self._port: LivePort | None = None
        self._writer: threading.Thread | None = None
        self._has_browsers = False

    @property
    def address(self) -> str:
        """Where the live port is; empty when there is none."""
        return str(self._port.address) if self._port is not None else ""

    def start(self) -> None:
        """Open the live port."""
        port = self._wanted.port
        if port is not None:
            with self._guarded("live", f"the metrics are not served at {port}"):
                self._port = LivePort(
                    port,
                    registry_of(RunFigures(self._from_zero)),
                    registry_of(RunFigures(lambda: at_zero(self._live.table(), self._zero))),
                )
        self._tell()

    def _from_zero(self) -> Table:
        return with_zeros(self._live.table(), self._zero)

    def add(self, line: Line) -> None:
        """Take one line of the record."""
        self._live.add(line)
        if isinstance(line, Run):
            self._zero = zeros(line.suite)
            self._past.add(line.started, self._from_zero())
        self._has_changed = True
        self._has_browsers = self._has_browsers or isinstance(line, BrowserEvent)
        if self._writer is not None or not isinstance(line, Attempt):
            return  # in the middle of a test who watches its threads would take ours for its own
        # A process that runs tests without browsers gets no thread of ours: they may fork.
        starts = self._has_browsers or line.worker != "main"
        if starts and self._wanted.directory is not None:
            self._writer = threading.Thread(target=self._write, name="sentinel-export", daemon=True)
            self._writer.start()

    def finish(self) -> dict[str, int]:
        """Write and push everything a last time; return the failures by transport."""
        self._stop.set()
        self._has_changed = True
        works: list[tuple[str, Callable[[], None]]] = []
        if self._wanted.directory is not None:
            works.append(("file", self._writer.join if self._writer is not None else self._write))
        if self._wanted.textfile is not None:
            works.append(("textfile", self._write_textfile))
        if self._wanted.push is not None:
            works.append(("push", self._push))
        deadline = time.monotonic() + PATIENCE
        threads = []
        for transport, work in works:
            thread = threading.Thread(target=work, name=f"sentinel-{transport}", daemon=True)
            thread.start()
            threads.append((transport, thread))
        for transport, thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                self._fail(transport, f"{transport}: not done after {PATIENCE:.0f} s, left alone")
        if self._port is not None:
            self._port.complete()
        self._tell()
        with self._failures_lock:
            return dict(self._failures)

    def linger(self) -> None:
        """Wait until the last figures have been scraped, or long enough."""
        if self._port is not None:
            self._port.linger(self._wanted.linger)

    def close(self) -> None:
        """Close the live port."""
        if self._port is not None:
            port, self._port = self._port, None
            port.close()

    # Transports

    def _write(self) -> None:
        """Write the file whenever something has changed, seldom enough to be cheap."""
        assert self._wanted.directory is not None
        pause = _FIRST_WRITE
        path = self._wanted.directory / FILE_NAME
        while not self._stop.wait(pause):
            if self._has_changed:
                self._has_changed = False
                pause = max(_EVERY, self._write_file(path) * _SHARE)
        self._write_file(path)

    def _write_file(self, path: Path) -> float:
        began = time.thread_time()
        with self._guarded("file", f"{path} is not kept"):
            self._past.add(time.time(), self._from_zero())
            fresh = path.with_suffix(".new")
            fresh.write_bytes(as_openmetrics(self._past.moments))
            fresh.replace(path)
        return time.thread_time() - began

    def _write_textfile(self) -> None:
        path = self._wanted.textfile
        assert path is not None
        if path.suffix != ".prom":
            path = path / f"{JOB}_{'_'.join(value for _, value in self._wanted.grouping)}.prom"
        with self._guarded("textfile", f"{path} is not written"):
            write_to_textfile(os.fspath(path), registry_of(RunFigures(self._live.table, LAST)))

    def _push(self) -> None:
        url = self._wanted.push
        assert url is not None
        registry = registry_of(RunFigures(self._live.table, LAST))
        bare, headers = _without_user(url)
        spool = None
        if self._wanted.directory is not None:
            spool = self._wanted.directory / SPOOL_NAME
            with suppress(OSError):
                spool.write_bytes(generate_latest(registry))
        kept = f"; what was to be pushed is in {spool}" if spool is not None else ""
        with self._guarded("push", f"nothing is pushed to {scrub(url)}{kept}"):
            push_to_gateway(
                bare,
                JOB,
                registry,
                dict(self._wanted.grouping),
                timeout=PATIENCE,
                handler=_handler(headers),
            )
            if spool is not None:
                spool.unlink(missing_ok=True)

    # Failures

    @contextmanager
    def _guarded(self, transport: str, problem: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._fail(transport, f"{problem}: {error or type(error).__name__}")

    def _fail(self, transport: str, problem: str) -> None:
        with self._failures_lock:
            first = transport not in self._failures
            self._failures[transport] = self._failures.get(transport, 0) + 1
            if first:
                self._complaints.append(problem)
        self._live.count("export_failures_total", transport)

    def _tell(self) -> None:
        """Say what has failed, from the run's own thread."""
        with self._failures_lock:
            complaints, self._complaints = self._complaints, []
        for sentence in complaints:
            self._complain(sentence)


def _without_user(url: str) -> tuple[str, list[tuple[str, str]]]:
    """Return ``url`` without name and password, and the header that carries them instead."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url, []
    user, _, host = parts.netloc.rpartition("@")
    word = base64.b64encode(unquote(user).encode()).decode()
    return urlunsplit(parts._replace(netloc=host)), [("Authorization", f"Basic {word}")]


def _handler(more: Sequence[tuple[str, str]]) -> Callable[..., Callable[[], None]]:
    def handle(
        url: str, method: str, timeout: float | None, headers: list[tuple[str, str]], data: bytes
    ) -> Callable[[], None]:
        return default_handler(url, method, timeout, [*headers, *more], data)

    return handle
