"""The browser servers of one pool: made, kept from outliving it, and one always loaded and waiting.

Which browser is started or ended, and when, pool.py says. A server that waits is a Node process
with Playwright loaded and no browser yet: half the time of the next launch is over then.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from pytest_sentinel.browsers import prepare
from pytest_sentinel.driver import find_driver
from pytest_sentinel.errors import BrowserLaunchFailed
from pytest_sentinel.pool.options import PoolOptions
from pytest_sentinel.pool.reaper import Reaper
from pytest_sentinel.pool.scratch import Scratch
from pytest_sentinel.pool.server import BrowserServer, Recipe
from pytest_sentinel.pool.subreaper import adopt_orphans


class Servers:
    """Every server process that a pool has.

    Args:
        options: what the pool was told.
        begin: runs work of some name that must not be cut off.
    """

    def __init__(
        self, options: PoolOptions, begin: Callable[[str, Coroutine[Any, Any, None]], None]
    ) -> None:
        self._options = options
        self._begin = begin
        self._reaper = Reaper()
        self._scratch: Scratch | None = None
        self.recipe: Recipe | None = None
        self._was_subreaper = False
        self._spare: BrowserServer | None = None
        self._alive: set[BrowserServer] = set()
        self._is_booting = False
        self._made = 0

    async def start(self) -> None:
        """Find what servers are made of, and take a directory for them.

        Raises:
            BrowserLaunchFailed: there is no Playwright to launch with.
        """
        environ = dict(os.environ)
        await asyncio.to_thread(prepare, environ)
        driver = find_driver(environ)
        if driver is None:
            raise BrowserLaunchFailed("playwright", "it is not installed")
        launch: dict[str, Any] = {
            "headless": self._options.headless,
            "host": "127.0.0.1",
            "args": list(self._options.launch_args),
            "timeout": self._options.launch_timeout * 1000,
        }
        ping = self._options.ping_interval
        if self._options.channel is not None:
            launch["channel"] = self._options.channel
        self._was_subreaper = adopt_orphans(True)
        self._scratch = Scratch()
        # Playwright compiled once is a third of the next server's loading time.
        environ["NODE_COMPILE_CACHE"] = str(self._scratch.directory / "compiled")
        self.recipe = Recipe(driver.node, driver.package, environ, launch, ping=ping)

    def take(self) -> BrowserServer:
        """Return a server that has not launched anything: the one that waits, or a new one."""
        server, self._spare = self._spare, None
        if server is not None and server.is_fresh():
            return server
        if server is not None:
            self._begin("dismiss", self._dismiss(server))
        return self._new()

    async def launch(
        self, server: BrowserServer, name: str, engine: str, upstream: str | None
    ) -> None:
        """Have ``server`` launch browser ``name``, or lead to one of ``upstream``.

        Raises:
            BrowserLaunchFailed: it did not come up within the launch time-out.
        """
        assert self.recipe is not None, "bug: not started"
        recipe = replace(self.recipe, upstream=upstream)
        try:
            await server.start(name, engine, recipe, self._options.launch_timeout)
        finally:
            self._adopt(server)

    async def keep_spare(self) -> None:
        """Have one loaded and waiting, unless there is one.

        Raises:
            BrowserLaunchFailed: it could not be started; the next launch may.
        """
        assert self.recipe is not None, "bug: not started"
        if self._spare is not None or self._is_booting:
            return
        self._is_booting = True
        server = self._new()
        try:
            await server.boot(self.recipe)
            self._adopt(server)
            self._spare = server
        finally:
            self._is_booting = False
            if self._spare is not server:
                self._begin("dismiss", self._dismiss(server))

    async def end(self, server: BrowserServer, *, kill: bool) -> None:
        """End a server with its browser; return when the last process is gone."""
        await server.end(kill=kill, within=self._options.close_timeout)
        self._alive.discard(server)
        for process in server.processes.leaders():
            self._reaper.release(process)

    async def close(self) -> None:
        """End what has not ended, and the reaper; remove the directory."""
        # The one that waits, and what could not be ended before.
        for server in list(self._alive):
            try:
                await self._dismiss(server)
            except OSError:  # as when there is no descriptor left
                server.processes.signal(signal.SIGKILL)
        await asyncio.to_thread(self._reaper.close)
        if self._scratch is not None:
            self._scratch.close()
            adopt_orphans(self._was_subreaper)

    async def _dismiss(self, server: BrowserServer) -> None:
        await self.end(server, kill=True)
        await server.sweep()

    def _new(self) -> BrowserServer:
        assert self._scratch is not None, "bug: not started"
        self._made += 1
        server = BrowserServer(self._scratch.directory / f"browser-{self._made}")
        self._alive.add(server)
        return server

    def _adopt(self, server: BrowserServer) -> None:
        """Have the processes of a server ended when this process is killed."""
        assert self._scratch is not None, "bug: not started"
        # The reaper first: it needs no room on a disk.
        for process in server.processes.leaders():
            self._reaper.adopt(process, os.fspath(server.directory))
        for process in server.processes.leaders():
            self._scratch.note(process)
