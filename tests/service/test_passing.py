"""Real clients of real browser servers, with the service in between and without: the same for both.

Where a browser server can take a client's connection itself, it does; where it cannot, the service
copies the bytes. Whatever happens, a client must not be able to tell which.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_sentinel.pool import server as server_module
from pytest_sentinel.pool.terms import Terms
from tests import loops
from tests.faults.poolkit import Place, client, place, until
from tests.runs import slack
from tests.service.ports import HEAD, hang_up
from tests.service.serving import Service, service

pytestmark = pytest.mark.browser

AGENT = "User-Agent: Playwright/{} (x64; linux) node/1\r\n"
# {"id":1,"method":"x"} as a client's frame: masked, with a mask of zeros.
WORDS = b'\x81\x95\0\0\0\0{"id":1,"method":"x"}'


@pytest.fixture(params=["passed", "spliced"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How clients reach their browser servers in this test."""
    monkeypatch.setattr(server_module, "CAN_WATCH", request.param == "passed")
    return str(request.param)


def assert_way(here: Place, way: str) -> None:
    """Assert that clients are connected as the test wants it."""
    (kept,) = here.kept().values()
    assert (kept.server.door is not None and len(kept.server.door.passed) == 1) == (way == "passed")


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Have a process stand still for as long as the block runs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def knock(
    here: Place, version: str, words: bytes = b"", up_to: bytes = b""
) -> tuple[bytes, bytes]:
    """Ask for a lease by hand, say ``words``; return the first line of the answer and the rest.

    The rest is what comes up to ``up_to``, or to the end.
    """
    host, _, port = here.ws.removeprefix("ws://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(HEAD.format(target="/chromium", more=AGENT.format(version)).encode() + words)
    first = await reader.readline()
    reading = reader.readuntil(up_to) if up_to else reader.read()
    rest = await asyncio.wait_for(reading, 30 * slack())
    await hang_up(writer)
    return first, rest


def test_a_lease_from_its_first_word_to_its_last(way: str) -> None:
    """A client opens pages and closes; its contexts are gone, and the next one gets the slot."""

    async def run() -> None:
        async with place(contexts_per_browser=1) as here:
            for number in range(3):
                async with client() as one:
                    await one.do("connect", f"{here.ws}/chromium?owner=o{number}&wait=20s")
                    assert_way(here, way)
                    await one.do("open", 2)
                    assert await one.do("evaluate", "6 * 7") == 42
                    big = await one.do("evaluate", "'x'.repeat(3e6)")
                    assert len(big) == 3_000_000
                    await one.do("close")
                    await until(lambda: here.slots("free") == 1, 5, "free slot")
            assert await here.contexts() == 0
            assert [event.facts["how"] for event in here.named("lease.ended")] == ["released"] * 3
            assert here.port.clients == 0

    loops.run(run())


def test_a_revoked_lease_says_why(way: str) -> None:
    """The client's next call fails with the pool's sentence."""

    async def run() -> None:
        async with place(max_lease=2.0) as here, here.client() as one:
            await one.do("open", 1)
            assert_way(here, way)
            await until(lambda: here.named("lease.ended"), 10, "end of the lease")
            assert "the lease was longer than 2 s may be" in await one.fail("evaluate", "1")
            await until(lambda: here.slots("free") > 0, 5, "free slot")

    loops.run(run())


def test_a_killed_browser_is_explained(way: str) -> None:
    """Neither Playwright's bare good-bye nor an end without a word reaches the client."""

    async def run() -> None:
        async with place() as here, here.client() as one:
            await one.do("open", 1)
            assert_way(here, way)
            (kept,) = here.kept().values()
            assert kept.server.browser
            os.kill(kept.server.browser.pid, signal.SIGKILL)
            await until(lambda: here.named("lease.ended"), 10, "end of the lease")
            assert "the browser died (SIGKILL)" in await one.fail("evaluate", "1")

    loops.run(run())


def test_a_killed_browser_server_is_explained(way: str) -> None:
    """The program is gone with its end of the connection; the service still has its own."""

    async def run() -> None:
        async with place() as here, here.client() as one:
            await one.do("open", 1)
            assert_way(here, way)
            (kept,) = here.kept().values()
            assert kept.server.process
            os.kill(kept.server.process.pid, signal.SIGKILL)
            await until(lambda: here.named("lease.ended"), 10, "end of the lease")
            assert "the browser server died (SIGKILL)" in await one.fail("evaluate", "1")

    loops.run(run())


def test_a_stopped_browser_server_does_not_keep_a_revoked_lease(way: str) -> None:
    """It cannot say good-bye; the service does, and closes."""

    async def run() -> None:
        async with place(max_lease=2.0) as here, here.client() as one:
            await one.do("open", 1)
            assert_way(here, way)
            (kept,) = here.kept().values()
            assert kept.server.process
            with stopped(kept.server.process.pid):
                await until(lambda: here.named("lease.ended"), 10, "end of the lease")
                assert "the lease was longer than 2 s may be" in await one.fail("evaluate", "1")
                await until(lambda: here.port.clients == 0, 5, "end of the connection")

    loops.run(run())


def test_a_stopped_browser_server_gives_no_answer(way: str) -> None:
    """A client that comes to it is told so, instead of being left alone."""

    async def run() -> None:
        terms = Terms(("chromium",), first_word_within=1.0)
        async with place(terms=terms, minimum=1) as here:
            await until(lambda: here.slots("free") > 0, 20, "warm browser")
            (kept,) = here.kept().values()
            assert kept.server.process
            with stopped(kept.server.process.pid):
                first, rest = await knock(here, "1.2.3")
                assert first == b"HTTP/1.1 502 Bad Gateway\r\n"
                assert b"sentinel: the browser server gives no answer" in rest
                await until(lambda: here.port.clients == 0, 5, "end of the connection")

    loops.run(run())


def test_a_service_that_stops_says_so(way: str) -> None:
    """Closing the port is no riddle for those that are connected."""

    async def run() -> None:
        async with place() as here, here.client() as one:
            await one.do("open", 1)
            assert_way(here, way)
            await here.port.close()
            assert "the service stops" in await one.fail("evaluate", "1")

    loops.run(run())


def test_another_version_is_refused_by_playwright(way: str) -> None:
    """Its own answer passes, is counted, and the slot is free again."""

    async def run() -> None:
        async with place() as here:
            first, rest = await knock(here, "0.1.2")
            assert first == b"HTTP/1.1 428 Precondition Required\r\n"
            assert b"0.1" in rest
            assert here.port.refusals == {428: 1}
            await until(lambda: not here.pool.statistics().leases, 5, "free slot")

    loops.run(run())


def test_a_client_that_says_nothing_loses_its_lease(way: str) -> None:
    """It is told so; one whose first word came with its request is not silent."""

    async def run() -> None:
        terms = Terms(("chromium",), first_word_within=1.0)
        async with place(terms=terms) as here:
            version = importlib.metadata.version("playwright")
            first, rest = await knock(here, version)
            assert first.startswith(b"HTTP/1.1 101 ")
            assert rest.endswith(b"the client said nothing")
            _, rest = await knock(here, version, WORDS, up_to=b'"id":1')
            assert b"the client said nothing" not in rest

    loops.run(run())


@pytest.fixture
def steady(tmp_path: Path) -> Iterator[Service]:
    """A service in a process of its own."""
    with service(tmp_path, "--max", "1") as found:
        yield found


def test_a_service_that_stands_still_keeps_nobody_waiting(steady: Service) -> None:
    """Pages answer while the service is stopped: no message passes through it."""

    async def run() -> None:
        async with client() as one:
            await one.do("connect", f"{steady.ws}/chromium?owner=test")
            await one.do("open", 1)
            with stopped(steady.process.pid):
                assert await one.do("evaluate", "6 * 7") == 42
            await one.do("close")

    loops.run(run())
