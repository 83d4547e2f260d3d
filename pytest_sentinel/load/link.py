"""A Locust worker's end of its sidecar: start it, talk to it, start it again when it has died.

For gevent. One greenlet reads; whoever waits is woken by what it reads. Law: an iteration that was
asked for hears its end, or that the sidecar is gone, within a bound; a sidecar that is silent is
ended.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

import gevent
import msgspec
from gevent import socket, subprocess
from gevent.event import Event
from gevent.lock import RLock
from gevent.queue import Empty, SimpleQueue

from pytest_sentinel.errors import SidecarFailed, WireError
from pytest_sentinel.load import wire
from pytest_sentinel.load.locustfile import UNPATCHED
from pytest_sentinel.pool.breaker import PROVEN_UPTIME, Breaker
from pytest_sentinel.pool.scratch import remove_leftovers

_READY_WITHIN: Final = 60.0
_ENDED_WITHIN: Final = 15.0
_TAIL_LINES: Final = 20
_LOOK_EVERY: Final = 5.0
_SILENT_FOR: Final = 60.0  # figures come each second
_SILENT_WHEN_LATE: Final = 5.0
_LATE_BY: Final = 45.0  # a sidecar that speaks cuts off what does not end, within bounds of its own

log = logging.getLogger("pytest_sentinel.load")


class Link:
    """The sidecar of this worker.

    Args:
        setup: what it is told first.
        hear: called with each of its figures.

    Attributes:
        launches: how often it was started.
    """

    def __init__(self, setup: wire.Setup, hear: Callable[[wire.Figures], None]) -> None:
        self._setup = setup
        self._hear = hear
        self._breaker = Breaker()
        self._process: Any = None
        self._socket: Any = None
        self._reader: Any = None
        self._errors: Any = None
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._settled = Event()
        self._turn = RLock()
        self._ready: wire.Ready | None = None
        self._broken: wire.Failure | None = None
        self._started_at = 0.0
        self._has_served = False
        self._waiting: dict[int, SimpleQueue[wire.StepEnded | wire.Ended | SidecarFailed]] = {}
        self.launches = 0
        self._heard_at = 0.0
        self._killed_for = ""
        self._closing = False

    @property
    def pid(self) -> int | None:
        """The sidecar's process id while it runs."""
        return None if self._process is None else int(self._process.pid)

    @property
    def deaths(self) -> int:
        """How often it had to be started again."""
        return max(0, self.launches - 1)

    def start(self) -> None:
        """Start the sidecar, unless it runs; do not wait for it.

        Raises:
            SidecarFailed: it has died so often that it is not started for a while.
        """
        if self._process is not None:
            return
        now = time.monotonic()
        if self._broken is not None or not self._breaker.may_launch(now, self._name(1)):
            cause = self._broken.message if self._broken else self._breaker.cause
            retry = self._breaker.retry_in(now)
            again = f"; next try in {retry:.0f} s" if retry else ""
            raise SidecarFailed(f"is not started: {cause}{again}", self._breaker.log)
        self.launches += 1
        self._settled.clear()
        self._ready = None
        self._started_at, self._has_served = now, False
        self._heard_at = now
        ours, theirs = socket.socketpair()
        with contextlib.closing(theirs):
            # A session of its own: Ctrl-C in a terminal is for the worker, which ends this.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pytest_sentinel.load.sidecar", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, UNPATCHED: "1"},
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        self._socket = ours
        self._tail.clear()
        self._reader = gevent.spawn(self._read, ours, self._process)
        gevent.spawn(_hang_up_after, self._process, ours)
        self._errors = gevent.spawn(self._read_errors, self._process)
        self._say(self._setup)

    def wait_ready(self, within: float = _READY_WITHIN) -> wire.Ready:
        """Return when the sidecar takes iterations, having started it if it did not run.

        Raises:
            SidecarFailed: it does not, or not ``within`` so many seconds.
        """
        self.start()
        if not self._settled.wait(within):
            raise SidecarFailed(f"was not ready within {within:g} s", self._log())
        if self._ready is None:
            cause = self._broken.message if self._broken else self._breaker.cause
            raise SidecarFailed(cause or "ended while starting", self._log())
        return self._ready

    def iterate(self, run: wire.Run, within: float) -> Iterator[wire.StepEnded | wire.Ended]:
        """Yield what the sidecar tells of an iteration, its end last.

        Leaving early, as a user that is killed does, cancels it.

        Args:
            run: what to run.
            within: seconds after which the sidecar should have ended it.

        Raises:
            SidecarFailed: the sidecar is gone, or does not say anything any more.
        """
        self.wait_ready()
        told: SimpleQueue[wire.StepEnded | wire.Ended | SidecarFailed] = SimpleQueue()
        self._waiting[run.iteration] = told
        deadline = time.monotonic() + within
        is_over = False
        try:
            self._say(run)
            while not is_over:
                try:
                    message = told.get(timeout=_LOOK_EVERY)
                except Empty:
                    self._look(deadline)
                    continue
                if isinstance(message, SidecarFailed):
                    is_over = True
                    raise message
                is_over = isinstance(message, wire.Ended)
                yield message
        finally:
            self._waiting.pop(run.iteration, None)
            if not is_over:
                self._say(wire.Cancel(run.iteration))

    def tell(self, options: dict[str, Any]) -> None:
        """Tell the sidecar what the options are from now on."""
        self._setup = msgspec.structs.replace(self._setup, options=options)
        if self._ready is not None:
            self._say(wire.Options(options))

    def _look(self, deadline: float) -> None:
        """End a sidecar that says nothing; its reader tells all who wait.

        Raises:
            SidecarFailed: it speaks, and does not end what it should have ended long ago.
        """
        now = time.monotonic()
        silent = now - self._heard_at
        late = now - deadline
        if self._process is None or self._process.poll() is not None:
            return  # its reader is about to tell
        if silent > (_SILENT_WHEN_LATE if late > 0 else _SILENT_FOR):
            self._killed_for = f"said nothing for {silent:.0f} s: code of the locustfile blocks it"
            log.error("the sidecar %s", self._killed_for)
            self._process.kill()
        elif late > _LATE_BY:
            raise SidecarFailed(
                f"did not end an iteration {late:.0f} s after its time", self._log()
            )

    def leave(self, user: int) -> None:
        """Tell the sidecar that a user has gone."""
        self._say(wire.Leave(user))

    def close(self) -> None:
        """End the sidecar in good order, and by force if that takes too long."""
        self._closing = True
        if self._process is None:
            return
        process, reader, errors = self._process, self._reader, self._errors
        self._say(wire.Close())
        with gevent.Timeout(_ENDED_WITHIN, False):
            process.wait()
        if process.poll() is None:
            process.kill()
            process.wait()
        gevent.joinall([reader, errors], timeout=1.0)

    # What it says

    def _read(self, connection: Any, process: Any) -> None:
        frames = wire.Frames()
        try:
            while data := connection.recv(64 * 1024):
                self._heard_at = time.monotonic()
                for message in frames.feed(data):
                    self._take(message)
        except (OSError, WireError) as error:
            log.warning("the sidecar's connection: %s", error)
            process.kill()
        finally:
            connection.close()
            code = process.wait()
            self._bury("exited with code" if code >= 0 else "was killed by signal", abs(code))

    def _take(self, message: wire.Message) -> None:
        match message:
            case wire.StepEnded(iteration) | wire.Ended(iteration):
                if isinstance(message, wire.Ended) and message.outcome != "infrastructure":
                    self._prove()
                told = self._waiting.get(iteration)
                if told is not None:
                    told.put(message)
            case wire.Figures():
                self._hear(message)
            case wire.Ready():
                self._ready = message
                self._settled.set()
            case wire.Broken(failure):
                self._broken = failure
                self._settled.set()
            case _:
                raise WireError(f"a sidecar that says {type(message).__name__}")

    def _read_errors(self, process: Any) -> None:
        with contextlib.closing(process.stderr):
            for line in process.stderr:
                text = line.decode(errors="replace").rstrip()
                self._tail.append(text)
                log.warning("%s", text)

    def _bury(self, how: str, number: int) -> None:
        """Note that the sidecar is gone, and tell all who wait for it."""
        now = time.monotonic()
        self._errors.join(timeout=1.0)
        remove_leftovers()
        cause, self._killed_for = self._killed_for or f"{how} {number}", ""
        self._process = self._socket = None
        if not self._closing and not self._broken:
            if now - self._started_at >= PROVEN_UPTIME:
                self._prove()
            if not self._has_served:
                self._breaker.strike(now, self._name(), cause, self._log())
            log.error("the sidecar %s", cause)
        self._settled.set()
        lost = SidecarFailed(cause, self._log())
        for told in self._waiting.values():
            told.put(lost)

    def _prove(self) -> None:
        if not self._has_served:
            self._has_served = True
            self._breaker.prove(self._name())

    def _say(self, message: wire.FromWorker) -> None:
        # One at a time: a frame that does not fit at once must not be cut by another's.
        with self._turn, contextlib.suppress(OSError):  # the reader says what happened
            if self._socket is not None:
                self._socket.sendall(wire.encode(message))

    def _name(self, ahead: int = 0) -> str:
        return f"sidecar-{self.launches + ahead}"

    def _log(self) -> str:
        return "\n".join(self._tail)


def _hang_up_after(process: Any, connection: Any) -> None:
    """End the connection when the process has ended: a child that it forked may hold the other end.

    What has arrived is read first all the same.
    """
    process.wait()
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
