"""A lease port on a pool that does what a test says, and a browser server that talks back.

What a real pool would take seconds to come to (full, revoked in the middle of a frame) is said here
in a line. The sockets, and the bytes on them, are real.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from pytest_sentinel.errors import PoolRefused
from pytest_sentinel.pool.service import LeasePort
from pytest_sentinel.pool.snapshot import Event
from pytest_sentinel.pool.terms import Terms
from tests import loops

SECRET = "/0123456789abcdef-the-secret-path"
HEAD = (
    "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
)
AGREED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


def run(scenario: Callable[[], Coroutine[Any, Any, None]], seconds: float = 30.0) -> None:
    """Run a scenario in an event loop of its own."""

    async def limited() -> None:
        async with asyncio.timeout(seconds):
            await scenario()

    loops.run(limited())


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition; the scenario's own limit ends a vain wait."""
    while not condition():  # noqa: ASYNC110 - it comes true at the other end of a wire
        await asyncio.sleep(0.005)


@dataclass
class Lease:
    """What the scripted pool gives."""

    host: str
    port: int
    path: str = SECRET
    id: str = "lease-1"
    tls: bool = False
    door: None = None
    revoked: asyncio.Future[str] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class ScriptedPool:
    """Gives a lease on ``server`` to whoever asks, unless it is told to wait or to refuse."""

    def __init__(self, server: BrowserServer) -> None:
        self._server = server
        self.refuse: PoolRefused | None = None
        self.hold = asyncio.Event()
        self.hold.set()
        self.asked: list[tuple[str, str, float]] = []
        self.waiting = 0
        self.held: list[Lease] = []
        self.ended = 0

    @asynccontextmanager
    async def lease(
        self, engine: str, owner: str, wait: float, *, gone: asyncio.Future[None] | None = None
    ) -> AsyncIterator[Lease]:
        """Give a lease for as long as the block lasts."""
        self.asked.append((engine, owner, wait))
        if self.refuse is not None:
            raise self.refuse
        assert gone is not None
        self.waiting += 1
        allowed = asyncio.ensure_future(self.hold.wait())
        try:
            await asyncio.wait({allowed, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.waiting -= 1
            allowed.cancel()
        if gone.done():
            raise PoolRefused("gone", "the client left", "")
        lease = Lease(self._server.host, self._server.port)
        self.held.append(lease)
        try:
            yield lease
        finally:
            self.held.remove(lease)
            self.ended += 1


class BrowserServer:
    """Agrees to every upgrade, notes what it is told, and echoes what comes after."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.answer = AGREED
        self.greeting = b""
        self.echo = True
        self.mute = False
        self.writers: list[asyncio.StreamWriter] = []
        self.open = 0
        self.heard = bytearray()
        self._server: asyncio.Server | None = None
        self.host = "127.0.0.1"
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._talk, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.writers.append(writer)
        try:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            if self.mute:
                await reader.read()
                return
            writer.write(self.answer + self.greeting)
            while self.answer.startswith(b"HTTP/1.1 101") and (data := await reader.read(65536)):
                self.heard += data
                if self.echo:
                    writer.write(data)
                    await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self.writers:
            writer.transport.abort()
        await until(lambda: not self.open)
        await self._server.wait_closed()


@dataclass
class Stage:
    """A lease port with what is behind it."""

    port: LeasePort
    pool: ScriptedPool
    server: BrowserServer
    events: list[Event]
    address: tuple[str, int]

    async def say(self, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect and say something."""
        reader, writer = await asyncio.open_connection(*self.address)
        writer.write(data)
        await writer.drain()
        return reader, writer

    async def upgrade(
        self, target: str = "/chromium", more: str = ""
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Ask for a lease."""
        return await self.say(HEAD.format(target=target, more=more).encode())

    async def answer(self, data: bytes) -> str:
        """Say something, and return all that is answered until the port hangs up."""
        reader, writer = await self.say(data)
        answer = await reader.read()
        await hang_up(writer)
        return answer.decode()

    async def refusal(self, target: str = "/chromium", more: str = "") -> str:
        """Ask for a lease that is not to be had, and return the answer."""
        return await self.answer(HEAD.format(target=target, more=more).encode())


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Close a connection from this side."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


@asynccontextmanager
async def stage(**terms: Any) -> AsyncIterator[Stage]:
    """Open a lease port on loopback; fail if it leaves a task behind."""
    before = asyncio.all_tasks()
    server = BrowserServer()
    await server.start()
    pool = ScriptedPool(server)
    events: list[Event] = []
    told = {"engines": ("chromium", "firefox"), **terms}
    port = LeasePort(pool, Terms(**told), events.append, lambda: (200, {"ready": True}))
    sock = socket.create_server(("127.0.0.1", 0))
    await port.start(sock)
    try:
        yield Stage(port, pool, server, events, sock.getsockname()[:2])
    finally:
        await port.close()
        await server.close()
        await until(lambda: asyncio.all_tasks() <= before)
    assert port.clients == 0
    assert pool.held == []
    assert pool.waiting == 0
