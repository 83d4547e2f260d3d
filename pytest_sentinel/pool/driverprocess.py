"""Playwright's driver as a pytest process holds it: who it is, whether it lives, how it is stopped.

The driver is one Node.js process through which every browser of this process is driven. When it
dies, all of them die with it, and whatever Playwright had given out is void. Nothing here knows
fixtures; what is done about a death is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from playwright.sync_api import Error

from pytest_sentinel.memory.processes import (
    ProcessId,
    children_of,
    identify,
    is_alive,
    kill_group,
    living_state,
    wait_gone,
)
from pytest_sentinel.pool.deaths import DRIVER, Death
from pytest_sentinel.pool.heartbeat import TICK, bounded

_TURN = 0.05  # what has arrived from the driver, such as its end, is read within
_KILL_AFTER = 2.0  # from SIGTERM to SIGKILL
_GONE_WITHIN = 2.0
# Where Playwright keeps the connection to its driver: since 1.60, and before.
_WAYS = ("_client", "_connection")


class DriverProcess:
    """One driver.

    Args:
        api: any object of Playwright's sync API that came from it.

    Attributes:
        process: who it is; None where that cannot be found out.
    """

    def __init__(self, api: Any) -> None:
        self._api = api
        self._fiber = getattr(api, "_dispatcher_fiber", None)
        self._transport: Any = None
        self._is_hung = False
        self._death: Death | None = None
        self.process = find_driver_process()

    def is_gone(self) -> bool:
        """Tell whether it has ended, or the connection to it; costs microseconds."""
        if getattr(self._fiber, "dead", False):
            return True
        return self.process is not None and living_state(self.process) is None

    def death(self, *, closely: bool = False) -> Death | None:
        """Return how it died; None while it lives. With ``closely``, read what has arrived first.

        Always the same object for the same driver.
        """
        if closely and self._death is None:
            self._turn(_TURN)
        if self._death is None and self.is_gone():
            if self.process is not None:
                wait_gone([self.process], _GONE_WITHIN)
            self._turn(_GONE_WITHIN)  # until the loop has seen the end of the process
            kind = f"{DRIVER}-hung" if self._is_hung else DRIVER
            self._death = Death(kind, self._ended())
        return self._death

    def kill_hung(self) -> None:
        """Kill it because it does not answer: every call that waits for it fails."""
        if self.process is not None and is_alive(self.process):
            self._is_hung = True
            kill_group(self.process)

    def is_stopped(self) -> bool:
        """Tell whether it is stopped by a signal, and so cannot answer."""
        return self.process is not None and living_state(self.process) in ("T", "t")

    def watch(self, patience: float) -> None:
        """While Playwright waits, kill the driver once it has been stopped for ``patience`` s.

        All of Playwright's own time-outs are the driver's: when that stands still, none of them
        ends a call.
        """
        loop = _loop_of(self._api)
        if loop is None or self.process is None:
            return
        stopped = 0.0
        last = loop.time()

        def tick() -> None:
            nonlocal stopped, last
            now = loop.time()
            # Only time in which the loop turned counts, as for the pulse of a browser.
            stopped = stopped + min(now - last, 2 * TICK) if self.is_stopped() else 0.0
            last = now
            if stopped >= patience:
                self.kill_hung()
            elif not self.is_gone():
                loop.call_later(TICK, tick)

        loop.call_later(TICK, tick)

    def bound_stop(self, playwright: Any, patience: float) -> None:
        """Bound ``playwright.stop()``: it hangs while a forked child holds the driver's input."""
        manager = getattr(playwright.stop, "__self__", None)
        ways = [getattr(getattr(manager, way, None), "_transport", None) for way in _WAYS]
        self._transport = next((found for found in ways if found is not None), None)
        loop = _loop_of(playwright)
        process = self.process
        if loop is None or process is None:
            return
        original = playwright.stop
        steps: list[tuple[float, Callable[[], object]]] = [
            (patience, lambda: kill_group(process, signal.SIGTERM)),
            (patience + _KILL_AFTER, lambda: kill_group(process, signal.SIGKILL)),
        ]

        def stop(*args: Any) -> None:
            with bounded(loop, [] if loop.is_closed() else steps):  # stopped before
                original(*args)

        playwright.stop = stop

    def _ended(self) -> str | None:
        # What the transport says of the lost connection is known by now; read, asyncio is quiet.
        said = getattr(self._transport, "on_error_future", None)
        if isinstance(said, asyncio.Future) and said.done() and not said.cancelled():
            said.exception()
        code = getattr(getattr(self._transport, "_proc", None), "returncode", None)
        if not isinstance(code, int):
            return None
        with suppress(ValueError):
            return signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"signal {-code}"

    def _turn(self, seconds: float) -> None:
        """Let Playwright read what has arrived, up to the end of the connection."""
        loop = _loop_of(self._api)
        if loop is None or getattr(self._fiber, "dead", True):
            return
        # Inside a callback of Playwright's, the loop is turning already.
        with suppress(Error, AttributeError, RuntimeError):
            self._api._sync(asyncio.sleep(seconds))


class Drivers:
    """Every driver of this process, as browsers and fixtures name it."""

    def __init__(self) -> None:
        self._known: list[tuple[object, DriverProcess]] = []

    def of(self, api: Any) -> DriverProcess:
        """Return the driver that an object of Playwright came from."""
        fiber = getattr(api, "_dispatcher_fiber", None)
        for known, driver in self._known:
            if known is fiber:
                return driver
        driver = DriverProcess(api)
        self._known.append((fiber, driver))
        return driver

    def deaths(self) -> list[Death]:
        """Return how each driver died that is dead."""
        return [death for _, driver in self._known if (death := driver.death()) is not None]

    def forget(self, driver: DriverProcess) -> None:
        """Forget a driver that was stopped or replaced."""
        self._known = [entry for entry in self._known if entry[1] is not driver]


def find_driver_process() -> ProcessId | None:
    """Return the process of Playwright's driver, the youngest child if there are several."""
    found = []
    for pid in children_of(os.getpid()):
        with suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
            if b"run-driver" in file.read().split(b"\0"):
                found.append(identify(pid))
    known = [process for process in found if process is not None]
    return max(known, key=lambda process: process.started) if known else None


def _loop_of(api: Any) -> asyncio.AbstractEventLoop | None:
    loop = getattr(api, "_loop", None)
    if isinstance(loop, asyncio.AbstractEventLoop) and not loop.is_closed():
        return loop
    return None
