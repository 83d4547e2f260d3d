"""Seats on a pool elsewhere: one connection is one lease, from the first byte to the last.

Whoever holds the connection holds the browser; it is closed, and nothing else is given back. The
service sees to its browsers, and its refusals come in its own words.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final
from urllib.parse import urlencode

from playwright.async_api import Error

from pytest_sentinel.addresses import Address, parse_services
from pytest_sentinel.errors import PoolUnavailable
from pytest_sentinel.load.nodedriver import NodeDriver, keep_open
from pytest_sentinel.pool.patience import Patience, gist, pauses, shown
from pytest_sentinel.pool.remote import in_order, look
from pytest_sentinel.trust import share_authorities

_CONNECT_SLACK: Final = 10.0
_CLOSED_WITHIN: Final = 5.0


class RemoteSeat:
    """A browser that a service leased to one iteration.

    Attributes:
        lost: resolves with a sentence when the lease is over.
    """

    def __init__(self, browser: Any) -> None:
        self.browser = browser
        keep_open(browser)
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._closing: asyncio.Task[None] | None = None
        browser.on("disconnected", lambda _: self._end("the lease ended, or its browser died"))

    def condemn(self, why: str) -> None:
        """Give the lease up: the service disposes of what is left."""
        self._end(why)
        self._closing = asyncio.create_task(self.close())

    async def close(self) -> None:
        """End the connection, and with it the lease."""
        with suppress(Error, TimeoutError):
            await asyncio.wait_for(self.browser.close(), _CLOSED_WITHIN)

    def _end(self, why: str) -> None:
        if not self.lost.done():
            self.lost.set_result(why)


class RemotePool:
    """The services that a pool address names.

    Args:
        address: such as ``ws://host:9323``, or several with commas between.
        driver: Playwright's, which connects.
        owner: whose leases these are.
        token: what the services want to see, if anything.
    """

    def __init__(self, address: str, driver: NodeDriver, owner: str, token: str | None) -> None:
        self._services = parse_services(address)
        self._owner = owner
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._driver = driver
        if any(service.tls for service in self._services):
            share_authorities(os.environ)  # before the driver is started
        self._has_told = False
        self.waiting = self.held = 0

    @asynccontextmanager
    async def seat(self, engine: str, wait: float) -> AsyncIterator[RemoteSeat]:
        """Hold a lease on an ``engine`` while the block runs; wait for one up to ``wait`` seconds.

        Raises:
            PoolUnavailable: no service gives one; has what each said.
        """
        self.waiting += 1
        try:
            seat = RemoteSeat(await self._connect(engine, wait))
        finally:
            self.waiting -= 1
        self.held += 1
        try:
            yield seat
        finally:
            self.held -= 1
            await asyncio.shield(seat.close())

    async def _connect(self, engine: str, wait: float) -> Any:
        patience = Patience(wait)
        loop = asyncio.get_running_loop()
        for pause in pauses():
            found, tried = await self._try(engine, wait)
            if found is not None:
                return found
            problems = [problem for _, problem in tried]
            if not patience.may_wait(problems, loop.time(), pause):
                break
            if not self._has_told:
                self._has_told = True
                where = ", ".join(place for place, _ in tried)
                told = f"waiting up to {patience.seconds:g} s for {where} ({shown(problems[0])})"
                print(f"sentinel: {told}", file=sys.stderr, flush=True)  # noqa: T201
            await asyncio.sleep(pause)
        raise PoolUnavailable(engine, [(place, shown(why)) for place, why in tried])

    async def _try(self, engine: str, wait: float) -> tuple[Any, list[tuple[str, str]]]:
        """Return a browser, or None and what each service said."""
        tried: list[tuple[str, str]] = []
        for address in await self._order():
            place = address.ws
            query = urlencode({"owner": self._owner, "wait": f"{wait:g}s"})
            playwright = await self._driver.playwright()
            connecting = asyncio.ensure_future(
                getattr(playwright, engine).connect(
                    f"{place}/{engine}?{query}",
                    headers=self._headers,
                    timeout=(wait + _CONNECT_SLACK) * 1000,
                )
            )
            try:
                return await asyncio.shield(connecting), tried
            except Error as error:
                tried.append((place, gist(str(error))))
            except asyncio.CancelledError:
                # It may have come through: what nobody waits for any more is given back.
                connecting.add_done_callback(_give_back)
                raise
        return None, tried

    async def _order(self) -> Sequence[Address]:
        if len(self._services) == 1:
            return self._services
        looks = (asyncio.to_thread(look, address) for address in self._services)
        standings = await asyncio.gather(*looks)
        found = [standing.address for standing in in_order(standings, self._owner)]
        return found or self._services  # for what they say


_kept: set[asyncio.Task[None]] = set()


def _give_back(connecting: asyncio.Future[Any]) -> None:
    if connecting.cancelled() or connecting.exception() is not None:
        return
    task = asyncio.ensure_future(RemoteSeat(connecting.result()).close())
    _kept.add(task)
    task.add_done_callback(_kept.discard)
