"""The control port over real sockets: who may ask what, and what is answered."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from pytest_sentinel.errors import SettingError
from pytest_sentinel.pool import control
from pytest_sentinel.pool.control import ControlPort
from pytest_sentinel.pool.health import Component, Health, Readiness
from pytest_sentinel.pool.snapshot import Event, MemoryFigures, PoolStatistics
from tests.service.ports import hang_up, run

TOKEN = b"0123456789abcdef"
POOL = PoolStatistics((), (), {}, 2, {}, {}, (), MemoryFigures(0, None, ""), False, 1)


class Scripted:
    """A service that notes what it is told."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.well = Health("ok", (Component("lease-port", "ok", "takes clients"),))
        self.now = Readiness(True, "", 8, 0, 8, 0, 0.0)

    def statistics(self) -> PoolStatistics:
        return POOL

    def health(self) -> Health:
        return self.well

    def readiness(self) -> Readiness:
        return self.now

    def drain(self) -> None:
        self.done.append("drain")

    async def restart(self) -> int:
        self.done.append("restart")
        return 2

    def resize(self, maximum: int) -> None:
        if maximum == 13:
            raise SettingError("--max", maximum, "is less than --min", "14")
        self.done.append(f"resize {maximum}")


class Stage:
    """A control port and a client without manners."""

    def __init__(self, service: Scripted, address: tuple[str, int], events: list[Event]) -> None:
        self.service = service
        self.events = events
        self.address = address

    async def ask(
        self,
        method: str,
        path: str,
        *headers: str,
        body: str | bytes = "",
        host: str = "localhost",
    ) -> tuple[int, str]:
        reader, writer = await asyncio.open_connection(*self.address)
        data = body.encode() if isinstance(body, str) else body
        length = f"Content-Length: {len(data)}"
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", length, *headers]
        writer.write("\r\n".join([*lines, "", ""]).encode() + data)
        told = (await reader.read()).decode()
        await hang_up(writer)
        return int(told.split()[1]), told.partition("\r\n\r\n")[2]


@asynccontextmanager
async def stage(token: bytes | None = None) -> AsyncIterator[Stage]:
    """Open a control port on loopback."""
    service = Scripted()
    events: list[Event] = []
    port = ControlPort(service, CollectorRegistry(), token, {"machine": "m"}, events.append)
    sock = socket.create_server(("127.0.0.1", 0))
    await port.start(sock)
    try:
        yield Stage(service, sock.getsockname()[:2], events)
    finally:
        await port.close()


BEARER = "Authorization: Bearer 0123456789abcdef"
COMMANDS = [
    ("/drain", "", "drain"),
    ("/restart", "", "restart"),
    ("/resize", '{"maximum": 5}', "resize 5"),
]


@pytest.mark.parametrize(("path", "body", "done"), COMMANDS)
def test_a_command_needs_the_token(path: str, body: str, done: str) -> None:
    """Without it, with another, and by another method, nothing is done."""

    async def scenario() -> None:
        async with stage(TOKEN) as here:
            for header in ("X-Nothing: 1", "Authorization: Bearer x", "Authorization: " + "é" * 9):
                assert (await here.ask("POST", path, header, body=body))[0] == 401
            assert (await here.ask("GET", path))[0] == 405
            assert here.service.done == []
            assert (await here.ask("POST", path, BEARER, body=body))[0] in (200, 202)
            assert here.service.done == [done]

    run(scenario)


@pytest.mark.parametrize(("path", "body", "done"), COMMANDS)
def test_a_web_page_commands_nothing(path: str, body: str, done: str) -> None:
    """A page that a browser under test shows has an Origin, and is refused."""

    async def scenario() -> None:
        async with stage() as here:
            assert (await here.ask("POST", path, "Origin: http://x", body=body))[0] == 403
            assert here.service.done == []
            assert (await here.ask("POST", path, body=body))[0] in (200, 202)
            assert here.service.done == [done]

    run(scenario)


@pytest.mark.parametrize("path", ["/status", "/metrics", "/health", "/ready?x=1"])
def test_another_name_of_this_machine_is_not_its_own(path: str) -> None:
    """A page whose name resolves to loopback reads nothing; with a token any name will do."""

    async def scenario() -> None:
        async with stage() as here:
            for host in ("evil.example", "evil.example:9324", "127.0.0.1.nip.io", "", "10.0.0.1"):
                status, text = await here.ask("GET", path, host=host)
                assert status == 403
                assert "Connect to 127.0.0.1 or localhost, or start" in text
            for host in ("LOCALHOST.", "127.0.0.1:1", "[::1]:9324", "a.localhost"):
                assert (await here.ask("GET", path, host=host))[0] == 200
            for origin in ("Origin:", "Origin: null", "Origin:\r\nOrigin:"):
                assert (await here.ask("GET", path, origin))[0] in (400, 403)
            assert (await here.ask("GET", path, "Host: evil.example"))[0] in (400, 403)
        async with stage(TOKEN) as here:
            assert (await here.ask("GET", path, BEARER, host="sentinel-pods:9324"))[0] == 200

    run(scenario)


