"""A service as a whole: pool, lease port and control port, from the first signal to the last.

Order: both ports are bound first, so that a mistake shows before a browser is launched; clients
are taken when the pool stands. The first SIGTERM (or Ctrl-C) drains and then stops, the second
stops now. SIGHUP reads the token again; where there is none, it means what SIGTERM means.
"""

from __future__ import annotations

import asyncio
import dataclasses
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pytest_sentinel.addresses import Address
from pytest_sentinel.errors import SettingError
from pytest_sentinel.pool import health
from pytest_sentinel.pool.control import ControlPort
from pytest_sentinel.pool.descriptors import Share, in_use, raise_limit, share
from pytest_sentinel.pool.eventlog import EventLog
from pytest_sentinel.pool.families import ServiceFigures, make_registry
from pytest_sentinel.pool.health import Health, Readiness
from pytest_sentinel.pool.options import PoolOptions
from pytest_sentinel.pool.pool import Pool
from pytest_sentinel.pool.samehost import machine_identity
from pytest_sentinel.pool.servesettings import ServeSettings
from pytest_sentinel.pool.service import LeasePort
from pytest_sentinel.pool.snapshot import Event, PoolStatistics
from pytest_sentinel.pool.tasks import Tasks, words
from pytest_sentinel.pool.terms import Terms
from pytest_sentinel.version import __version__

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def bind(address: Address, name: str) -> socket.socket:
    """Return a socket that is bound to ``address``, which option ``name`` gave.

    Raises:
        SettingError: it cannot be had.
    """
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, place = found[0]
        return socket.create_server(place[:2], family=family)
    except OSError as error:
        problem = f"cannot be listened on ({error.strerror or error})"
        good = f"{Address(address.host, 0)}, which lets the system choose a port"
        raise SettingError(name, str(address), problem, good) from None


