"""A client whose connection the browser server's own program has: the two talk without a middleman.

The service keeps a hold on the connection and reads nothing from it: it sees it end, and can end
it. What it wants said to the client the program says, between two messages of its own; only where
that is dead or stuck the service writes itself.
"""

from __future__ import annotations

import asyncio
import base64
import select
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from pytest_sentinel.pool.channel import Channel
from pytest_sentinel.pool.frames import Stream, close_frame
from pytest_sentinel.pool.splice import BOUNDARY_WITHIN, SERVER_GONE_WITHIN, ClientEnd

CAN_WATCH: Final = hasattr(select, "epoll")


class Door:
    """Where a browser server's program takes clients over.

    Args:
        channel: the wire to the program.
        path: the secret path that it serves clients on.
    """

    def __init__(self, channel: Channel, path: str) -> None:
        self._channel = channel
        self._path = path
        self._made = 0
        self.passed: dict[int, Passed] = {}  # by the numbers of their lines

    def pass_on(self, client: ClientEnd, headers: Mapping[str, str]) -> Passed | None:
        """Let the program and ``client`` talk to each other; None when one of them is gone.

        ``headers`` are those of the client's request, by names in small letters.
        """
        if client.closed.done() or not self._channel.is_open:
            return None
        self._made += 1
        line, channel = self._made, self._channel
        passed = Passed(client, lambda words: channel.say({"line": line, **words}))
        self.passed[line] = passed
        passed.closed.add_done_callback(lambda _: self.passed.pop(line, None))
        early = base64.b64encode(client.let_go()).decode("ascii")
        take = {"do": "take", "url": self._path, "headers": dict(headers), "early": early}
        channel.say({"line": line, **take}, passing=passed.line)
        return passed

    def hear(self, fact: Mapping[str, Any]) -> None:
        """Take what the program says of a connection."""
        passed = self.passed.get(fact.get("line", 0))
        if passed is not None:
            passed.hear(fact)

    def close(self) -> None:
        """Note that the program is gone."""
        for passed in list(self.passed.values()):
            passed.lost()


class Passed:
    """The far end of a client whose connection was passed on.

    Args:
        client: whose connection it is.
        say: tells the program to ``part`` (with a last frame) or to ``drop`` it.

    Attributes:
        closed: done when the program has let go of the connection.
        status: of the program's answer; 0 before.
        saw_close: whether it has said good-bye itself.
    """

    def __init__(self, client: ClientEnd, say: Callable[[Mapping[str, Any]], None]) -> None:
        self._client = client
        self._say = say
        loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = loop.create_future()
        self.status = 0
        self.saw_close = False
        self._held_back = b""  # its own farewell; ours may be the better one
        # Of its own, for asyncio closes the client's before it says so, and a descriptor that is
        # watched must not be closed.
        self.line = client.descriptor()
        self._watch = select.epoll()
        self._watch.register(self.line, select.EPOLLRDHUP)
        loop.add_reader(self._watch, self._hung_up)

    @property
    def stream(self) -> Stream:
        """What the program has answered so far."""
        if not self.status:
            return Stream.ANSWER
        return Stream.FRAMES if self.status == 101 else Stream.REFUSAL

    def hear(self, fact: Mapping[str, Any]) -> None:
        """Note what the program says of the connection."""
        if "status" in fact:
            self.status = fact["status"]
        elif "spoke" in fact:
            self._client.spoke.set()
        elif "closing" in fact:
            self.saw_close = True
        elif "farewell" in fact:
            self._held_back = fact["farewell"].encode("latin-1")
            self.lost()
        elif "closed" in fact:
            self.lost()

    def lost(self) -> None:
        """Note that the program has let go, or is gone."""
        if not self.closed.done():
            self.closed.set_result(None)

    async def part(self, reason: str) -> None:
        """Have the client told why it is over, and its connection closed."""
        last = close_frame(reason)
        if not self.closed.done():
            with suppress(ConnectionError):
                self._say({"do": "part", "frame": last.decode("latin-1")})
            await asyncio.wait(
                [self.closed, self._client.closed],
                timeout=BOUNDARY_WITHIN,
                return_when=asyncio.FIRST_COMPLETED,
            )
        self._client.end(last)

    def finish(self) -> None:
        """Close the client's end with whatever the browser server wanted to say."""
        self._client.end(self._held_back)

    async def leave(self) -> None:
        """Let go of the connection; a program that does not do so is not waited for long."""
        try:
            if not self.closed.done():
                if not self._client.closed.done():
                    with suppress(ConnectionError):
                        self._say({"do": "drop"})
                await asyncio.wait([self.closed], timeout=SERVER_GONE_WITHIN)
        finally:
            if not self.closed.done():
                # For the program this is the end, when it looks again. A client that is still
                # there has something to be told, and its end closes after that.
                is_gone = self._client.closed.done()
                with suppress(OSError):
                    self.line.shutdown(socket.SHUT_RDWR if is_gone else socket.SHUT_RD)
            self._stop_watching()
            self.line.close()

    def _hung_up(self) -> None:
        """The client has closed its end, or its machine is gone."""
        self._stop_watching()
        self._client.transport.abort()

    def _stop_watching(self) -> None:
        if not self._watch.closed:
            asyncio.get_running_loop().remove_reader(self._watch)
            self._watch.close()