def test_head_has_no_body() -> None:
    """HEAD is answered with headers alone, by refusals too."""

    async def scenario() -> None:
        async with stage() as here:
            for path, status in (("/ready?x=1", 200), ("/health", 200), ("/nothing", 404)):
                assert await here.ask("HEAD", path) == (status, "")
            assert await here.ask("HEAD", "/status", host="evil.example") == (403, "")

    run(scenario)


ODD_BODIES = [
    *("", "[]", "5", "null", "{}", '{"maximum": "5"}', '{"maximum": true}', '{"maximum": 5.0}'),
    *('{"maximum": NaN}', '{"maximum": 1e400}', '{"maximum": null}', '{"Maximum": 5}', "[[1, 2]]"),
    *('{"maximum": 5, "maximum": 6}', '{"maximum": 5, "x": 1}', '{"maximum": {"maximum": 5}}'),
    *("[" * 4000, '{"maximum":' * 300, '{"maximum": ' + "9" * 4000 + "}", '{"maximum": -1}'),
    *('{"maximum": 0}', '{"maximum": 1001}', '[["maximum", 5]]'),
    *('{"maximum": 5}'.encode(code) for code in ("utf-16", "utf-16-le", "utf-32", "utf-8-sig")),
    *(b'{"maximum": 5\xff}', b"\xff\xfe", b'{"max\xc0\x80imum": 5}', b"\0"),
]


@pytest.mark.parametrize("body", ODD_BODIES)
def test_odd_json_is_a_mistake_of_the_client(body: str | bytes) -> None:
    """Deep, wrongly encoded, of the wrong type or ambiguous: 400, and nothing is done."""

    async def scenario() -> None:
        async with stage() as here:
            for header in ("X: 1", "Content-Type: application/json; charset=utf-16"):
                assert (await here.ask("POST", "/resize", header, body=body))[0] == 400
            assert (await here.ask("POST", "/resize", "Content-Type: x; charset=no-such"))[0] == 400
            assert here.service.done == []
            assert here.events == []

    run(scenario)


def test_who_holds_what_is_not_for_everybody() -> None:
    """Probes and metrics need no token; owners do."""

    async def scenario() -> None:
        async with stage(TOKEN) as here:
            for path in ("/health", "/ready", "/metrics"):
                assert (await here.ask("GET", path))[0] == 200
            assert (await here.ask("GET", "/status"))[0] == 401
            status, text = await here.ask("GET", "/status", BEARER)
            assert status == 200
            assert json.loads(text)["pool"]["maximum"] == 2

    run(scenario)


def test_probes_answer_by_status() -> None:
    """503 for failing, and for not ready; the body says why."""

    async def scenario() -> None:
        async with stage() as here:
            here.service.well = replace(here.service.well, status="failing")
            here.service.now = replace(here.service.now, ready=False, reason="memory")
            status, text = await here.ask("GET", "/health")
            assert (status, json.loads(text)["components"][0]["name"]) == (503, "lease-port")
            status, text = await here.ask("GET", "/ready")
            assert (status, json.loads(text)["reason"]) == (503, "memory")
            here.service.well = replace(here.service.well, status="degraded")
            assert (await here.ask("GET", "/health"))[0] == 200

    run(scenario)


@pytest.mark.parametrize(
    "body",
    [
        *("", "x", "[]", "5", '{"maximum": 0}', '{"maximum": "2"}', '{"maximum": true}'),
        *('{"maximum": 13}', '{"maximum": 100000}', '{"maximum": ' + "1" * 5000 + "}"),
    ],
)
def test_a_size_that_makes_no_sense_is_refused(body: str) -> None:
    """The pool does not hear of it."""

    async def scenario() -> None:
        async with stage() as here:
            status, _ = await here.ask("POST", "/resize", body=body)
            assert status in (400, 413)
            assert here.service.done == []

    run(scenario)


def test_what_is_not_there_is_not_found() -> None:
    """Short, plain, and without a word on what is."""

    async def scenario() -> None:
        async with stage() as here:
            assert await here.ask("GET", "/json") == (404, "sentinel: Not Found\n")
            assert (await here.ask("GET", "/../status"))[0] == 404

    run(scenario)


def test_what_is_no_http_is_no_news() -> None:
    """Nonsense is answered, or not, and logged as nothing; a failure of ours is an event."""

    async def scenario() -> None:
        async with stage() as here:
            for data in (b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/1.1\r\nA: " + b"a" * 100_000):
                reader, writer = await asyncio.open_connection(*here.address)
                writer.write(data)
                with suppress(ConnectionResetError):
                    await reader.read()
                await hang_up(writer)
            assert here.events == []
            here.service.well = None  # type: ignore[assignment]
            assert (await here.ask("GET", "/health"))[0] == 500
            assert [event.name for event in here.events] == ["control.failed"]

    run(scenario)


def test_a_connection_that_dawdles_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a request does not keep a connection."""
    monkeypatch.setattr(control, "_CONNECTION_LIFE", 0.2)

    async def scenario() -> None:
        async with stage() as here:
            reader, writer = await asyncio.open_connection(*here.address)
            writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n")
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
            await hang_up(writer)

    run(scenario)
