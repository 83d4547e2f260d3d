"""The control port: how the service is, for people, probes and Prometheus; and what it is told.

Law: it changes nothing without the token where there is one, and nothing at all for a web page.
Connections are short: each is for one request, and none may dawdle.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from pytest_sentinel.errors import RequestRefused, SettingError
from pytest_sentinel.pool import callers
from pytest_sentinel.pool.entrance import Entrance
from pytest_sentinel.pool.health import FAILING, Health, Readiness
from pytest_sentinel.pool.snapshot import Event, PoolStatistics
from pytest_sentinel.pool.upgrade import is_token
from pytest_sentinel.version import __version__

_CONNECTION_LIFE = 30.0
_HEAD_WITHIN = 10.0
_BODY_LIMIT = 4096
_MOST_CONNECTIONS = 500
_MOST_BROWSERS = 1000


class Controlled(Protocol):
    """The service, as its control port needs it."""

    def statistics(self) -> PoolStatistics:
        """Return the pool at this moment."""
        ...

    def health(self) -> Health:
        """Return how it is."""
        ...

    def readiness(self) -> Readiness:
        """Return whether a lease would be granted now."""
        ...

    def drain(self) -> None:
        """Begin to drain, then stop."""
        ...

    async def restart(self) -> int:
        """Renew every browser; return the number of the new generation."""
        ...

    def resize(self, maximum: int) -> None:
        """Change the number of places."""
        ...


class ControlPort:
    """Answers on the control port."""

    def __init__(
        self,
        service: Controlled,
        registry: CollectorRegistry,
        token: bytes | None,
        identity: dict[str, str],
        say: Callable[[Event], None],
        room: Callable[[], int] = lambda: _MOST_CONNECTIONS,
    ) -> None:
        self._service = service
        self._registry = registry
        self._token = token
        self._identity = {"version": __version__, **identity}
        self._began = time.monotonic()
        self._callers: dict[Any, _Caller] = {}  # by what aiohttp has for them

        def tell(name: str, **facts: Any) -> None:
            say(Event(name, time.time(), facts))

        self._listen = ""
        self.entrance = Entrance(
            lambda: _Caller(self._runner.server, self._callers, self.entrance),
            room,
            lambda dropped: tell("clients.dropped", port="control", **dropped),
            lambda _, cause: tell("control.failed", error=cause),
        )
        log = logging.Logger("sentinel.control", logging.ERROR)
        log.addHandler(_Saying(say))
        self._runner = web.AppRunner(
            self._app(), access_log=None, keepalive_timeout=5.0, logger=log
        )

    async def start(self, sock: socket.socket) -> None:
        """Begin to answer on a bound socket."""
        self._listen = str(sock.getsockname()[0])
        await self._runner.setup()
        self.entrance.open(sock)

    def change_token(self, token: bytes) -> None:
        """Ask those who come from now on for ``token``."""
        self._token = token

    async def close(self) -> None:
        """Answer no more."""
        await self.entrance.close()
        await self._runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=_BODY_LIMIT, middlewares=[self._guard])
        app.router.add_get("/health", self._health)
        app.router.add_get("/ready", self._ready)
        app.router.add_get("/status", self._status)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_post("/drain", self._drain)
        app.router.add_post("/restart", self._restart)
        app.router.add_post("/resize", self._resize)
        return app

    @web.middleware
    async def _guard(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Let in who may ask this; close the connection after the answer."""
        caller = self._callers.get(request.protocol)
        if caller is not None:
            self.entrance.serve(caller)
            caller.end_within(_CONNECTION_LIFE)
        refused = self._why_not(request)
        if refused is not None:
            answer: web.StreamResponse = refused
        else:
            try:
                answer = await handler(request)
            except web.HTTPException as error:
                answer = _say(error.status, error.reason)
        answer.headers["Cache-Control"] = "no-store"
        answer.force_close()
        if caller is not None:
            self.entrance.answered(caller)
        return answer

    def _why_not(self, request: web.Request) -> web.Response | None:
        headers = request.headers
        try:
            callers.check(
                headers.getall("Host", []),
                headers.getall("Origin", []),
                self._listen,
                has_token=self._token is not None,
            )
        except RequestRefused as refused:
            return _say(refused.status, str(refused))
        open_to_all = request.method in ("GET", "HEAD") and request.path != "/status"
        if self._token is None or open_to_all:
            return None
        scheme, _, shown = headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not is_token(shown.strip(), self._token):
            answer = _say(401, "a token is needed: header `Authorization: Bearer TOKEN`")
            answer.headers["WWW-Authenticate"] = "Bearer"
            return answer
        return None

    async def _health(self, _: web.Request) -> web.Response:
        health = self._service.health()
        return _json(dataclasses.asdict(health), 503 if health.status == FAILING else 200)

    async def _ready(self, _: web.Request) -> web.Response:
        readiness = self._service.readiness()
        return _json(
            dataclasses.asdict(readiness) | self._identity, 200 if readiness.ready else 503
        )

    async def _status(self, _: web.Request) -> web.Response:
        whole = {
            **self._identity,
            "uptime": round(time.monotonic() - self._began, 3),
            "health": self._service.health().status,
            "readiness": dataclasses.asdict(self._service.readiness()),
            "pool": dataclasses.asdict(self._service.statistics()),
        }
        return _json(whole)

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, kind = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": kind})

    async def _drain(self, _: web.Request) -> web.Response:
        self._service.drain()
        return _json({"draining": True}, 202)

    async def _restart(self, _: web.Request) -> web.Response:
        return _json({"generation": await self._service.restart()}, 202)

    async def _resize(self, request: web.Request) -> web.Response:
        maximum = _read_maximum(await request.read())
        if maximum is None:
            return _say(400, 'the body is not {"maximum": NUMBER}')
        try:
            if not 1 <= maximum <= _MOST_BROWSERS:
                return _say(400, f"the maximum is not a number from 1 to {_MOST_BROWSERS}")
            self._service.resize(maximum)
        except SettingError as error:
            return _say(400, str(error))
        return _json({"maximum": maximum})


