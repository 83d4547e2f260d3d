"""One local browser: its processes, its pulse, its end. The only pool file that knows Playwright.

A LocalBrowser wraps a genuine sync ``Browser`` that somebody launched. What it needs beyond the
public API is the event loop behind it (for time limits) and ``_impl_obj`` (to put a successor
behind the object that tests hold); both are looked for, and done without where they are missing.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import psutil
from playwright.sync_api import Browser, CDPSession, Error

from pytest_sentinel.memory.processes import (
    ProcessId,
    children_of,
    identify,
    kill_group,
    kill_leaderless,
    living_state,
    wait_gone,
)
from pytest_sentinel.pool.browserlog import BrowserLog, launched_pid, read_log
from pytest_sentinel.pool.deaths import Death
from pytest_sentinel.pool.disowning import disown_in_children
from pytest_sentinel.pool.driverprocess import DriverProcess
from pytest_sentinel.pool.heartbeat import Heartbeat, bounded
from pytest_sentinel.pool.leavings import is_own, leavings_of, profile_of, remove

_TERMINATE_AFTER = 2.0  # from asking politely by CDP to SIGTERM, and from there to SIGKILL
_GONE_WITHIN = 5.0  # a killed process that is still there after this is stuck in the kernel
_CLEANED_WITHIN = 1.0
_LOG_BYTES = 64 * 1024

Standing = Literal["well", "suspicious", "gone"]


class LocalBrowser:
    """A launched browser and what is known of its processes."""

    def __init__(
        self,
        api: Browser,
        probe_timeout: float,
        close_timeout: float,
        log_file: Path | None,
        driver: DriverProcess | None = None,
    ) -> None:
        self.api = api
        self._driver = driver
        self._probe_timeout = probe_timeout
        self._close_timeout = close_timeout
        self._log_file = log_file
        self._hung = False
        self._cdp: CDPSession | None = None
        self.process: ProcessId | None = None
        self.driver: ProcessId | None = None
        self.profile: str | None = None
        self.leavings: tuple[str, ...] = ()
        self._heartbeat: Heartbeat | None = None
        self._find_processes()
        self._take_pulse()
        disown_in_children(self)

    # Knowing its processes

    def _find_processes(self) -> None:
        """Find the browser's main process: by asking it, or else as the driver's newest child."""
        main: int | None = None
        if self.api.browser_type.name == "chromium":
            with suppress(Error):
                self._cdp = self.api.new_browser_cdp_session()
                found = self._cdp.send("SystemInfo.getProcessInfo")["processInfo"]
                main = next((p["id"] for p in found if p["type"] == "browser"), None)
        if main is None or identify(main) is None:
            # Asked by its number inside a container of its own, it would name a stranger.
            main = _newest_grandchild()
        if main is None:
            return
        self.process = identify(main)
        with suppress(psutil.Error):
            self.driver = identify(psutil.Process(main).ppid())
        self.profile = profile_of(main)
        self.leavings = leavings_of(self.profile)

    def disown(self) -> None:
        """In a forked child: the browser is the parent's, whatever this process does."""
        self.rest()
        self.process = self.profile = None
        self.leavings = ()

    # Its pulse

    def _take_pulse(self) -> None:
        loop = _loop_of(self.api)
        if loop is not None and self._cdp is not None and self.process is not None:
            self._heartbeat = Heartbeat(loop, self._ping, self._probe_timeout, self._on_silence)

    def is_gone(self) -> bool:
        """Tell whether its main process has ended, or the connection to it is lost."""
        return self.standing() == "gone"

    def standing(self) -> Standing:
        """Tell how it looks from outside; one that is stopped, or silent, is worth a probe."""
        letter = "" if self.process is None else living_state(self.process)
        if letter is None or not self.api.is_connected():
            return "gone"
        is_silent = self._heartbeat is not None and self._heartbeat.suspicious
        return "suspicious" if is_silent or letter in ("T", "t") else "well"

    def answers(self) -> bool:
        """Ask it something, and tell whether it answered within the probe time-out."""
        if self._cdp is None or self.is_gone():
            return not self.is_gone()
        loop = _loop_of(self.api)
        if loop is None:
            return True
        try:
            self.api._sync(self._ping_in_time())
        except TimeoutError:
            return False
        except Error:
            return not self.is_gone()
        return True

    def kill_hung(self) -> None:
        """Kill its process group because it does not answer."""
        self._hung = True
        self.kill()

    def death(self) -> Death:
        """Return how it ended; waits a moment for the driver's log to say so."""
        if self.process is not None and not wait_gone([self.process], 1.0):
            self._wait_cleaned()
        log = self._read_log()
        return Death("hung" if self._hung else "crashed", log.ended, log.tail)

    async def _ping_in_time(self) -> None:
        # The ping is made in here: Playwright drops, unread, what it is given when it is dead.
        await asyncio.wait_for(self._ping(), self._probe_timeout)

    async def _ping(self) -> object:
        return await self._send("Browser.getVersion")

    async def _send(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """Send a CDP command from inside the loop, where the sync API must not be used."""
        assert self._cdp is not None
        # The public method, on a stand-in whose way to wait is to hand back what to wait for:
        # how the private one is called differs between versions of Playwright.
        stand_in: Any = SimpleNamespace(_impl_obj=self._cdp._impl_obj, _sync=lambda call: call)
        call: Any = type(self._cdp).send(stand_in, method, params)
        return await call

    def _on_silence(self) -> None:
        if self._driver is not None and self._driver.is_stopped():
            self._driver.kill_hung()
            return
        self.kill_hung()
        loop = _loop_of(self.api)
        if loop is not None and self._driver is not None:
            # A driver that is well says at once that its browser has gone.
            loop.call_later(_TERMINATE_AFTER, self._suspect, self._driver)

    def _suspect(self, driver: DriverProcess) -> None:
        if self.api.is_connected():
            driver.kill_hung()

    def _read_log(self) -> BrowserLog:
        if self._log_file is None or self.process is None:
            return BrowserLog(None, ())
        try:
            with self._log_file.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _LOG_BYTES))
                text = file.read().decode(errors="replace")
        except OSError:
            return BrowserLog(None, ())
        return read_log(text, self.process.pid)

    # Its end

    def watch_close(self, close: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        """Return ``close`` (of a context's inner object) with a bound on how long it may hang."""

        async def bounded_close(*args: Any, **kwargs: Any) -> None:
            with self._escalating(dispose_contexts=True):
                await close(*args, **kwargs)

        return bounded_close

    def close(self, close: Callable[..., None], **kwargs: Any) -> None:
        """Call ``close``, the browser's own, bounded; return when its processes are gone."""
        self.rest()
        try:
            if not self.is_gone():
                with self._escalating(dispose_contexts=False):
                    close(**kwargs)
        finally:
            self.kill()

    def kill(self) -> None:
        """End whatever is left of its process group, and wait until it is gone."""
        if self.process is None:
            return
        if wait_gone([self.process], 0.0):
            kill_group(self.process, signal.SIGKILL)
            wait_gone([self.process], _GONE_WITHIN)
        else:
            kill_leaderless(self.process)
        self._wait_cleaned()

    def _wait_cleaned(self) -> None:
        """Wait until the driver has removed the profile; without a driver, remove it.

        It does so when it sees the browser's end, having logged that. A driver that is stopped
        before leaves the profile, as at the end of a run whose last test lost its browser.
        """
        if self.profile is not None and is_own(self.profile):
            never = threading.Event()
            deadline = time.monotonic() + _CLEANED_WITHIN
            # A driver that is dead or stopped removes nothing.
            while os.path.exists(self.profile) and time.monotonic() < deadline:
                if self.driver is None or living_state(self.driver) in (None, "T", "t"):
                    break
                never.wait(0.005)
        remove(self.leavings)

    def rest(self) -> None:
        """Stop watching its pulse."""
        if self._heartbeat is not None:
            self._heartbeat.stop()
            self._heartbeat = None

    @contextmanager
    def _escalating(self, *, dispose_contexts: bool) -> Iterator[None]:
        """Bound a close: dispose by CDP, SIGTERM, SIGKILL to the group, and last the driver."""
        loop = _loop_of(self.api)
        if loop is None or self.process is None:
            yield
            return
        process, driver, held = self.process, self.driver, self._driver
        first = self._close_timeout

        def kill_all() -> None:
            self._hung = True
            kill_group(process, signal.SIGKILL)

        steps: list[tuple[float, Callable[[], object]]] = [
            (first + _TERMINATE_AFTER, lambda: kill_group(process, signal.SIGTERM)),
            (first + 2 * _TERMINATE_AFTER, kill_all),
        ]
        if dispose_contexts:
            steps.insert(0, (first, self._dispose_only_context))
        if driver is not None:
            # Only a driver that is stuck itself leaves a call waiting for a browser that is gone.
            kill = held.kill_hung if held is not None else lambda: kill_group(driver)
            steps.append((first + 4 * _TERMINATE_AFTER, kill))
        with bounded(loop, steps):
            yield

    def _dispose_only_context(self) -> None:
        """Dispose the one open context by CDP; with several, nothing says which of them hangs."""
        if self._cdp is None or len(self.api.contexts) != 1:
            return

        async def dispose() -> None:
            with suppress(Error):
                found = await self._send("Target.getBrowserContexts")
                for context in found["browserContextIds"]:
                    await self._send("Target.disposeBrowserContext", {"browserContextId": context})

        task = asyncio.ensure_future(dispose())
        task.add_done_callback(lambda done: done.cancelled() or done.exception())


def swap_engines(seat: Browser, successor: Browser) -> None:
    """Put the browser behind ``successor`` behind ``seat``, and the other way round.

    Whoever holds ``seat`` goes on holding a genuine Browser; ``successor`` becomes the handle by
    which the old one is closed.
    """
    left: Any = seat
    right: Any = successor
    left._impl_obj, right._impl_obj = right._impl_obj, left._impl_obj
    # The driver's objects know the API object that wraps them (``context.browser is browser``).
    left._impl_obj._pw_api_instance_ = left
    right._impl_obj._pw_api_instance_ = right


def can_swap(browser: Browser) -> bool:
    """Tell whether this Playwright lets a browser be replaced behind its object."""
    api: Any = browser
    return getattr(getattr(api, "_impl_obj", None), "_pw_api_instance_", None) is browser


def describe(browser: Browser, process: ProcessId | None) -> str:
    """Name what really runs: engine, version, and the executable where that can be seen."""
    words = [browser.browser_type.name, browser.version]
    if process is not None:
        with suppress(OSError):
            words.append(os.readlink(f"/proc/{process.pid}/exe"))
    return " ".join(words)


def explain_launch_error(error: BaseException) -> tuple[str, str]:
    """Return the cause of a failed launch in one line, and the tail of the browser's output."""
    message = str(error)
    log = read_log(message, launched_pid(message))
    cause = message.strip().splitlines()[0] if message.strip() else type(error).__name__
    if log.ended is not None:
        cause = f"the browser process ended while starting ({log.ended})"
    return cause, "\n".join(log.tail)


def driver_log(environ: Mapping[str, str], file: Path) -> dict[str, str]:
    """Return the environment that makes a new driver write its browsers' output to ``file``.

    Empty when the user debugs Playwright himself: his settings stand.
    """
    if environ.get("DEBUG") or environ.get("DEBUG_FILE"):
        return {}
    return {"DEBUG": "pw:browser", "DEBUG_FILE": os.fspath(file)}


def _loop_of(api: Browser) -> asyncio.AbstractEventLoop | None:
    loop = getattr(api, "_loop", None)
    if isinstance(loop, asyncio.AbstractEventLoop) and not loop.is_closed():
        return loop
    return None


def _newest_grandchild() -> int | None:
    """Return the youngest process started by a child of ours: the driver's latest browser."""
    found = [
        identity
        for child in children_of(os.getpid())
        for grandchild in children_of(child)
        if (identity := identify(grandchild)) is not None
    ]
    return max(found, key=lambda process: process.started).pid if found else None
