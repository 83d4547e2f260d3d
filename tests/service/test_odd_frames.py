"""What one client sends ends its own connection at most, whatever it is; a neighbour measures.

Three seconds of fuzzing for each way by default; ``FRAMES_FUZZ_SECONDS=60`` for a long run.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import psutil
import pytest
from hypothesis import HealthCheck, given, settings

from pytest_sentinel.pool import server as server_module
from tests import loops
from tests.faults.poolkit import Client, Place, place, until
from tests.service import frames

pytestmark = pytest.mark.browser

SECONDS = float(os.environ.get("FRAMES_FUZZ_SECONDS", "3"))
PER_SECOND = 20  # connections of the fuzzer, at most
MIB = 1024 * 1024
MOST_MEMORY = 1500 * MIB  # of the browser server's own process


@pytest.fixture(params=["passed", "spliced"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How clients reach their browser servers in this test."""
    monkeypatch.setattr(server_module, "CAN_WATCH", request.param == "passed")
    return str(request.param)


@asynccontextmanager
async def neighbour() -> AsyncIterator[tuple[Place, Client, tuple[str, int]]]:
    """A client with a page on a browser that it shares, and where the others connect.

    At the end the page has lived through everything, and so has its browser server.
    """
    forever = {"recycle_after": None, "max_browser_age": None, "max_browser_memory": None}
    most = {"contexts_per_browser": 8, "max_waiting": 8}
    async with place(**most, **forever) as here, here.client("honest") as one:
        await one.do("open", 1)
        await one.do("evaluate", "window.kept = 6 * 7")
        (kept,) = here.kept().values()
        host, _, port = here.ws.removeprefix("ws://").partition(":")
        yield here, one, (host, int(port))
        assert await one.do("evaluate", "window.kept") == 42
        await one.do("open", 1)
        assert list(here.kept().values()) == [kept]
        assert here.named("browser.crashed") == []
        assert here.named("client.failed") == []
        await until(lambda: here.slots("leased") == 1, 10, "end of the others' leases")


def attack(what: Callable[[tuple[str, int]], None]) -> None:
    """Do something from another thread while the neighbour measures all the time."""

    async def run() -> None:
        async with neighbour() as (_, one, address):
            doing = asyncio.create_task(asyncio.to_thread(what, address))
            while not doing.done():
                assert await one.do("evaluate", "kept") == 42
            await doing

    loops.run(run())


def test_the_text_null_ends_its_own_connection(way: str) -> None:
    """What is no message of the protocol is answered with a close frame that says why."""

    def send(address: tuple[str, int]) -> None:
        for text in (b"null", b" []"):
            with frames.connection(address) as sock:
                sock.sendall(frames.frame(text))
                heard = frames.hear(sock, 10)
            assert heard[2:] == b"\x03\xefa message is a JSON object", heard

    attack(send)


def test_what_playwright_cannot_handle_ends_its_own_connection(way: str) -> None:
    """A message in whose handling Playwright's server throws costs its sender the connection."""

    def send(address: tuple[str, int]) -> None:
        with frames.connection(address) as sock:
            sock.sendall(frames.frame(b'{"method":"__abort__"}'))
            heard = frames.hear(sock, 10)
        assert heard[2:] == b"\x03\xf0this message cannot be handled", heard

    attack(send)


def test_each_odd_frame(way: str) -> None:
    """Wrong opcodes, lengths, masks, texts and nestings end one connection each, or none."""

    def send(address: tuple[str, int]) -> None:
        for number, odd in enumerate(frames.ODD_FRAMES):
            more = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if number % 2 else ""
            with frames.connection(address, more) as sock, suppress(OSError):
                sock.sendall(odd)
                frames.hear(sock, 0.02)

    attack(send)


def test_nobody_ends_or_opens_the_browser_of_others(way: str) -> None:
    """By no spelling a client closes or crashes the shared browser, or serves it to the world."""

    def send(address: tuple[str, int]) -> None:
        with frames.connection(address) as sock:
            browser = next(g for g in frames.initialized(sock) if g.startswith("browser@"))

            def ask(number: int, guid: str, what: str, **params: object) -> bytes:
                words = {"id": number, "guid": guid, "method": what, "params": params}
                text = json.dumps({**words, "metadata": frames.INITIALIZE["metadata"]})
                sock.sendall(frames.frame(text.replace("Server", "Serv\\u0065r").encode()))
                return frames.hear(sock, 10, until=b'"id":%d' % number)

            assert b"shared" in ask(2, browser, "startServer", title="x", host="0.0.0.0", port=0)
            assert b"error" not in ask(3, browser, "close")
            assert b"error" not in ask(4, browser, "killForTests")
            told = ask(5, browser, "newBrowserCDPSession")
            session = told.rpartition(b'"guid":"')[2].partition(b'"')[0].decode()
            assert session.startswith("cdp-session@")
            for number, method in enumerate(("close", "crash", "crashGpuProcess"), 6):
                assert b"shared" in ask(number, session, "send", method=f"Browser.{method}")
            assert b"product" in ask(9, session, "send", method="Browser.getVersion")

    attack(send)


def test_answers_that_nobody_reads(way: str) -> None:
    """A client that asks for a gigabyte and reads none of it is not listened to for long."""

    async def run() -> None:
        async with neighbour() as (here, one, address):
            (kept,) = here.kept().values()
            assert kept.server.process is not None
            node = psutil.Process(kept.server.process.pid)

            def flood() -> None:
                asked = frames.say({"id": "x" * 400_000, "guid": "nobody", "method": "x"})
                with frames.connection(address) as sock:
                    sock.settimeout(2)
                    assert frames.repeat(sock, asked, 2_500) < 2_500

            doing = asyncio.create_task(asyncio.to_thread(flood))
            while not doing.done():
                assert await one.do("evaluate", "kept") == 42
                assert node.memory_info().rss < MOST_MEMORY
            await doing

    loops.run(run())


def test_fuzz(way: str) -> None:
    """Whatever hypothesis comes up with after an upgrade, the neighbour's page lives."""
    deadline = time.monotonic() + SECONDS

    def send(address: tuple[str, int]) -> None:
        with frames.connection(address) as sock:
            guids = ["", *frames.initialized(sock)]

        @settings(
            max_examples=max(1, int(SECONDS * PER_SECOND)),
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(said=frames.speech(guids))
        def once(said: bytes) -> None:
            if time.monotonic() > deadline:
                return
            with frames.connection(address) as sock, suppress(OSError):
                if len(said) % 2:
                    frames.initialized(sock)
                sock.sendall(said)
                frames.hear(sock, 0.005)

        once()

    attack(send)
