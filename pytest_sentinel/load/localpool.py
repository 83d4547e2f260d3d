"""Browsers of this process, for many scenarios at once, by the books of a shared pool.

Carries out what leases.py decides, as pool.py does, but on browsers that Playwright launched here:
no server for each, so 67 MB less. A seat is one slot on one of them, for one iteration. When
Playwright's driver dies, its browsers die with it, and the next launch starts another.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from playwright.async_api import Browser

from pytest_sentinel.errors import PoolRefused
from pytest_sentinel.load.nodedriver import NodeDriver, keep_open
from pytest_sentinel.load.plan import ENGINES, browsers_for
from pytest_sentinel.memory.processes import (
    ProcessId,
    identify,
    kill_group,
    read_memory,
    tree,
)
from pytest_sentinel.pool.actions import Action, Clean, End, Grant, Launch, Refuse, Revoke
from pytest_sentinel.pool.leases import Leases
from pytest_sentinel.pool.options import PoolOptions
from pytest_sentinel.pool.reaper import Reaper
from pytest_sentinel.pool.serverprocesses import are_gone, reaped
from pytest_sentinel.pool.tickets import SEATED, TicketState

_OWNER: Final = "sidecar"
_GONE_WITHIN: Final = 5.0


class LocalSeat:
    """A slot on a browser of this process.

    Attributes:
        lost: resolves with a sentence when the browser is gone.
    """

    def __init__(self, browser: Browser, condemn: Callable[[str], None]) -> None:
        self.browser = browser
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._condemn = condemn

    def condemn(self, why: str) -> None:
        """Have the browser ended: it does not do what it should."""
        self._condemn(why)


class _Held:
    """One browser, from its launch to the end of its last process."""

    def __init__(self) -> None:
        self.api: Browser | None = None
        self.process: ProcessId | None = None
        self.serves = False
        self.memory = 0


class LocalPool:
    """Slots on browsers that this process launches as they are needed.

    Args:
        slots: iterations at once.
        driver: Playwright's, which launches them.
        headed: whether browsers have windows.
        launch_args: more for the browsers' command lines.
        reaper: ends what a kill -9 of this process would leave.
    """

    def __init__(
        self,
        slots: int,
        driver: NodeDriver,
        reaper: Reaper,
        *,
        headed: bool = False,
        launch_args: tuple[str, ...] = (),
    ) -> None:
        browsers, contexts = browsers_for(slots)
        self.slots = slots
        self._options = PoolOptions(
            engines=ENGINES,
            maximum=browsers,
            contexts_per_browser=contexts,
            max_waiting=100_000,
            per_owner=slots,
            headless=not headed,
            launch_args=launch_args,
        )
        at_once = max(1, (os.cpu_count() or 1) // 2)
        # Spreads wear limits, guards nothing.
        self._leases = Leases(self._options, at_once, random.random())  # noqa: S311
        self._reaper = reaper
        self._held: dict[str, _Held] = {}
        self._grants: dict[str, asyncio.Future[PoolRefused | None]] = {}
        self._seats: dict[str, LocalSeat] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._driver = driver
        driver.when_dead(self._driver_died)
        self._busy = self._possible = 0.0
        self._counted_at = self._now()
        self._was_asked = False

    # What scenarios do

    @asynccontextmanager
    async def seat(self, engine: str, wait: float) -> AsyncIterator[LocalSeat]:
        """Hold a slot on an ``engine`` while the block runs; wait for one up to ``wait`` seconds.

        Raises:
            PoolRefused: there is none.
        """
        self._was_asked = True
        name, actions = self._leases.ask(engine, _OWNER, wait, self._now())
        self._grants[name] = asyncio.get_running_loop().create_future()
        try:
            self._act(actions)
            while True:
                refused = await self._grants[name]
                if refused is not None:
                    raise refused
                # Before accepting: the browser may die between grant and acceptance, and then the
                # next grant is for this future.
                self._grants[name] = asyncio.get_running_loop().create_future()
                if self._leases.accept(name, self._now()):
                    break
            ticket = self._leases.ticket(name)
            assert ticket is not None, "bug: an accepted ticket is not in the books"
            browser = ticket.browser
            api = self._held[browser].api
            assert api is not None, "bug: a seat on a browser that has not started"
            seat = LocalSeat(api, lambda why: self._crashed(browser, why))
            self._seats[name] = seat
            yield seat
        finally:
            self._grants.pop(name, None)
            self._seats.pop(name, None)
            self._act(self._leases.leave(name, self._now()))

    # What it tells

    def figures(self) -> tuple[dict[str, int], int]:
        """Return the slots by state, and how many wait."""
        slots = self._leases.slots()
        # Where they do not divide evenly there are more places than may be used at once.
        surplus = sum(slots.values()) - self.slots
        for idle in ("unused", "free"):
            slots[idle] -= (spare := min(slots[idle], surplus))
            surplus -= spare
        return slots, self._leases.count(TicketState.WAITING)

    def use(self) -> tuple[float, float]:
        """Return the slot-seconds used since this was last asked, and those there were.

        None, while nobody wants a seat: users on another pool leave this one alone.
        """
        self._count_use()
        used = self._busy, self._possible
        self._busy = self._possible = 0.0
        return used

    def counters(self) -> dict[str, int]:
        """Return totals: launches, crashes, retirements, refusals."""
        return {name: sum(causes.values()) for name, causes in self._leases.counters.items()}

    async def weigh(self) -> dict[str, int]:
        """Return the bytes (PSS) of the driver and of all browsers, and note them for wear."""
        found = {"driver": 0, "browsers": 0}
        if self._driver.process is not None:
            found["driver"] = await asyncio.to_thread(_pss, [self._driver.process.pid])
        for name, held in list(self._held.items()):
            if held.process is None:
                continue
            held.memory = await asyncio.to_thread(_pss, None, held.process.pid)
            found["browsers"] += held.memory
            if held.memory and name in self._held:
                self._leases.measured(name, held.memory)
        return found

    async def aclose(self, within: float = _GONE_WITHIN) -> None:
        """End every seat, browser and process of this pool; closing again does nothing."""
        if not self._leases.closed:
            self._act(self._leases.close(self._now()))
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=2 * within)
        if self._timer is not None:
            self._timer.cancel()

    # Carrying out what the books decide

    def _act(self, actions: list[Action]) -> None:
        self._count_use()
        for action in actions:
            match action:
                case Grant(ticket, _):
                    self._resolve(ticket, None)
                case Refuse(ticket, error):
                    self._resolve(ticket, error)
                case Revoke(ticket, why):
                    seat = self._seats.get(ticket)
                    if seat is not None and not seat.lost.done():
                        seat.lost.set_result(why)
                case Clean(ticket, _):
                    # Who leaves a seat has closed his context, or has condemned the browser.
                    self._act(self._leases.cleaned(ticket, self._now()))
                case Launch():
                    self._begin(self._launch(action))
                case End():
                    self._begin(self._end(action))
        self._set_timer()

    def _resolve(self, ticket: str, error: PoolRefused | None) -> None:
        grant = self._grants.get(ticket)
        if grant is not None and not grant.done():
            grant.set_result(error)

    async def _launch(self, action: Launch) -> None:
        name = action.browser
        held = self._held[name] = _Held()
        try:
            playwright = await self._driver.playwright()
            api: Browser = await getattr(playwright, action.engine).launch(
                headless=self._options.headless,
                args=list(self._options.launch_args),
                timeout=self._options.launch_timeout * 1000,
                handle_sigint=False,
                handle_sigterm=False,
                handle_sighup=False,
            )
            held.api = api
            keep_open(api)
            held.process = await _process_of(api, action.engine)
        except Exception as error:  # Playwright's, or the driver's end
            cause, _, log = str(error).strip().partition("\n")
            self._act(self._leases.launch_failed(name, self._now(), cause, log))
            return
        if held.process is not None:
            self._reaper.adopt(held.process, None)
        api.on("disconnected", lambda _: self._crashed(name, "the browser died"))
        held.serves = True
        self._act(self._leases.launched(name, self._now()))
        if not api.is_connected():
            self._crashed(name, "the browser died")

    def _crashed(self, name: str, cause: str) -> None:
        # One that is being launched fails there.
        if name in self._held and self._held[name].serves:
            self._act(self._leases.crashed(name, self._now(), cause))

    async def _end(self, action: End) -> None:
        held = self._held[action.browser]
        if held.api is not None and not action.kill:
            with suppress(Exception):
                await asyncio.wait_for(held.api.close(), self._options.close_timeout)
        if held.process is not None:
            kill_group(held.process)
            await are_gone([held.process], _GONE_WITHIN)
            await reaped(held.process.pid)
            self._reaper.release(held.process)
        if held.api is not None and action.kill:
            with suppress(Exception):
                await asyncio.wait_for(held.api.close(), 1.0)
        del self._held[action.browser]
        self._act(self._leases.gone(action.browser, self._now()))

    def _driver_died(self) -> None:
        for name in list(self._held):
            self._crashed(name, "Playwright's driver died")

    # Its tasks and its clock

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._leases.next_due()
        if due is not None and not self._leases.closed:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(due, lambda: self._act(self._leases.tick(self._now())))

    def _count_use(self) -> None:
        now = self._now()
        passed, self._counted_at = now - self._counted_at, now
        if self._was_asked:
            self._busy += passed * self._leases.count(*SEATED)
            self._possible += passed * self.slots

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


async def _process_of(api: Browser, engine: str) -> ProcessId | None:
    """Return the browser's main process; only Chromium tells."""
    if engine != "chromium":
        return None
    session = await api.new_browser_cdp_session()
    facts = await session.send("SystemInfo.getProcessInfo")
    await session.detach()
    pids = [row["id"] for row in facts["processInfo"] if row["type"] == "browser"]
    return identify(int(pids[0])) if pids else None


def _pss(pids: list[int] | None, root: int = 0) -> int:
    reading = read_memory(tree(root) if pids is None else pids)
    return reading.pss if reading is not None else 0
