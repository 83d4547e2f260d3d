"""A pool with a lease port in this process, and Playwright clients in processes of their own.

The clients are what people run: the genuine library, connecting to a ws address. They do what they
are told on standard input, one JSON list a line, and answer with one.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import psutil

from pytest_sentinel.pool.keeping import Kept
from pytest_sentinel.pool.options import PoolOptions
from pytest_sentinel.pool.pool import Pool
from pytest_sentinel.pool.serverprocesses import reap_group
from pytest_sentinel.pool.service import LeasePort
from pytest_sentinel.pool.snapshot import Event
from pytest_sentinel.pool.terms import Terms
from tests.runs import CACHE, slack

_CLIENT = textwrap.dedent(
    """
    import json, sys, time
    from playwright.sync_api import Error, sync_playwright

    def answer(value):
        print(json.dumps(value), flush=True)

    with sync_playwright() as playwright:
        browser, pages = None, []
        for line in sys.stdin:
            what, *rest = json.loads(line)
            began = time.monotonic()
            try:
                if what == "connect":
                    browser = playwright.chromium.connect(rest[0])
                    value = browser.version
                elif what == "open":
                    pages += [browser.new_context().new_page() for _ in range(rest[0])]
                    value = len(pages)
                elif what == "evaluate":
                    value = pages[-1].evaluate(rest[0])
                elif what == "churn":
                    answer("churning")
                    while True:
                        browser.new_context().close()
                elif what == "close":
                    browser.close()
                    value, pages = "closed", []
                answer([value, time.monotonic() - began])
            except Error as error:
                answer([{"error": error.message}, time.monotonic() - began])
    """
)


class Client:
    """One client process, its driver included; it leads a process group."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    def tell(self, *words: object) -> None:
        """Tell it to do something."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps(words).encode() + b"\n")

    async def hear(self) -> Any:
        """Return its next answer: the value and the seconds that it took."""
        assert self.process.stdout
        return json.loads(await asyncio.wait_for(self.process.stdout.readline(), 60 * slack()))

    async def do(self, *words: object) -> Any:
        """Tell it to do something, and return the value; an error raises."""
        self.tell(*words)
        value, _ = await self.hear()
        assert not (isinstance(value, dict) and "error" in value), value["error"]
        return value

    async def fail(self, *words: object) -> str:
        """Tell it to do something that fails, and return the message."""
        self.tell(*words)
        value, _ = await self.hear()
        assert isinstance(value, dict), f"{words} succeeded with {value}"
        return str(value["error"])

    def signal(self, number: signal.Signals) -> None:
        """Signal the client and its driver."""
        os.killpg(self.process.pid, number)

    async def kill(self) -> None:
        """Kill client and driver."""
        if self.process.returncode is None:
            self.signal(signal.SIGKILL)
        await self.process.communicate()
        await until(self._is_gone, 5, "end of a client's driver")

    def _is_gone(self) -> bool:
        reap_group(self.process.pid)  # a pool makes this process the parent of orphans
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        return False


class Place:
    """A pool, its lease port, and what happened there."""

    def __init__(self, pool: Pool, port: LeasePort, ws: str, events: list[Event]) -> None:
        self.pool = pool
        self.port = port
        self.ws = ws
        self.events = events

    def named(self, name: str) -> list[Event]:
        """Return the events of this name."""
        return [event for event in self.events if event.name == name]

    def kept(self) -> dict[str, Kept]:
        """Return every browser with its server."""
        return self.pool._shell.kept

    def slots(self, state: str) -> int:
        """Return how many slots are in a state."""
        return self.pool.statistics().slots[state]

    async def contexts(self) -> int:
        """Return how many contexts the browsers say they have."""
        found = [await kept.server.contexts(10) for kept in self.kept().values()]
        return sum(len(contexts or ()) for contexts in found)

    @asynccontextmanager
    async def client(self, owner: str = "test", wait: str = "30s") -> AsyncIterator[Client]:
        """A connected client."""
        async with client() as one:
            await one.do("connect", f"{self.ws}/chromium?owner={owner}&wait={wait}")
            yield one


@asynccontextmanager
async def client(*runner: str) -> AsyncIterator[Client]:
    """A client that has not connected yet; ``runner`` is a command that runs its command."""
    process = await asyncio.create_subprocess_exec(
        *runner,
        sys.executable,
        "-c",
        _CLIENT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
        limit=16 * 1024 * 1024,
    )
    one = Client(process)
    try:
        yield one
    finally:
        await one.kill()


@asynccontextmanager
async def place(
    host: str = "127.0.0.1", terms: Terms | None = None, **options: Any
) -> AsyncIterator[Place]:
    """A pool that serves; leaving the block asserts that nothing of it is left."""
    os.environ["XDG_CACHE_HOME"] = CACHE
    told = {"maximum": 1, "grace": 1.0, "memory_budget": None, "close_timeout": 3.0, **options}
    events: list[Event] = []
    pool = Pool(PoolOptions(**told), events.append)
    port = LeasePort(pool, terms or Terms(("chromium",)), events.append, lambda: (200, {}))
    with socket.create_server((host, 0)) as sock:
        await pool.start()
        await port.start(sock)
        here = Place(pool, port, f"ws://{host}:{sock.getsockname()[1]}", events)
        try:
            yield here
        except BaseException:
            for event in events:
                sys.stderr.write(f"{event}\n")
            raise
        finally:
            kept = list(here.kept().values())
            await port.close()
            await pool.aclose()
    processes = [p for one in kept for p in (one.server.process, one.server.browser) if p]
    assert not [p.pid for p in processes if psutil.pid_exists(p.pid)]
    assert pool.statistics().leases == ()
    assert pool.statistics().browsers == ()


async def until(
    condition: Callable[[], Any] | Callable[[], Coroutine[Any, Any, Any]],
    seconds: float,
    what: str,
) -> float:
    """Wait until ``condition`` holds, at most ``seconds``; return how long that took."""
    began = time.monotonic()
    while True:
        found: Any = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return time.monotonic() - began
        waited = time.monotonic() - began
        assert waited < seconds * slack(), f"no {what} within {seconds * slack():.1f} s"
        await asyncio.sleep(0.01)
