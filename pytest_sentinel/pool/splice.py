"""The two ends of one lease and the bytes between them.

Bytes are handed on as they come, with the pressure of a slow reader passed back; a client's end
is a future. What a connection is for, and who gets one, is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from pytest_sentinel.pool.frames import FrameMeter, Stream, close_frame, gives_up

PING = b"\x89\x00"  # a whole frame (RFC 6455)
LINGER = 2.0  # for what was said last to be read
BOUNDARY_WITHIN = 1.0  # from a revocation to the end of the frame that is passing
SERVER_GONE_WITHIN = 1.0
_FIRST_WORDS = 4 * 1024  # what a connection costs before it is anybody's
_MESSAGES = 128 * 1024
_EARLY_LIMIT = 64 * 1024
_DISCARD_LIMIT = 4 * 1024 * 1024
# Where there is a time-out for users, Linux lets no number of probes end a connection earlier.
_KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 9, "TCP_USER_TIMEOUT": 60_000}


def prepare_socket(transport: asyncio.BaseTransport) -> None:
    """Have messages sent at once, and notice when the other machine is gone without a word."""
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is None:
        return
    with suppress(OSError):
        # asyncio does it, too, but not where a listening socket was made without naming TCP; then
        # small messages wait up to 40 ms for each other.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with suppress(OSError):  # not every system has every knob
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, number in _KEEPALIVE.items():
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), number)


class End(asyncio.BufferedProtocol):
    """One end of a splice; ``closed`` is done when its connection is gone.

    It reads into a buffer of its own: asyncio's usual way takes a quarter of a megabyte from the
    system for every message, which costs more than handing the message on.
    """

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(_FIRST_WORDS))
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.other: End | None = None
        self._last: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.Transport", transport)
        prepare_socket(transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the buffer to what reads."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
        self.data_received(bytes(self._buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Do something with it."""
        raise NotImplementedError

    def widen(self) -> None:
        """Make room for whole messages: somebody listens now."""
        self._buffer = memoryview(bytearray(_MESSAGES))

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        # The two ends of a splice know each other, and stay until Python looks for such circles.
        self._buffer = memoryview(b"")
        if self._last is not None:
            self._last.cancel()
        if not self.closed.done():
            self.closed.set_result(None)
        if self.other is not None:
            self.other.may_read(yes=True)

    def pause_writing(self) -> None:
        """Have the other end wait: this one is slow to read."""
        if self.other is not None:
            self.other.may_read(yes=False)

    def resume_writing(self) -> None:
        """Have the other end go on."""
        if self.other is not None:
            self.other.may_read(yes=True)

    def may_read(self, *, yes: bool) -> None:
        """Read on from this end, or stop reading for a while."""
        transport: Any = self.transport
        if not self.closed.done() and not transport.is_closing():
            (transport.resume_reading if yes else transport.pause_reading)()

    def end(self, last: bytes = b"") -> None:
        """Close this end when ``last`` has been sent, or a little later in any case."""
        if self.closed.done() or self._last is not None:
            return
        self.may_read(yes=True)
        if last:
            self.transport.write(last)
        # An end that closes with something unread would take back what it has just said.
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()
        self._last = asyncio.get_running_loop().call_later(LINGER, self.transport.abort)

    @property
    def has_spoken(self) -> bool:
        """Whether it has said anything since it was joined to the other."""
        return True

    @property
    def is_ending(self) -> bool:
        """Whether its last word is said."""
        return self._last is not None or self.closed.done()


class ServerEnd(End):
    """The end at the browser server."""

    def __init__(self) -> None:
        super().__init__()
        self.meter = FrameMeter()
        self.held_back = b""  # its own farewell; ours may be the better one
        self._farewell = b""

    def data_received(self, data: bytes) -> None:
        """Hand on what the browser server says."""
        assert self.other is not None
        if self.other.is_ending:
            return
        if self.meter.is_between_frames and gives_up(data):
            self.held_back = data
            self.transport.abort()
            return
        self.other.transport.write(data)
        self.meter.feed(data)
        if self._farewell and self.meter.is_between_frames:
            self.other.end(self._farewell)

    def ping_every(self, seconds: float) -> None:
        """Ping the client as long as this connection stands."""
        loop = asyncio.get_running_loop()

        def ping() -> None:
            client = self.other
            if client is None or self.closed.done() or client.is_ending:
                return
            if client.has_spoken and self.meter.is_between_frames:
                client.transport.write(PING)
            loop.call_later(seconds, ping)

        loop.call_later(seconds, ping)

    async def part(self, reason: str) -> None:
        """Tell the client why it is over, between two frames if that can be had, and close."""
        client = self.other
        assert client is not None
        if self.held_back or self.meter.is_between_frames:
            client.end(close_frame(reason))
            return
        self._farewell = close_frame(reason)
        await asyncio.wait(
            [self.closed, client.closed],
            timeout=BOUNDARY_WITHIN,
            return_when=asyncio.FIRST_COMPLETED,
        )
        client.end()

    def finish(self) -> None:
        """Close the client's end with whatever the browser server wanted to say."""
        assert self.other is not None
        self.other.end(self.held_back)

    async def leave(self) -> None:
        """Close this end; a server that does not is not waited for long."""
        self.transport.close()
        if not self.closed.done():
            await asyncio.wait([self.closed], timeout=SERVER_GONE_WITHIN)
        self.transport.abort()

    @property
    def stream(self) -> Stream:
        """What the browser server has answered so far."""
        return self.meter.stream

    @property
    def status(self) -> int:
        """The status of its answer; 0 before."""
        return self.meter.status

    @property
    def saw_close(self) -> bool:
        """Whether it has said good-bye itself."""
        return self.meter.saw_close


class ClientEnd(End):
    """The end at the client; what it says goes to ``listener`` while there is one."""

    def __init__(
        self, arrived: Callable[[ClientEnd], None], listener: Callable[[ClientEnd, bytes], None]
    ) -> None:
        super().__init__()
        self._arrived = arrived
        self.listener: Callable[[ClientEnd, bytes], None] | None = listener
        self.early = bytearray()  # what it said before there was anybody to hear it
        self.spoke = asyncio.Event()
        self.wants_body = True  # of an answer in HTTP; one that asked by HEAD does not
        self._discarded = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, and announce it."""
        super().connection_made(transport)
        self._arrived(self)

    def data_received(self, data: bytes) -> None:
        """Hand on what the client says, keep it until that is possible, or let it go."""
        if self.is_ending:
            self._discarded += len(data)
            if self._discarded > _DISCARD_LIMIT:
                self.transport.abort()
        elif self.listener is not None:
            self.listener(self, data)
        elif self.other is not None:
            self.spoke.set()
            self.other.transport.write(data)
        else:
            self.early += data
            if len(self.early) > _EARLY_LIMIT:
                self.transport.abort()

    @property
    def has_spoken(self) -> bool:
        """Whether it has said anything since it asked for a browser."""
        return self.spoke.is_set()

    def descriptor(self) -> socket.socket:
        """Return another hold on the connection, which must be closed."""
        return socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno()))

    def let_go(self) -> bytes:
        """Read nothing from now on, for somebody else does; return what was said early."""
        self.may_read(yes=False)
        early = bytes(self.early)
        self.early.clear()
        return early

    def join(self, server: ServerEnd, head: bytes) -> None:
        """Let both ends hear each other, beginning with ``head`` and what was said early."""
        server.transport.write(head + bytes(self.early))
        if self.early:
            self.spoke.set()
        self.early.clear()
        self.other, server.other = server, self
        self.widen()
        server.widen()
