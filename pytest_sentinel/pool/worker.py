"""The pool inside one pytest process: carries out the ledger's actions on local browsers.

Sync, single-threaded, and idle in between: it acts when a browser is asked for, and around tests.
It decides nothing: the ledger says what is due, this file does it and reports back.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Error

from pytest_sentinel.errors import BrowserLaunchFailed, PoolUnavailable
from pytest_sentinel.memory.sampler import Sampler
from pytest_sentinel.pool.deaths import Death
from pytest_sentinel.pool.disowning import disown_in_children
from pytest_sentinel.pool.driverprocess import Drivers
from pytest_sentinel.pool.launcher import (
    LocalBrowser,
    can_swap,
    describe,
    explain_launch_error,
    swap_engines,
)
from pytest_sentinel.pool.leased import LeasedBrowser
from pytest_sentinel.pool.ledger import (
    Action,
    Defer,
    Dispose,
    HandOver,
    Launch,
    Ledger,
    Refuse,
    Statistics,
)
from pytest_sentinel.pool.reaper import Reaper
from pytest_sentinel.pool.seats import Diary, Happening, Seat, marked
from pytest_sentinel.pool.wear import Reason, Wear
from pytest_sentinel.settings import Settings
from pytest_sentinel.units import MIB

POKE_BYTES = 64 * MIB  # a reading costs the test some 13 ms; smaller moves wait for the sampler


class WorkerPool:
    """The browsers of one pytest process."""

    def __init__(
        self,
        settings: Settings,
        sampler: Sampler,
        log_file: Path | None,
        reaper: Reaper | None = None,
        drivers: Drivers | None = None,
    ) -> None:
        self._settings = settings
        self._sampler = sampler
        self.log_file = log_file
        self.test = ""  # the one that runs
        # What a service leases is the service's to renew.
        wear = (settings.recycle_after, settings.max_browser_age, settings.max_browser_memory)
        self._ledger = Ledger(Wear(*wear) if settings.pool is None else Wear(None, None, None))
        self._reaper = reaper or Reaper()
        self._drivers = drivers or Drivers()
        self._is_ours = True
        self._seats: dict[int, Seat] = {}
        self._closed: list[Seat] = []  # by their holder, during the running test
        self._waited = 0.0
        self._locals: dict[str, LocalBrowser | LeasedBrowser] = {}
        self.diary = Diary()
        self._can_swap = True
        self.had_trouble = False  # a browser died, or none could be had: fixtures may be broken
        self._random = random.Random()  # noqa: S311 - spreads wear limits, guards nothing
        self.leased: Callable[[Browser], LeasedBrowser | None] = lambda api: None
        self.on_launching: Callable[[str], Callable[[], None]] = lambda key: lambda: None
        self.on_driver_death: Callable[[Death], None] = lambda death: None
        disown_in_children(self)

    def disown(self) -> None:
        """In a forked child: the browsers are the parent's, and nothing here closes them."""
        self._is_ours = False
        for held in (self._seats, self._closed, self._locals):
            held.clear()

    # Asked by the fixtures

    def open(self, key: str, launch: Callable[[], Browser]) -> Browser:
        """Launch a browser for a new holder and return it.

        Raises:
            BreakerOpen: launches of ``key`` keep failing; nothing was tried.
            playwright.sync_api.Error: what Playwright said about the failed launch.
        """
        __tracebackhide__ = True
        began = time.monotonic()
        action = self._ledger.request(key, began, self._random.random())
        if isinstance(action, Refuse):
            self._ledger.slot(action.slot).wanted = False
            self.had_trouble = True
            raise marked(action.error)
        try:
            api, local = self._launch(action, key, launch)
        except BaseException:
            self._ledger.slot(action.slot).wanted = False
            self.had_trouble = True
            raise
        seat = Seat(action.slot, launch, api, local, action.browser)
        self._seats[seat.number] = seat
        self._ledger.launched(seat.number, time.monotonic())
        self._install(seat)
        self._waited += time.monotonic() - began
        return api

    def own_pids(self) -> set[int]:
        """Return the processes that this pool started for itself."""
        return {self._reaper.pid} if self._reaper.pid is not None else set()

    def statistics(self) -> Statistics:
        """Return an immutable snapshot of the pool."""
        return self._ledger.statistics()

    def seats(self) -> dict[str, Seat]:
        """Return what the holder of each live browser sits on, by the browser's name."""
        return {seat.name: seat for seat in self._seats.values()}

    # Asked at test boundaries

    def contexts(self) -> Iterator[tuple[int, BrowserContext]]:
        """Yield every open context with the number of its seat."""
        for seat in self._seats.values():
            for context in seat.api.contexts:
                yield seat.number, context

    def begin_test(self, *, fresh: bool = False, renew: bool = True) -> None:
        """Replace what died, and what is worn if ``renew``, before a test.

        Raises:
            BreakerOpen: a browser is gone and may not be launched now.
            playwright.sync_api.Error: a browser is gone and its successor did not launch.
        """
        began = time.monotonic()
        try:
            for seat in list(self._seats.values()):
                if self.examine(seat.number) is not None or renew:
                    self._attend(seat, fresh=fresh)
        finally:
            self._waited += time.monotonic() - began
            self._sampler.mark()

    def take_wait(self) -> float:
        """Return for how many seconds this process has waited for browsers since the last time."""
        waited, self._waited = self._waited, 0.0
        return waited

    def examine(self, number: int, *, thoroughly: bool = False) -> Death | None:
        """Return how a seat's browser died, if it did since it was last replaced.

        Costs microseconds while all is well. A browser that looks stopped, or any if
        ``thoroughly``, is asked to answer within the probe time-out, and killed if it does not.
        """
        seat = self._seats[number]
        if seat.death() is not None:
            return seat.death()
        if not self._ledger.slot(number).wanted:
            return None
        driver = self._drivers.of(seat.api)
        if (orphaned := driver.death()) is not None:
            return self._orphan(seat, orphaned)
        local = seat.local
        standing = local.standing()
        if standing != "gone":
            if (standing == "well" and not thoroughly) or local.answers():
                return None
            local.kill_hung()
        # A browser ends with its driver, and may be seen to have ended first.
        if (orphaned := driver.death(closely=True)) is not None:
            return self._orphan(seat, orphaned)
        self.had_trouble = True
        local.rest()
        death = local.death()
        seat.deaths.append((seat.name, death))
        self.diary.note("crashed", seat, str(death))
        log = "\n".join(death.tail)
        now = time.monotonic()
        self._act(self._ledger.crashed(number, now, str(death), log, under=self.test), seat)
        return death

    def _orphan(self, seat: Seat, death: Death) -> Death:
        """Book that the driver behind a seat died, which ends whatever it drove."""
        self.had_trouble = True
        seat.local.rest()
        seat.deaths.append((seat.name, death))
        self.on_driver_death(death)
        self._act(self._ledger.orphaned(seat.number), seat)
        return death

    def forget_orphans(self) -> None:
        """Give up the seats whose driver is dead: who still holds one of them holds nothing."""
        for number, seat in list(self._seats.items()):
            if (death := seat.death()) is not None and death.is_drivers:
                del self._seats[number]
        self._closed = [seat for seat in self._closed if seat.death() is None]

    def deaths(self, *, thoroughly: bool = False) -> list[Death]:
        """Return how each browser that is dead right now died; see ``examine``."""
        found = [self.examine(number, thoroughly=thoroughly) for number in list(self._seats)]
        found += [seat.death() for seat in self._closed]
        return [death for death in found if death is not None]

    def end_test(self, *, used: bool, passed: bool) -> list[str]:
        """Book the test that just ended on the seats it used, and return their browsers.

        The last test of a run ends with its browsers closed already; they are its browsers still.
        """
        windows = self._sampler.window()
        names = []
        for seat in [*self._seats.values(), *self._closed]:
            if (window := windows.get(seat.name)) is not None and window.peak is not None:
                self._ledger.measured(seat.number, window.peak.pss)
            if used or seat.used:
                names.append(seat.name)
                if seat.death() is None:
                    self._ledger.served(seat.number, passed)
            seat.used = False
        self._closed.clear()
        return names

    def was_used(self) -> bool:
        """Tell whether the running test opened a context on any browser."""
        return any(seat.used for seat in [*self._seats.values(), *self._closed])

    def dead_slots(self) -> set[int]:
        """Return the slots whose browser is dead and not replaced yet."""
        return {seat.number for seat in self._seats.values() if seat.death() is not None}

    def poke(self) -> None:
        """Have memory read now where it moved so much that the sampler may have missed it."""
        for seat in self._seats.values():
            self._sampler.poke(seat.name, POKE_BYTES)

    def take_happenings(self) -> list[Happening]:
        """Return what happened since the last call."""
        return self.diary.take()

    def close(self) -> None:
        """End every browser that is still there, then the reaper."""
        for seat in list(self._seats.values()):
            self._act(self._ledger.close_asked(seat.number), seat)
        for name, local in list(self._locals.items()):
            local.rest()
            local.kill()
            self._gone(name)
        self._reaper.close()

    # Carrying out

    def _attend(self, seat: Seat, *, fresh: bool) -> None:
        slot = self._ledger.slot(seat.number)
        death = seat.death()
        if not self._can_swap:
            # This Playwright does not let a browser be replaced behind its object.
            if death is not None:
                problem = f"{death}, and cannot be replaced in place"
                raise marked(BrowserLaunchFailed(slot.key, problem))
            return
        held = bool(seat.api.contexts) and death is None
        actions = self._ledger.due(
            seat.number,
            time.monotonic(),
            held=held,
            jitter=self._random.random(),
            fresh=fresh,
        )
        for action in actions:
            if isinstance(action, Refuse):
                raise marked(action.error)
            if isinstance(action, Defer):
                self.diary.note("deferred", seat, action.reason)
            elif isinstance(action, Launch):
                self._replace(seat, action, slot.key)

    def _replace(self, seat: Seat, action: Launch, key: str) -> None:
        try:
            api, local = self._launch(action, key, seat.launch)
        except (Error, PoolUnavailable):
            if action.reason in (Reason.CRASH, Reason.START):
                raise
            return  # worn is better than none; the breaker has counted it
        swap_engines(seat.api, api)
        seat.local.api, local.api = api, seat.api
        seat.local, seat.name = local, action.browser
        self._act(self._ledger.launched(seat.number, time.monotonic()), seat)
        self._install(seat)

    def _launch(
        self, action: Launch, key: str, launch: Callable[[], Browser]
    ) -> tuple[Browser, LocalBrowser | LeasedBrowser]:
        __tracebackhide__ = True
        began = time.monotonic()
        finished = self.on_launching(key)
        try:
            api = launch()
        except (KeyboardInterrupt, SystemExit):
            self._ledger.launch_interrupted(action.slot)
            self._ledger.gone(action.browser)
            raise
        except BaseException as error:
            cause, log = explain_launch_error(error)
            self.diary.happen("launch-failed", action.browser, action.slot, cause)
            self._ledger.launch_failed(action.slot, time.monotonic(), cause, log)
            self._ledger.gone(action.browser)
            marked(error)
            raise
        finally:
            finished()
        local = self.leased(api) or LocalBrowser(
            api,
            self._settings.probe_timeout,
            self._settings.close_timeout,
            self.log_file,
            self._drivers.of(api),
        )
        self._locals[action.browser] = local
        if local.process is not None:
            self._reaper.adopt(local.process, *local.leavings)
        self._can_swap = self._can_swap and can_swap(api)
        event = "launched" if action.reason is Reason.START else "replaced"
        facts = time.monotonic() - began, describe(api, local.process)
        self.diary.happen(event, action.browser, action.slot, action.reason, *facts)
        return api, local

    def _install(self, seat: Seat) -> None:
        """Hook into the browser now behind ``seat``: its closing, its contexts, its memory."""
        api: Any = seat.api
        local = seat.local
        if local.process is not None:
            self._sampler.watch(seat.name, local.process.pid)
        if local.driver is not None:
            self._sampler.watch("driver", local.driver.pid, recursive=False)

        def on_context(context: Any) -> None:
            seat.used = True
            context.close = local.watch_close(context.close)

        # On the object behind it: for a listener of the API Playwright starts a greenlet each time.
        inner = getattr(api, "_impl_obj", None)
        if inner is not None:
            inner.on("context", on_context)
        if "close" not in vars(api):
            original = api.close

            def close(**kwargs: Any) -> None:
                self._closed_by_holder(seat, original, kwargs)

            api.close = close

    def _closed_by_holder(
        self, seat: Seat, original: Callable[..., None], kwargs: dict[str, Any]
    ) -> None:
        if not self._is_ours:
            return
        if seat.number not in self._seats:
            original(**kwargs)  # closed before, which Playwright allows
            return
        self.examine(seat.number)  # one that died first did not end by being closed
        self._ledger.close_asked(seat.number)
        try:
            seat.local.close(original, **kwargs)
        finally:
            self._gone(seat.name)
            if self._seats.pop(seat.number, None) is not None:
                self._closed.append(seat)

    def _act(self, actions: list[Action], seat: Seat) -> None:
        for action in actions:
            if isinstance(action, Dispose):
                self._dispose(action)
            elif isinstance(action, HandOver):
                self.diary.note("handed-over", seat, action.old)

    def _dispose(self, action: Dispose) -> None:
        local = self._locals[action.browser]
        if action.kill:
            local.rest()
            local.kill()
        else:
            local.close(local.api.close)
        self._gone(action.browser)

    def _gone(self, name: str) -> None:
        if (local := self._locals.pop(name, None)) is None:
            return
        self._sampler.unwatch(name)
        if local.process is not None:
            self._reaper.release(local.process)
        self._ledger.gone(name)
