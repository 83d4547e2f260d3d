"""The shared pool: carries out on real browser servers what its books decide.

For one event loop. It decides nothing: what is due, leases.py says; this file does it and reports
back. Every task it starts ends with it, and with them every process and file.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from pytest_sentinel.errors import BrowserLaunchFailed, PoolRefused, SettingError
from pytest_sentinel.pool import refusals
from pytest_sentinel.pool.actions import Action, Clean, End, Grant, Launch, Refuse, Revoke
from pytest_sentinel.pool.housekeeping import TICK, Housekeeping
from pytest_sentinel.pool.keeping import Kept
from pytest_sentinel.pool.leases import Leases
from pytest_sentinel.pool.options import PoolOptions
from pytest_sentinel.pool.scratch import remove_leftovers
from pytest_sentinel.pool.servers import Servers
from pytest_sentinel.pool.snapshot import Event, PoolStatistics
from pytest_sentinel.pool.states import BrowserState
from pytest_sentinel.pool.statistics import Shell, describe
from pytest_sentinel.pool.tasks import Tasks
from pytest_sentinel.pool.terms import Lease
from pytest_sentinel.pool.tickets import SEATED

_ATTEMPTS = 3  # at ending a browser
_PAUSE = 0.2  # before the second of them


class Pool:
    """Browsers that many share.

    Args:
        options: what it was told.
        say: called with everything that happens, on the event loop.
    """

    def __init__(self, options: PoolOptions, say: Callable[[Event], None]) -> None:
        self._options = options
        self._say = say
        at_once = options.launches_at_once or max(1, (os.cpu_count() or 1) // 2)
        # Spreads wear limits, guards nothing.
        self._leases = Leases(options, at_once, random.random())  # noqa: S311
        self._at_once = at_once
        self._shell = Shell()
        self._servers = Servers(options, self._begin)
        self._grants: dict[str, asyncio.Future[PoolRefused | None]] = {}
        self._revoked: dict[str, asyncio.Future[str]] = {}
        self._work = Tasks(self.failed)  # ends browsers, or begins them: never cut off
        self._chores = Tasks(self.failed)
        self._timer: asyncio.TimerHandle | None = None
        self._is_quiet = asyncio.Event()
        self._house = Housekeeping(options, self._leases, self._shell, self)

    # Its life

    async def start(self) -> None:
        """Remove what dead pools left, warm the minimum, and begin to keep house.

        Raises:
            BrowserLaunchFailed: there is no Playwright to launch with.
        """
        for directory, ended in await asyncio.to_thread(remove_leftovers):
            self._shell.count("leftovers_total", "directory")
            self._shell.count("leftovers_total", "process", ended)
            self.tell("leftovers.removed", directory=directory.name, processes=ended)
        await self._servers.start()
        self.tell("pool.started", minimum=self._options.minimum, maximum=self._leases.maximum)
        self.act(self._leases.tick(self._now()))
        self._shell.kept_house_at = self._now()
        self._keep_house()

    async def drain(self, timeout: float | None) -> None:  # noqa: ASYNC109
        """Give no more leases, and return when those that are held have ended.

        After ``timeout`` seconds their holders are told to go.
        """
        self.tell("pool.draining", leases=self._leases.count(*SEATED))
        self.act(self._leases.drain(self._now()))
        try:
            async with asyncio.timeout(timeout):
                await self._is_quiet.wait()
        except TimeoutError:
            why = f"the pool drains, and its {timeout:g} s are over"
            self.act(self._leases.revoke_all(why))
            await asyncio.wait([asyncio.ensure_future(self._is_quiet.wait())], timeout=1.0)
        self.tell("pool.drained", leases=self._leases.count(*SEATED))

    async def restart(self) -> int:
        """Have every browser replaced, one after the other; return the new generation."""
        self.act(self._leases.restart(self._now()))
        self.tell("pool.restarting", generation=self._leases.generation)
        return self._leases.generation

    def resize(self, maximum: int) -> None:
        """Have ``maximum`` places from now on.

        Raises:
            SettingError: there must be one at least.
        """
        if maximum < 1:
            raise SettingError("--max", maximum, "is less than 1", "2")
        self.tell("pool.resized", maximum=maximum, before=self._leases.maximum)
        self.act(self._leases.resize(maximum, self._now()))

    async def aclose(self) -> None:
        """End every lease, browser, task and file of this pool; closing again does nothing."""
        if self._leases.closed:
            return
        self.act(self._leases.close(self._now()))
        for kept in self._shell.kept.values():
            kept.server.abort("the pool was closed")
        self._chores.cancel()
        while tasks := self._work.running() | self._chores.running():
            await asyncio.wait(tasks)
        if self._timer is not None:
            self._timer.cancel()
        await self._servers.close()
        self.tell("pool.closed")

    def most(self) -> tuple[int, int]:
        """Return how many server processes, and how many leases, there may be at once."""
        maximum = self._leases.maximum
        # Beside the browsers: those that replace them, one that waits, and one that goes.
        return maximum + self._at_once + 2, maximum * self._options.contexts_per_browser

    def statistics(self) -> PoolStatistics:
        """Return an immutable snapshot."""
        return describe(self._leases, self._shell, self._now())

    # What clients do

    @asynccontextmanager
    async def lease(
        self,
        engine: str,
        owner: str,
        wait: float,
        *,
        gone: asyncio.Future[Any] | None = None,
    ) -> AsyncIterator[Lease]:
        """Hold a slot on an ``engine`` for as long as the block runs, and wait for one first.

        Args:
            engine: chromium, firefox or webkit.
            owner: whose lease it is, for caps and for people.
            wait: seconds; 0 takes only what is free now.
            gone: done when the client has left; ends the wait.

        Raises:
            PoolRefused: there is none.
        """
        asked_at = self._now()
        try:
            name, actions = self._leases.ask(engine, owner, wait, asked_at)
            grant = self._grants[name] = asyncio.get_running_loop().create_future()
            try:
                self.act(actions)
                await self._granted(grant, gone)
                while not self._leases.accept(name, self._now()):
                    # The browser died between grant and acceptance: wait on, in the same place.
                    grant = self._grants[name] = asyncio.get_running_loop().create_future()
                    await self._granted(grant, gone)
                async with self._holding(name, asked_at) as lease:
                    yield lease
            finally:
                self._grants.pop(name, None)
                self.act(self._leases.leave(name, self._now()))
        except PoolRefused as refused:
            waited = self._now() - asked_at
            facts = {"owner": owner, "engine": engine, "reason": refused.reason}
            self.tell("lease.refused", **facts, waited=waited)
            raise

    async def _granted(
        self, grant: asyncio.Future[PoolRefused | None], gone: asyncio.Future[Any] | None
    ) -> None:
        """Wait for a grant; a refusal raises, and so does a client that leaves first."""
        if gone is not None:
            await asyncio.wait([grant, gone], return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                raise refusals.left()
        refused = await grant
        if refused is not None:
            raise refused

    @asynccontextmanager
    async def _holding(self, name: str, asked_at: float) -> AsyncIterator[Lease]:
        ticket = self._leases.ticket(name)
        assert ticket is not None, "bug: an accepted ticket is not in the books"
        kept = self._shell.kept[ticket.browser]
        where = kept.server.endpoint
        assert where is not None, "bug: a browser that serves has no address"
        granted_at = self._now()
        facts = {"lease": name, "owner": ticket.owner, "browser": ticket.browser}
        self.tell("lease.granted", **facts, engine=ticket.engine, waited=granted_at - asked_at)
        revoked = self._revoked[name] = asyncio.get_running_loop().create_future()
        kept.sightings.began(name)
        try:
            yield Lease(
                id=name,
                owner=ticket.owner,
                engine=ticket.engine,
                browser=ticket.browser,
                host=where.host,
                port=where.port,
                path=where.path,
                tls=where.tls,
                revoked=revoked,
                door=kept.server.door,
            )
        finally:
            del self._revoked[name]
            kept.sightings.ended(name)
            how = revoked.result() if revoked.done() and not revoked.cancelled() else "released"
            self.tell("lease.ended", **facts, seconds=self._now() - granted_at, how=how)

    # Carrying out what the books decide

    def act(self, actions: list[Action]) -> None:
        """Carry out what the books decided, now or in a task of its own."""
        for action in actions:
            match action:
                case Grant(ticket, _):
                    self._resolve(ticket, None)
                case Refuse(ticket, error):
                    self._resolve(ticket, error)
                case Revoke(ticket, why):
                    revoked = self._revoked.get(ticket)
                    if revoked is not None and not revoked.done():
                        revoked.set_result(why)
                        self.tell("lease.revoked", lease=ticket, why=why)
                case Clean(ticket, browser):
                    # What it could not dispose of, the next round of housekeeping does.
                    cleaned = partial(self._cleaned, ticket)
                    self._chores.begin("clean", self._house.clean(ticket, browser), cleaned)
                case Launch():
                    failed = partial(self._launch_failed, action)
                    self._work.begin("launch", self._launch(action), failed)
                case End():
                    self._begin_end(action)
        if self._leases.count(*SEATED):
            self._is_quiet.clear()
        else:
            self._is_quiet.set()
        self._set_timer()

    def _resolve(self, ticket: str, error: PoolRefused | None) -> None:
        grant = self._grants.get(ticket)
        # One that is done was granted before and has not looked yet; it will look at its ticket.
        if grant is not None and not grant.done():
            grant.set_result(error)

    async def _launch(self, action: Launch) -> None:
        name, began = action.browser, self._now()
        server = self._servers.take()
        kept = self._shell.kept[name] = Kept(server, self._shell.next_upstream(self._options))
        facts = {"browser": name, "engine": action.engine, "reason": action.reason.value}
        try:
            await self._servers.launch(server, name, action.engine, kept.upstream)
        except BrowserLaunchFailed as error:
            self._launch_failed(action, error.cause, error.log)
            return
        seconds = self._now() - began
        pid = server.process.pid if server.process else None
        self.tell("browser.started", **facts, pid=pid, seconds=seconds)
        server.ended.add_done_callback(
            lambda ended: None if ended.cancelled() else self.crashed(name, ended.result())
        )
        self.act(self._leases.launched(name, self._now()))
        if not self._leases.draining:
            self._begin("spare", self._servers.keep_spare())

    def _launch_failed(self, action: Launch, cause: str, log: str = "") -> None:
        """Book a launch that came to nothing, wherever it got stuck."""
        name = action.browser
        state = self._state(name)
        if state is BrowserState.LAUNCHING:
            facts = {"browser": name, "engine": action.engine, "reason": action.reason.value}
            self.tell("browser.failed", **facts, cause=cause, log=log)
            self.act(self._leases.launch_failed(name, self._now(), cause, log))
        elif state is not None:
            self.crashed(name, cause)

    def crashed(self, name: str, cause: str) -> None:
        """Book the end of a browser that nobody ended."""
        kept = self._shell.kept.get(name)
        if kept is None:
            return
        log = kept.server.tail()
        held = len(self._leases.on(name))
        self.tell("browser.crashed", browser=name, cause=cause, leases=held, log=log)
        self.act(self._leases.crashed(name, self._now(), cause, log))

    def _begin_end(self, action: End, attempt: int = 1) -> None:
        def again(_: str) -> None:
            if attempt < _ATTEMPTS:
                self._begin_end(replace(action, kill=True), attempt + 1)
            else:
                self._bury(action)

        pause = _PAUSE * (attempt - 1)
        self._work.begin("end", self._end(action, pause), again)

    async def _end(self, action: End, pause: float) -> None:
        began = self._now()
        if pause:
            await asyncio.sleep(pause)
        kept = self._shell.kept.get(action.browser)
        if kept is not None:
            await self._servers.end(kept.server, kill=action.kill)
        self._ended(action, self._now() - began)

    def _bury(self, action: End) -> None:
        """Do what can be done at once for a browser that could not be ended in good order."""
        kept = self._shell.kept.get(action.browser)
        if kept is not None:
            with suppress(OSError):
                kept.server.processes.signal(signal.SIGKILL)
        self._ended(action, 0.0)

    def _ended(self, action: End, seconds: float) -> None:
        """Book that a browser is gone, once."""
        kept = self._shell.kept.pop(action.browser, None)
        if self._state(action.browser) is not None:
            self.tell("browser.ended", browser=action.browser, why=action.why, seconds=seconds)
            self.act(self._leases.gone(action.browser, self._now()))
        if kept is not None:
            self._begin("sweep", kept.server.sweep())

    def _state(self, browser: str) -> BrowserState | None:
        """Return the state of a browser; None when it is not in the books any more."""
        found = (b for place in self._leases.places for b in place.browsers() if b.name == browser)
        return next((b.state for b in found), None)

    def _cleaned(self, ticket: str, _: str = "") -> None:
        self.act(self._leases.cleaned(ticket, self._now()))

    # Its tasks and its clock

    def failed(self, what: str, cause: str) -> None:
        """Note that something in the background failed: in the log, in health, in a counter."""
        self._shell.fail(what, cause, self._now())
        self.tell("task.failed", task=what, error=cause)

    def _keep_house(self) -> None:
        if self._leases.closed:
            return
        loop = asyncio.get_running_loop()

        def again(_: str) -> None:
            loop.call_later(TICK, self._keep_house)

        # Without it nothing is probed or weighed: it is begun again, whatever ended it.
        self._chores.begin("housekeeping", self._house.keep(), again)

    def _begin(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        self._work.begin(what, work)

    def chore(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        """Run work that the end of the pool may cut off."""
        self._chores.begin(what, work)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._leases.next_due()
        if due is not None and not self._leases.closed:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(due, lambda: self.act(self._leases.tick(self._now())))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def tell(self, name: str, **facts: str | int | float | bool | None) -> None:
        """Say that something happened, with what is known of it."""
        self._say(Event(name, time.time(), facts))
