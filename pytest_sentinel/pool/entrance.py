"""Where connections of one port come in: one by one, and no more than there is room for.

Law: a port never takes the descriptors that browsers and the other port need. When room runs out,
who has said nothing goes first, and who waits for an answer stays.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from pytest_sentinel.pool.tasks import Tasks

_BACKLOG = 512
_AT_ONCE = 8  # those that are dropped for them close when others have had their turn
_PAUSE = 0.1  # after the system gave none
_TOLD_EVERY = 10.0
# There is no descriptor or memory; on the next connection that waits it would be the same.
_NONE_LEFT: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Entrance:
    """Takes the connections of one port.

    Args:
        make: returns the protocol of one more; it has a ``transport`` once it is connected.
        most: returns how many there may be at once.
        tell: called with how many were dropped to make room, or found none; every 10 s at most.
        failed: called when a connection could not be begun, with what failed and why.

    Attributes:
        dropped: by cause, how many connections were closed for want of room.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        most: Callable[[], int],
        tell: Callable[[dict[str, int]], None],
        failed: Callable[[str, str], None],
    ) -> None:
        self._make = make
        self._most = most
        self._tell = tell
        self._tasks = Tasks(failed)
        self._sock: socket.socket | None = None
        self._reopen: asyncio.TimerHandle | None = None
        self._telling: asyncio.TimerHandle | None = None
        self._untold: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        # Each in the order in which they came to be so.
        self._silent: dict[Any, None] = {}
        self._half_said: dict[Any, None] = {}
        self._served: dict[Any, None] = {}
        self._answered: dict[Any, None] = {}

    def open(self, sock: socket.socket) -> None:
        """Begin to take connections on a bound socket."""
        sock.listen(_BACKLOG)
        sock.setblocking(False)
        self._sock = sock
        asyncio.get_running_loop().add_reader(sock, self._accept)

    @property
    def is_open(self) -> bool:
        """Whether connections are taken."""
        return self._sock is not None

    async def close(self) -> None:
        """Take no more; those that are here stay."""
        if self._sock is not None:
            asyncio.get_running_loop().remove_reader(self._sock)
            # Who waits in the queue shall not wait for nothing.
            self._sock.close()
            self._sock = None
        for timer in (self._reopen, self._telling):
            if timer is not None:
                timer.cancel()
        if tasks := self._tasks.running():
            await asyncio.wait(tasks)

    # What becomes of a connection

    def spoke(self, protocol: Any) -> None:
        """Note that the first bytes have come."""
        if protocol in self._silent:
            self._move(protocol, self._half_said)

    def serve(self, protocol: Any) -> None:
        """Note that its request is whole: it is not dropped from now on."""
        self._move(protocol, self._served)

    def answered(self, protocol: Any) -> None:
        """Note that its answer is on the way: it may be dropped again."""
        self._move(protocol, self._answered)

    def left(self, protocol: Any) -> None:
        """Forget a connection that has ended."""
        for group in (self._silent, self._half_said, self._served, self._answered):
            group.pop(protocol, None)

    def _move(self, protocol: Any, to: dict[Any, None]) -> None:
        self.left(protocol)
        to[protocol] = None

    # Who comes in

    def _accept(self) -> None:
        assert self._sock is not None
        for _ in range(_AT_ONCE):
            try:
                connection, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                return
            except OSError as error:
                if error.errno not in _NONE_LEFT:
                    raise
                self._count("silent" if self._drop_one() else "no room")
                self._pause()
                return
            self._take(connection)

    def _take(self, connection: socket.socket) -> None:
        here = sum(map(len, (self._silent, self._half_said, self._served, self._answered)))
        if here >= self._most():
            if not self._drop_one():
                connection.close()
                self._count("no room")
                return
            self._count("silent")
        connection.setblocking(False)
        protocol = self._make()
        self._silent[protocol] = None

        def failed(_: str) -> None:
            self.left(protocol)
            connection.close()

        self._tasks.begin("connection", self._connect(connection, protocol), failed)

    async def _connect(self, connection: socket.socket, protocol: Any) -> None:
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: protocol, connection)

    def _drop_one(self) -> bool:
        """Close the connection that matters least; False when all of them matter."""
        # The oldest first: an honest request is whole before as many others have come.
        for group in (self._silent, self._half_said, self._answered):
            for protocol in group:
                transport = getattr(protocol, "transport", None)
                if transport is not None:
                    self.left(protocol)
                    transport.abort()
                    return True
        return False

    def _pause(self) -> None:
        """Leave those who wait in the queue for a moment: there is nothing to take them with."""
        assert self._sock is not None
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._sock)
        self._reopen = loop.call_later(_PAUSE, self._resume)

    def _resume(self) -> None:
        if self._sock is not None:
            asyncio.get_running_loop().add_reader(self._sock, self._accept)

    # What is told of it

    def _count(self, cause: str) -> None:
        self.dropped[cause] += 1
        self._untold[cause] += 1
        if self._telling is None:
            self._tell_now()

    def _tell_now(self) -> None:
        self._telling = None
        if self._untold:
            told, self._untold = dict(self._untold), Counter()
            self._tell({cause.replace(" ", "_"): count for cause, count in told.items()})
            self._telling = asyncio.get_running_loop().call_later(_TOLD_EVERY, self._tell_now)
