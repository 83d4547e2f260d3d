"""What a lease port is told, and what it needs of others: a pool, its leases, their far ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from pytest_sentinel.pool.frames import Stream
from pytest_sentinel.pool.passing import Door


@dataclass(frozen=True, slots=True)
class Lease:
    """One client's hold on one browser: where to connect, and when to go.

    Attributes:
        path: with its slash; the browser server's secret.
        tls: whether to connect by TLS, as to somebody else's server.
        revoked: resolves with a sentence when the lease must end; the holder closes its
            connection then.
        door: takes a client's connection over; None where one must be opened to ``host``.
    """

    id: str
    owner: str
    engine: str
    browser: str
    host: str
    port: int
    path: str
    tls: bool
    revoked: asyncio.Future[str]
    door: Door | None


class FarEnd(Protocol):
    """The browser server's side of a lease, as passing.py and splice.py have it."""

    closed: asyncio.Future[None]

    @property
    def stream(self) -> Stream:
        """What it has answered so far."""
        ...

    @property
    def status(self) -> int:
        """The status of its answer; 0 before."""
        ...

    @property
    def saw_close(self) -> bool:
        """Whether it has said good-bye itself."""
        ...

    async def part(self, reason: str) -> None:
        """Tell the client why it is over, and close its connection."""

    def finish(self) -> None:
        """Close the client's connection with whatever this side wanted to say."""

    async def leave(self) -> None:
        """Let go of this side."""


class Leasing(Protocol):
    """The pool, as the lease port needs it."""

    def lease(
        self, engine: str, owner: str, wait: float, *, gone: asyncio.Future[None] | None = None
    ) -> AbstractAsyncContextManager[Lease]:
        """Give a lease for as long as the block lasts; raises PoolRefused."""
        ...


@dataclass(frozen=True, slots=True)
class Terms:
    """Who is let in, and how long a client may take. Durations in seconds.

    Attributes:
        token: what every client must show; None lets everybody in.
        wait: how long a client waits for a lease that does not say how long.
        head_within: from the connection to the end of the request's head.
        first_word_within: from the granted lease to the client's first message.
        connect_within: for the browser server to take the connection.
        most_clients: connections of all kinds at once.
        ping_every: how often a client is pinged whose messages go through the service; never if
            None.
    """

    engines: Sequence[str]
    token: bytes | None = None
    wait: float = 30.0
    head_within: float = 10.0
    first_word_within: float = 30.0
    connect_within: float = 5.0
    most_clients: int = 2000
    ping_every: float | None = None