class Serving:
    """One running service."""

    def __init__(
        self,
        settings: ServeSettings,
        options: PoolOptions,
        log: EventLog,
        read_token: Callable[[], bytes] | None = None,
    ) -> None:
        self._settings = settings
        self._options = options
        self._log = log
        self._read_token = read_token
        self._pool = Pool(options, log.say)
        self._tasks = Tasks(self._pool.failed)
        self._limit, self._used = raise_limit(), in_use()
        terms = Terms(
            options.engines,
            settings.token,
            options.acquire_timeout,
            ping_every=options.ping_interval,
        )
        self._lease_port = LeasePort(
            self._pool, terms, log.say, self._answer_ready, lambda: self._share().leases
        )
        figures = ServiceFigures(
            self.statistics, self.readiness, self._lease_port, self._dropped, lambda: log.dropped
        )
        self._identity = {"machine": machine_identity()}
        self._control_port = ControlPort(
            self,
            make_registry(figures),
            settings.token,
            self._identity,
            log.say,
            lambda: self._share().control,
        )
        self._told = asyncio.Event()  # to stop, after draining
        self._now = asyncio.Event()  # to stop now
        self._was_signalled = False

    async def run(self) -> int:
        """Serve until told to stop; return 0 when every lease ended by itself, else 1.

        Raises:
            SettingError: a port cannot be had.
        """
        sockets = []
        try:
            sockets.append(bind(self._settings.listen, "--listen"))
            sockets.append(bind(self._settings.control, "--control"))
            return await self._serve(*sockets)
        finally:
            for sock in sockets:
                sock.close()

    async def _serve(self, leases: socket.socket, control: socket.socket) -> int:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._failed)
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._signalled, number)
        if self._read_token is not None:
            read = self._read_token
            loop.add_signal_handler(
                signal.SIGHUP, lambda: self._tasks.begin("token", self._renew_token(read))
            )
        began = time.monotonic()
        cut = 0
        try:
            # Probes are answered while the pool warms up; clients wait in the socket's queue.
            await self._control_port.start(control)
            if self._limit < self._share().needed:
                self._say("descriptors.few", limit=self._limit, needed=self._share().needed)
            if await self._unless_told(self._pool.start()):
                await self._lease_port.start(leases)
                self._say(
                    "service.started",
                    listen=f"ws://{_place_of(leases)}",
                    control=f"http://{_place_of(control)}",
                    version=__version__,
                    seconds=round(time.monotonic() - began, 3),
                )
                await self._told.wait()
                before = self._revoked()
                await self._drain()
                cut = len(self._pool.statistics().leases) + self._revoked() - before
        finally:
            await self._lease_port.close()
            await self._pool.aclose()
            await self._control_port.close()
            for number in _SIGNALS:
                loop.remove_signal_handler(number)
        self._say("service.stopped", cut=cut, seconds=round(time.monotonic() - began, 3))
        return 1 if cut else 0

    async def _unless_told(self, work: Any) -> bool:
        """Do ``work``, unless the service is told to stop meanwhile; tell whether it was done."""
        task = asyncio.ensure_future(work)
        told = asyncio.ensure_future(self._told.wait())
        try:
            await asyncio.wait({task, told}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
                return True
            return False
        finally:
            for pending in (task, told):
                pending.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await pending

    async def _drain(self) -> None:
        """Let the leases end that are held, for as long as they may, or until told again."""
        if self._now.is_set():
            return
        self._say("service.draining", leases=len(self._pool.statistics().leases))
        drained = asyncio.ensure_future(self._pool.drain(self._settings.drain_timeout))
        now = asyncio.ensure_future(self._now.wait())
        try:
            await asyncio.wait({drained, now}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pending in (drained, now):
                pending.cancel()
                with suppress(asyncio.CancelledError):
                    await pending

    def _revoked(self) -> int:
        """Return how many leases have been ended by the service so far."""
        return self._pool.statistics().counters.get("ends_total", {}).get("revoked", 0)

    def _failed(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Note what nothing else has caught, where asyncio would write a traceback each time."""
        error = context.get("exception")
        told = str(context.get("message", ""))
        self._pool.failed("callback", told if error is None else f"{told}: {words(error)}")

    def _signalled(self, number: int) -> None:
        self._say("service.signalled", signal=signal.Signals(number).name)
        # One that was told to drain by its port, as before a pod ends, is not hurried by the first.
        if self._was_signalled:
            self._now.set()
        self._was_signalled = True
        self._told.set()

    async def _renew_token(self, read: Callable[[], bytes]) -> None:
        """Read the token again; a bad one changes nothing. Leases that are held go on."""
        try:
            token = await asyncio.to_thread(read)
        except (SettingError, OSError, UnicodeDecodeError) as error:
            self._say("token.kept", problem=words(error))
            return
        self._lease_port.change_token(token)
        self._control_port.change_token(token)
        self._say("token.renewed")

    # What the ports ask

    def statistics(self) -> PoolStatistics:
        """Return the pool at this moment."""
        return self._pool.statistics()

    def health(self) -> Health:
        """Return how it is."""
        descriptors = health.descriptors(self._limit, self._share().needed)
        listening = self._lease_port.is_listening
        return health.judge(self.statistics(), self._options, descriptors, listening=listening)

    def readiness(self) -> Readiness:
        """Return whether a lease would be granted now."""
        found = health.readiness(self.statistics(), self._options)
        if not self._lease_port.is_listening:
            reason = "draining" if self._told.is_set() else "starting"
            return dataclasses.replace(found, ready=False, reason=reason)
        return found

    def _share(self) -> Share:
        """Return how many descriptors each port may take."""
        return share(self._limit, self._used, *self._pool.most())

    def _dropped(self) -> Counter[str]:
        """Return how many connections were closed for want of room, by why."""
        return self._lease_port.entrance.dropped + self._control_port.entrance.dropped

    def _answer_ready(self) -> tuple[int, dict[str, Any]]:
        found = self.readiness()
        return 200 if found.ready else 503, dataclasses.asdict(found) | self._identity

    def drain(self) -> None:
        """Begin to drain, then stop."""
        self._told.set()

    async def restart(self) -> int:
        """Renew every browser; return the number of the new generation."""
        return await self._pool.restart()

    def resize(self, maximum: int) -> None:
        """Change the number of places."""
        self._pool.resize(maximum)

    def _say(self, name: str, **facts: str | int | float) -> None:
        self._log.say(Event(name, time.time(), facts))


def _place_of(sock: socket.socket) -> Address:
    host, port = sock.getsockname()[:2]
    return Address(host, port)
