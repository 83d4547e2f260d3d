"""The lease port: one connection is one lease, from the upgrade until either end closes.

Law: a client that has not sent its whole request holds nothing; one that has holds a place in the
queue only while it stays. The secret path of a browser server never leaves this process. What may
be leased, and when, is the pool's to say.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import h11

from pytest_sentinel.addresses import Address
from pytest_sentinel.errors import PoolRefused, RequestRefused
from pytest_sentinel.pool import upgrade
from pytest_sentinel.pool.distribution import Distribution
from pytest_sentinel.pool.entrance import Entrance
from pytest_sentinel.pool.frames import Stream
from pytest_sentinel.pool.snapshot import Event
from pytest_sentinel.pool.splice import ClientEnd, ServerEnd
from pytest_sentinel.pool.tasks import Tasks, words
from pytest_sentinel.pool.terms import FarEnd, Lease, Leasing, Terms
from pytest_sentinel.telemetry.catalogue import LEASES, WAITS

_JSON = "application/json"
_REASON_WITHIN = 0.5  # from the end of a browser server to the pool's word on why


class LeasePort:
    """Takes clients, and holds a lease of the pool for each as long as it stays."""

    def __init__(
        self,
        pool: Leasing,
        terms: Terms,
        say: Callable[[Event], None],
        ready: Callable[[], tuple[int, dict[str, Any]]],
        room: Callable[[], int] | None = None,
    ) -> None:
        self._pool = pool
        self._terms = terms
        self._say = say
        self._ready = ready
        self._listen = ""
        self.entrance = Entrance(
            lambda: ClientEnd(self._arrived, self._first_words()),
            lambda: min(terms.most_clients, room() if room else terms.most_clients),
            lambda dropped: self._tell("clients.dropped", port="lease", **dropped),
            lambda _, cause: self._tell("client.failed", error=cause),
        )
        self._clients: set[ClientEnd] = set()
        self._tasks = Tasks(lambda _, cause: self._tell("client.failed", error=cause))
        self._timers: dict[ClientEnd, asyncio.TimerHandle] = {}
        self.waits = Distribution(WAITS)
        self.holds = Distribution(LEASES)
        self.refusals: Counter[int] = Counter()

    async def start(self, sock: socket.socket) -> None:
        """Begin to take clients on a bound socket."""
        self._listen = str(sock.getsockname()[0])
        self.entrance.open(sock)

    def change_token(self, token: bytes) -> None:
        """Ask those who come from now on for ``token``."""
        self._terms = replace(self._terms, token=token)

    @property
    def is_listening(self) -> bool:
        """Whether new clients are taken."""
        return self.entrance.is_open

    @property
    def clients(self) -> int:
        """How many connections there are, of all kinds."""
        return len(self._clients)

    async def close(self) -> None:
        """Take no more clients, and part from those that are here with a word of why."""
        await self.entrance.close()
        self._tasks.cancel()
        if tasks := self._tasks.running():
            await asyncio.wait(tasks)
        for client in self._clients:
            client.end()
        if self._clients:
            await asyncio.wait([client.closed for client in self._clients], timeout=1.0)
        for client in list(self._clients):
            client.transport.abort()

    # A client comes

    def _first_words(self) -> Callable[[ClientEnd, bytes], None]:
        reader = upgrade.HeadReader()

        def read(client: ClientEnd, data: bytes) -> None:
            self.entrance.spoke(client)
            try:
                request = reader.feed(data)
                if request is None:
                    return
                client.listener = None
                client.early += reader.rest()
                self._asked(client, request)
            except RequestRefused as refused:
                self._refuse(client, refused)

        return read

    def _arrived(self, client: ClientEnd) -> None:
        self._clients.add(client)
        loop = asyncio.get_running_loop()
        self._timers[client] = loop.call_later(self._terms.head_within, self._too_slow, client)
        client.closed.add_done_callback(lambda _: self._left(client))

    def _left(self, client: ClientEnd) -> None:
        self._clients.discard(client)
        self.entrance.left(client)
        self._timers.pop(client).cancel()

    def _too_slow(self, client: ClientEnd) -> None:
        seconds = f"{self._terms.head_within:g} s"
        self._refuse(client, RequestRefused(408, f"no whole request came within {seconds}"))

    def _asked(self, client: ClientEnd, request: h11.Request) -> None:
        """Answer a whole request."""
        self._timers[client].cancel()
        client.wants_body = request.method != b"HEAD"
        self.entrance.serve(client)
        peer = client.transport.get_extra_info("peername") or ("unknown",)
        if not upgrade.is_upgrade(request):
            self._answer(client, request)
            return
        terms = self._terms
        ask = upgrade.read_ask(request, terms.engines, terms.token, str(peer[0]), self._listen)
        work = self._serve(client, request, ask)
        self._tasks.begin("serve", work, lambda _: client.transport.abort())

    def _answer(self, client: ClientEnd, request: h11.Request) -> None:
        """Answer what is no WebSocket: a question whether it is worth to come, or a mistake."""
        upgrade.check_caller(request, self._terms.token, self._listen)
        if upgrade.asks_ready(request):
            status, body = self._ready()
            self._say_last(client, upgrade.answer(status, json.dumps(body) + "\n", _JSON))
            return
        raise RequestRefused(
            426,
            "this port speaks WebSocket to Playwright clients",
            "Connect by ws://, not http://, as in"
            f" playwright.{self._terms.engines[0]}.connect('ws://HOST:PORT/ENGINE').",
        )

    def _refuse(self, client: ClientEnd, refused: RequestRefused) -> None:
        if client.is_ending:
            return
        self.refusals[refused.status] += 1
        self._tell("client.refused", status=refused.status, problem=refused.problem)
        client.listener = None
        self._say_last(client, upgrade.refusal(refused))

    def _say_last(self, client: ClientEnd, answer: bytes) -> None:
        self.entrance.answered(client)
        client.end(answer if client.wants_body else upgrade.without_body(answer))

    # A client stays

    async def _serve(self, client: ClientEnd, request: h11.Request, ask: upgrade.Ask) -> None:
        began = time.monotonic()
        wait = self._terms.wait if ask.wait is None else ask.wait
        try:
            async with self._pool.lease(ask.engine, ask.owner, wait, gone=client.closed) as lease:
                granted = time.monotonic()
                self.waits.add(granted - began)
                try:
                    await self._join(client, request, lease)
                finally:
                    self.holds.add(time.monotonic() - granted)
        except PoolRefused as refused:
            self._refuse(client, upgrade.from_pool(refused))
        except RequestRefused as refused:
            self._refuse(client, refused)
        except asyncio.CancelledError:
            self._refuse(client, RequestRefused(503, "the service stops"))
        except Exception as error:
            # One client's misfortune; the others must not learn of it.
            self._tell("client.failed", error=words(error))
            self._refuse(client, RequestRefused(500, "the service failed; its log says how"))

    async def _join(self, client: ClientEnd, request: h11.Request, lease: Lease) -> None:
        """Let client and browser server hear each other until one of the three ends it."""
        server = await self._open(client, request, lease)
        try:
            await self._hold(client, server, lease)
        except asyncio.CancelledError:
            await self._part(server, "the service stops")
        finally:
            await server.leave()

    async def _open(self, client: ClientEnd, request: h11.Request, lease: Lease) -> FarEnd:
        """Have the browser server take the client's connection, or else open one and join the two.

        Whoever is in between takes a tenth of a millisecond of every message.
        """
        host = str(Address(lease.host, lease.port))
        if lease.door is not None:
            passed = lease.door.pass_on(client, upgrade.headers_for(request, host))
            if passed is not None:
                return passed
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._terms.connect_within):
                _, server = await loop.create_connection(
                    ServerEnd, lease.host, lease.port, ssl=True if lease.tls else None
                )
        except OSError:  # which a time-out is too
            raise RequestRefused(
                502, "the browser server does not answer", "Try again: it is being replaced.", 1.0
            ) from None
        client.join(server, upgrade.head_for(request, host, lease.path))
        if self._terms.ping_every is not None:
            server.ping_every(self._terms.ping_every)
        return server

    async def _hold(self, client: ClientEnd, server: FarEnd, lease: Lease) -> None:
        ends: set[asyncio.Future[Any]] = {client.closed, server.closed, lease.revoked}
        spoke = asyncio.ensure_future(client.spoke.wait())
        try:
            await asyncio.wait(
                {*ends, spoke},
                timeout=self._terms.first_word_within,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            spoke.cancel()
        if not client.spoke.is_set() and not any(end.done() for end in ends):
            if server.stream is Stream.ANSWER:
                raise RequestRefused(502, "the browser server gives no answer", "Try again.")
            await self._part(server, "the client said nothing")
            return
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if client.closed.done():
            return
        cut_off = server.stream is Stream.FRAMES and not server.saw_close
        if cut_off and not lease.revoked.done():
            await asyncio.wait([lease.revoked], timeout=_REASON_WITHIN)
        if lease.revoked.done() and cut_off:
            await self._part(server, lease.revoked.result())
        elif server.stream is Stream.ANSWER:
            reason = lease.revoked.result() if lease.revoked.done() else "it ended"
            raise RequestRefused(502, f"the browser server gave no answer: {reason}", "Try again.")
        else:
            if server.stream is Stream.REFUSAL:
                self.refusals[server.status] += 1
                self._tell("client.refused", status=server.status, problem="by the browser")
            server.finish()

    async def _part(self, server: FarEnd, reason: str) -> None:
        """End the client's connection with ``reason``."""
        if server.stream is not Stream.FRAMES:
            raise RequestRefused(503, reason)
        await server.part(reason)

    def _tell(self, name: str, **facts: str | float) -> None:
        self._say(Event(name, time.time(), facts))
