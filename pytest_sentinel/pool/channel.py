"""The wire to a browser server's program: messages, and sockets that go along with them.

It speaks what Node.js speaks with its own children: a JSON object a line, on a socket that the
program has as its standard input. A socket is passed as a descriptor (SCM_RIGHTS), and is a
``net.Socket`` at the other end. Nothing here waits: what cannot be sent yet is queued.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

_CHUNK = 64 * 1024
# Its number in the program. Any higher one would be handed down to the browser: Node.js closes in
# its children what is below 16, and beyond that only what has no gap before it.
ENVIRON = {"NODE_CHANNEL_FD": "0"}


class Channel:
    """This end of the wire.

    Args:
        hear: called with every message.
        lost: called once when the other end is gone.

    Attributes:
        theirs: the other end; the program's standard input, until ``begin``.
    """

    def __init__(self, hear: Callable[[dict[str, Any]], None], lost: Callable[[], None]) -> None:
        self._hear = hear
        self._lost = lost
        self._ours, self.theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._unsent: deque[tuple[bytes, int | None]] = deque()
        self._heard = bytearray()

    def begin(self) -> None:
        """Listen: the program has its end now, and is alone to have it."""
        self.theirs.close()
        self._loop.add_reader(self._ours, self._read)

    @property
    def is_open(self) -> bool:
        """Whether anything that is said can arrive."""
        return self._ours.fileno() >= 0

    def say(self, message: Mapping[str, Any], passing: socket.socket | None = None) -> None:
        """Send ``message``, and with it another hold on the connection of ``passing``.

        Raises:
            ConnectionError: the program is gone.
        """
        if not self.is_open:
            raise ConnectionError("the browser server is gone")
        descriptor = None
        if passing is not None:
            message = {"cmd": "NODE_HANDLE", "type": "net.Socket", "msg": message}
            descriptor = os.dup(passing.fileno())
        self._unsent.append((json.dumps(message).encode() + b"\n", descriptor))
        self._send()

    def close(self) -> None:
        """Hang up, which ends the program; closing again does nothing."""
        self.theirs.close()
        if not self.is_open:
            return
        self._loop.remove_reader(self._ours)
        self._loop.remove_writer(self._ours)
        self._ours.close()
        for _, descriptor in self._unsent:
            if descriptor is not None:
                os.close(descriptor)
        self._unsent.clear()
        self._lost()

    def _send(self) -> None:
        while self._unsent:
            data, descriptor = self._unsent[0]
            try:
                passing = [] if descriptor is None else [descriptor]
                sent = socket.send_fds(self._ours, [data], passing)
            except BlockingIOError:
                self._loop.add_writer(self._ours, self._send)
                return
            except OSError:
                self.close()
                return
            if descriptor is not None:
                os.close(descriptor)
            if sent < len(data):
                self._unsent[0] = (data[sent:], None)
            else:
                self._unsent.popleft()
        self._loop.remove_writer(self._ours)

    def _read(self) -> None:
        try:
            data = self._ours.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        *lines, rest = (self._heard + data).split(b"\n")
        self._heard = bytearray(rest)
        for line in lines:
            with suppress(ValueError, RecursionError):
                message = json.loads(line)
                # Node.js acknowledges every socket; it would wait for that before it sends the
                # next, and we need not.
                if isinstance(message, dict) and "cmd" not in message:
                    self._hear(message)
