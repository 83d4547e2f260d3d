"""A browser that another process holds: what the worker's pool asks of a LocalBrowser, for a lease.

It has no process here, and none of ours may end it. Its pulse is the connection: the service sees
to the browser, and ends the connection when that is dead, hung or worn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from playwright.sync_api import Browser, Error

from pytest_sentinel.memory.processes import ProcessId
from pytest_sentinel.pool.deaths import Death
from pytest_sentinel.pool.driverprocess import find_driver_process
from pytest_sentinel.pool.heartbeat import bounded
from pytest_sentinel.pool.launcher import Standing

_TURN = 0.002  # what has arrived from the driver is read within


class LeasedBrowser:
    """A browser on the other side of a connection.

    Attributes:
        process: always None: nothing here may signal it or read its memory.
        driver: Playwright's own process, which is ours.
    """

    def __init__(self, api: Browser, close_timeout: float, *, near: bool) -> None:
        self.api = api
        self._close_timeout = close_timeout
        self._connection: Any = getattr(getattr(api, "_impl_obj", None), "_connection", None)
        self.process: ProcessId | None = None
        self.leavings: tuple[str, ...] = ()
        self.driver = find_driver_process()
        if near:
            api.on("context", _share_files)

    def is_gone(self) -> bool:
        """Tell whether the connection has ended, or the driver that held it."""
        self._turn()
        # A dead driver ends the connection too, and is not there to say so.
        has_driver = not getattr(getattr(self.api, "_dispatcher_fiber", None), "dead", False)
        return not (has_driver and self.api.is_connected())

    def standing(self) -> Standing:
        """Tell whether it is gone; the service probes, so it is never suspicious."""
        return "gone" if self.is_gone() else "well"

    def answers(self) -> bool:
        """Tell whether the service has not given the browser up."""
        return not self.is_gone()

    def kill_hung(self) -> None:
        """Give the lease up."""
        self.kill()

    def death(self) -> Death:
        """Return how the lease ended, in the words of the service where it said some."""
        error = getattr(self._connection, "_closed_error", None)
        reason = str(error).partition("\n")[0] if error is not None else ""
        # What Playwright says when it was told nothing is no reason.
        return Death("lost", None if reason.startswith("Target page") else reason or None, ())

    def watch_close(self, close: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        """Return ``close`` (of a context's inner object) with a bound on how long it may hang."""

        async def bounded_close(*args: Any, **kwargs: Any) -> None:
            loop = getattr(self.api, "_loop", None)
            if not isinstance(loop, asyncio.AbstractEventLoop):
                await close(*args, **kwargs)
                return
            with bounded(loop, [(self._close_timeout, self._drop)]):
                await close(*args, **kwargs)

        return bounded_close

    def close(self, close: Callable[..., None], **kwargs: Any) -> None:
        """Call ``close``, the browser's own: it ends the connection, and with it the lease."""
        if not self.is_gone():
            close(**kwargs)

    def kill(self) -> None:
        """End the connection, if it has not ended."""
        if not self.is_gone():
            self.api.close()

    def rest(self) -> None:
        """Stop watching its pulse: there is nothing that watches."""

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close("sentinel: closing a context took too long")

    def _turn(self) -> None:
        """Let Playwright read what has arrived, such as the end of the connection."""
        api: Any = self.api
        try:
            api._sync(asyncio.sleep(_TURN))
        except (AttributeError, Error):
            return


def _share_files(context: Any) -> None:
    """Let paths of downloads and videos be asked for: they are files of this machine."""

    def near(page: Any) -> None:
        page.on("download", _share_download)
        video = getattr(getattr(page, "_impl_obj", None), "_video", None)
        if video is not None and hasattr(video, "_is_remote"):
            video._is_remote = False

    context.on("page", near)


def _share_download(download: Any) -> None:
    artifact = getattr(getattr(download, "_impl_obj", None), "_artifact", None)
    if artifact is not None and hasattr(artifact, "_connection"):
        artifact._connection = _Near(artifact._connection)


class _Near:
    """A connection that does not call itself remote; Playwright asks it for nothing else new."""

    def __init__(self, connection: Any) -> None:
        self._far = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._far, name)

    def is_remote(self) -> bool:
        """Tell that paths have a meaning here."""
        return False