class _Caller(asyncio.Protocol):
    """One connection: aiohttp's, with limits on how long it may take."""

    def __init__(self, make: Any, callers: dict[Any, _Caller], entrance: Entrance) -> None:
        self._handler = make()
        self._callers = callers
        self._entrance = entrance
        self._life: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.Transport", transport)
        self._callers[self._handler] = self
        self.end_within(min(_HEAD_WITHIN, _CONNECTION_LIFE))
        self._handler.connection_made(transport)

    def end_within(self, seconds: float) -> None:
        """Cut the connection off after so many seconds from now."""
        if self._life is not None:
            self._life.cancel()
        if self.transport is not None:
            loop = asyncio.get_running_loop()
            self._life = loop.call_later(seconds, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if self._life is not None:
            self._life.cancel()
        self._callers.pop(self._handler, None)
        self._entrance.left(self)
        self._handler.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Have aiohttp read it."""
        self._entrance.spoke(self)
        self._handler.data_received(data)

    def eof_received(self) -> Any:
        """Have aiohttp know that no more will come."""
        return self._handler.eof_received()

    def pause_writing(self) -> None:
        """Have aiohttp wait."""
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        """Have aiohttp go on."""
        self._handler.resume_writing()


class _Saying(logging.Handler):
    """Says what went wrong in an answer as an event; what clients send wrong is not news."""

    def __init__(self, say: Callable[[Event], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        """Say it."""
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError):
            told = f"{type(error).__name__}: {error}"[:500] if error else record.getMessage()[:500]
            self._say(Event("control.failed", time.time(), {"error": told}))


def _read_maximum(body: bytes) -> int | None:
    """Return the one number that a body of JSON in UTF-8 says; None where it says anything else."""
    try:
        told = json.loads(body.decode(), object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        return None
    match told:
        case (("maximum", int(maximum)),) if type(told) is tuple and type(maximum) is int:
            return maximum
    return None


def _json(told: dict[str, Any], status: int = 200) -> web.Response:
    return web.json_response(told, status=status)


def _say(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=f"sentinel: {text}\n")
