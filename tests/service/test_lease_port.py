"""The lease port over real sockets: what it passes on, what it refuses, and when a lease ends."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import suppress

import pytest

from pytest_sentinel.errors import PoolRefused, Refusal
from tests.service.ports import AGREED, HEAD, SECRET, hang_up, run, stage, until

HELLO = (
    b"\x81\x85\x01\x02\x03\x04" + b"hello"
)  # a client's frame; what is in it is nobody's business
LONG = b"\x82\x7e\x04\x00" + b"x" * 1024


def test_bytes_pass_both_ways() -> None:
    """A client that asked for a lease talks to the browser server, and hears it."""

    async def scenario() -> None:
        async with stage() as here:
            reader, writer = await here.upgrade("/chromium?owner=ci-7&wait=2s")
            assert await reader.readexactly(len(AGREED)) == AGREED
            writer.write(HELLO)
            assert await reader.readexactly(len(HELLO)) == HELLO
            assert here.pool.asked == [("chromium", "ci-7", 2.0)]
            assert len(here.pool.held) == 1
            await hang_up(writer)
            await until(lambda: here.pool.ended == 1)
            await until(lambda: here.server.open == 0)

    run(scenario)


def test_a_browser_server_hears_only_what_it_needs() -> None:
    """The path is the lease's own; token, launch options and other headers stay here."""

    async def scenario() -> None:
        more = (
            "User-Agent: Playwright/1.2.3\r\nX-Playwright-Browser: chromium\r\n"
            "Authorization: Bearer 0123456789abcdef\r\nCookie: a=b\r\n"
            'x-playwright-launch-options: {"args": ["--remote-debugging-port=1"]}\r\n'
            "x-playwright-proxy: evil\r\n"
        )
        async with stage(token=b"0123456789abcdef") as here:
            reader, writer = await here.upgrade("/?owner=me", more)
            await reader.readexactly(len(AGREED))
            head = here.server.heads[0].decode()
            await hang_up(writer)
        assert head.startswith(f"GET {SECRET} HTTP/1.1\r\nHost: 127.0.0.1:{here.server.port}\r\n")
        assert "Playwright/1.2.3" in head
        for kept in ("0123456789abcdef\r\n", "launch-options", "evil", "owner", "Cookie"):
            assert kept not in head.replace(SECRET, "")

    run(scenario)


def test_what_is_said_early_is_not_lost() -> None:
    """A message that follows the request at once, or while the client waits, arrives."""

    async def scenario() -> None:
        async with stage() as here:
            here.pool.hold.clear()
            reader, writer = await here.upgrade()
            writer.write(HELLO)
            await until(lambda: here.pool.waiting == 1)
            writer.write(HELLO)
            here.pool.hold.set()
            assert await reader.readexactly(len(AGREED)) == AGREED
            assert await reader.readexactly(2 * len(HELLO)) == 2 * HELLO
            await hang_up(writer)

    run(scenario)


def test_much_passes_and_little_is_kept() -> None:
    """Megabytes pass both ways while the reader is slow; memory does not hold them all."""

    async def scenario() -> None:
        async with stage() as here:
            reader, writer = await here.upgrade()
            await reader.readexactly(len(AGREED))
            sent = b"\x82\xff" + (32 * 1024 * 1024).to_bytes(8, "big") + b"mask"
            writer.write(sent)
            chunk = b"y" * 65536
            written = 0

            async def push() -> None:
                nonlocal written
                for _ in range(512):
                    writer.write(chunk)
                    await writer.drain()
                    written += len(chunk)

            pushing = asyncio.ensure_future(push())
            last = -1
            while written != last:  # nobody reads: what is under way must come to a stand
                last = written
                await asyncio.sleep(0.3)
            assert written < 32 * 1024 * 1024
            await reader.readexactly(len(sent) + 512 * len(chunk))
            await pushing
            await hang_up(writer)

    run(scenario)


def test_a_client_that_leaves_the_queue_is_out_of_it() -> None:
    """A lease is not granted to a client that hung up while it waited."""

    async def scenario() -> None:
        async with stage() as here:
            here.pool.hold.clear()
            _, writer = await here.upgrade()
            await until(lambda: here.pool.waiting == 1)
            writer.transport.abort()
            await until(lambda: here.pool.waiting == 0)
            here.pool.hold.set()
            await until(lambda: here.port.clients == 0)
            assert here.server.heads == []

    run(scenario)


def test_the_end_of_the_browser_server_ends_the_lease() -> None:
    """What it said last arrives, then the connection closes."""

    async def scenario() -> None:
        async with stage() as here:
            here.server.greeting = LONG
            reader, writer = await here.upgrade()
            await reader.readexactly(len(AGREED) + len(LONG))
            here.server.writers[0].write(b"\x88\x02\x03\xe8")
            here.server.writers[0].close()
            assert await reader.read() == b"\x88\x02\x03\xe8"
            await hang_up(writer)
            await until(lambda: here.pool.ended == 1)

    run(scenario)


@pytest.mark.parametrize("says_so", [True, False], ids=["farewell", "silence"])
def test_a_browser_server_that_dies_is_explained(says_so: bool) -> None:
    """The client hears the pool's reason, instead of the browser server's bare farewell."""

    async def scenario() -> None:
        async with stage() as here:
            reader, writer = await here.upgrade()
            await reader.readexactly(len(AGREED))
            if says_so:
                here.server.writers[0].write(b"\x88\x10\x03\xe9Browser closed")
            else:
                here.server.writers[0].transport.abort()
            here.pool.held[0].revoked.set_result("the browser crashed (SIGKILL)")
            assert (await reader.read())[4:] == b"the browser crashed (SIGKILL)"
            await hang_up(writer)
            await until(lambda: here.pool.ended == 1)

    run(scenario)


def test_a_farewell_passes_where_nobody_knows_better() -> None:
    """Without a word of the pool the browser server's own farewell is handed on."""

    async def scenario() -> None:
        async with stage() as here:
            reader, writer = await here.upgrade()
            await reader.readexactly(len(AGREED))
            farewell = b"\x88\x10\x03\xe9Browser closed"
            here.server.writers[0].write(farewell)
            assert await reader.read() == farewell
            await hang_up(writer)

    run(scenario)


def test_a_revoked_lease_ends_with_its_reason() -> None:
    """The client gets a close frame with the reason, and the browser server is let go."""

    async def scenario() -> None:
        async with stage() as here:
            reader, writer = await here.upgrade()
            await reader.readexactly(len(AGREED))
            writer.write(HELLO)
            await reader.readexactly(len(HELLO))
            # An echo is masked, which no server does; the meter must not be led astray by that.
            here.pool.held[0].revoked.set_result("the lease has lasted its 10 m")
            closing = await reader.read()
            assert closing[:4] == b"\x88\x1f\x03\xe9"
            assert closing[4:] == b"the lease has lasted its 10 m"
            await hang_up(writer)
            await until(lambda: here.server.open == 0)

    run(scenario)


def test_a_reason_waits_for_the_end_of_a_frame() -> None:
    """A revocation in the middle of a frame is said after it."""

    async def scenario() -> None:
        async with stage() as here:
            here.server.greeting = LONG[:600]
            reader, writer = await here.upgrade()
            await reader.readexactly(len(AGREED) + 600)
            writer.write(HELLO)
            here.server.echo = False
            here.pool.held[0].revoked.set_result("over")
            await asyncio.sleep(0.05)
            here.server.writers[0].write(LONG[600:])
            assert await reader.read() == LONG[600:] + b"\x88\x06\x03\xe9over"
            await hang_up(writer)

    run(scenario)


def test_a_frame_that_never_ends_does_not_keep_a_revoked_lease() -> None:
    """The connection closes without a reason where none can be said."""

    async def scenario() -> None:
        async with stage() as here:
            here.server.greeting = LONG[:600]
            reader, writer = await here.upgrade()
            await reader.readexactly(len(AGREED) + 600)
            here.pool.held[0].revoked.set_result("over")
            assert await reader.read() == b""
            await hang_up(writer)
            await until(lambda: here.pool.ended == 1)

    run(scenario)


def test_a_client_that_stopped_reading_loses_a_revoked_lease() -> None:
    """What it has not read is not waited for."""

    async def scenario() -> None:
        async with stage() as here:
            here.server.echo = False
            _, writer = await here.upgrade()
            await until(lambda: len(here.server.writers) == 1 and here.pool.held)
            writer.write(HELLO)
            for _ in range(200):
                here.server.writers[0].write(LONG * 64)
            await asyncio.sleep(0.2)
            here.pool.held[0].revoked.set_result("over")
            await until(lambda: here.pool.ended == 1)
            await until(lambda: here.port.clients == 0)
            await hang_up(writer)

    run(scenario)


def test_a_client_with_a_lease_and_no_word_loses_it() -> None:
    """A slot is not held by a connection that says nothing."""

    async def scenario() -> None:
        async with stage(first_word_within=0.2) as here:
            reader, writer = await here.upgrade()
            await reader.readexactly(len(AGREED))
            assert (await reader.read())[4:] == b"the client said nothing"
            await hang_up(writer)
            await until(lambda: here.pool.ended == 1)

    run(scenario)


def test_a_client_that_spoke_once_may_be_silent() -> None:
    """After its first message a client may take its time."""

    async def scenario() -> None:
        async with stage(first_word_within=0.1) as here:
            reader, writer = await here.upgrade()
            await reader.readexactly(len(AGREED))
            writer.write(HELLO)
            await reader.readexactly(len(HELLO))
            await asyncio.sleep(0.4)
            assert len(here.pool.held) == 1
            await hang_up(writer)

    run(scenario)


def test_a_half_sent_request_holds_nothing_and_ends() -> None:
    """A client that dribbles its head is told so in time, and was never counted."""

    async def scenario() -> None:
        async with stage(head_within=0.3) as here:
            reader, writer = await here.say(b"GET /chromium HTTP/1.1\r\n")

            async def dribble() -> None:
                for number in range(100):
                    writer.write(f"X-{number}: 1\r\n".encode())
                    await asyncio.sleep(0.01)

            dribbling = asyncio.ensure_future(dribble())
            assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
            dribbling.cancel()
            await hang_up(writer)
            assert here.pool.asked == []

    run(scenario)


REFUSALS: list[tuple[Refusal, int]] = [
    ("full", 429),
    ("owner-cap", 429),
    ("engine", 404),
    ("memory", 503),
    ("draining", 503),
    ("breaker", 503),
    ("timeout", 503),
    ("closed", 503),
]


@pytest.mark.parametrize(("reason", "status"), REFUSALS)
def test_a_refusal_of_the_pool_is_an_answer(reason: Refusal, status: int) -> None:
    """Each refusal has its status, and a body that says why and what to do."""

    async def scenario() -> None:
        async with stage() as here:
            here.pool.refuse = PoolRefused(reason, "3 of 3 wait", "Come again", 4.2)
            answer = await here.refusal()
            assert answer.startswith(f"HTTP/1.1 {status} ")
            assert "Retry-After: 4\r\n" in answer
            assert answer.endswith("\r\n\r\nsentinel: 3 of 3 wait. Come again\n")
            assert here.port.refusals == {status: 1}

    run(scenario)


@pytest.mark.parametrize(
    ("target", "status", "words"),
    [
        ("/opera", 404, "This service has /chromium, /firefox."),
        ("/", 404, "/chromium"),
        ("/json", 404, "/chromium"),
        ("//chromium", 404, "no such engine"),
        ("/chromium/", 404, "no such engine"),
        ("/chromium/../json", 404, "no such engine"),
        ("/%63hromium", 404, "no such engine"),
        ("/chromium%2f..%2fjson", 404, "no such engine"),
        (SECRET, 404, "no such engine"),
        ("http://127.0.0.1/chromium", 404, "no such engine"),
        ("/chromium?onwer=me", 400, "owner=NAME and wait=30s"),
        ("/chromium?launch-options={}", 400, "sentinel serve"),
        ("/chromium?proxy=*", 400, "sentinel serve"),
        ("/chromium?owner=a&owner=b", 400, "twice"),
        ("/chromium?owner", 400, "NAME=VALUE"),
        ("/chromium?owner=%0aevil", 400, "printable"),
        (f"/chromium?owner={'x' * 201}", 400, "200"),
        ("/chromium?wait=soon", 400, "wait=30s"),
        ("/chromium?wait=2h", 400, "hour"),
    ],
)
def test_a_request_for_what_is_not_to_be_had(target: str, status: int, words: str) -> None:
    """It is refused in words that help, and the pool does not hear of it."""

    async def scenario() -> None:
        async with stage() as here:
            answer = await here.refusal(target)
            assert answer.startswith(f"HTTP/1.1 {status} ")
            assert words in answer
            assert here.pool.asked == []

    run(scenario)


def test_an_engine_is_not_mistaken_for_another() -> None:
    """A client that connects for one engine is not given another."""

    async def scenario() -> None:
        async with stage() as here:
            answer = await here.refusal("/firefox", "X-Playwright-Browser: chromium\r\n")
            assert answer.startswith("HTTP/1.1 400 ")
            assert "playwright.firefox" in answer

    run(scenario)


def test_the_engine_may_be_left_to_the_client() -> None:
    """Without a path, the engine is the one that Playwright names."""

    async def scenario() -> None:
        async with stage() as here:
            _, writer = await here.upgrade("/", "X-Playwright-Browser: firefox\r\n")
            await until(lambda: here.pool.asked)
            assert here.pool.asked == [("firefox", "127.0.0.1", 30.0)]
            await hang_up(writer)

    run(scenario)


def test_a_browser_server_that_refuses_is_heard() -> None:
    """A refusal by version reaches the client as it is, and the lease ends."""

    async def scenario() -> None:
        async with stage() as here:
            here.server.answer = b"HTTP/1.1 428 Precondition Required\r\n\r\nversion mismatch"
            assert (await here.refusal()).endswith(
                "428 Precondition Required\r\n\r\nversion mismatch"
            )
            await until(lambda: here.pool.ended == 1)
            assert here.port.refusals == {428: 1}

    run(scenario)


def test_a_browser_server_that_is_gone_is_a_refusal() -> None:
    """A lease on a server that takes no connection ends with an answer."""

    async def scenario() -> None:
        async with stage() as here:
            here.server.port = 1
            assert (await here.refusal()).startswith("HTTP/1.1 502 ")
            assert here.pool.ended == 1

    run(scenario)


def test_a_browser_server_that_says_nothing_is_a_refusal() -> None:
    """A client does not wait for ever for one that is stopped, and is not blamed for it."""

    async def scenario() -> None:
        async with stage(first_word_within=0.2) as here:
            here.server.mute = True
            answer = await here.refusal()
            assert answer.startswith("HTTP/1.1 502 ")
            assert "the browser server gives no answer" in answer
            await until(lambda: here.pool.ended == 1)

    run(scenario)


def test_a_browser_server_that_hangs_up_without_an_answer_is_a_refusal() -> None:
    """A client is not left with an empty reply."""

    async def scenario() -> None:
        async with stage() as here:
            here.server.answer = b""
            answer = await here.refusal()
            assert answer.startswith("HTTP/1.1 502 ")
            assert SECRET not in answer

    run(scenario)


def test_a_plain_request_learns_how_to_come() -> None:
    """A GET is told that this port speaks WebSocket; /ready is answered."""

    async def scenario() -> None:
        async with stage() as here:
            plain = await here.answer(b"GET /chromium/json HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert plain.startswith("HTTP/1.1 426 ")
            assert "playwright.chromium.connect('ws://" in plain
            ready = await here.answer(b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert ready.startswith("HTTP/1.1 200 OK\r\n")
            assert json.loads(ready.partition("\r\n\r\n")[2]) == {"ready": True}

    run(scenario)


def test_another_name_of_this_machine_is_not_its_own() -> None:
    """A page whose name resolves to loopback gets neither a lease nor an answer without a token."""

    async def scenario() -> None:
        async with stage() as here:
            for host in ("evil.example", "localhost.evil.example:9323", "", "10.1.2.3"):
                upgraded = HEAD.format(target="/chromium", more="").replace("localhost", host)
                for head in (upgraded, f"GET /ready HTTP/1.1\r\nHost: {host}\r\n\r\n"):
                    answer = await here.answer(head.encode())
                    assert answer.startswith("HTTP/1.1 403 Forbidden\r\n"), head
                    assert "Connect to 127.0.0.1 or localhost" in answer
            origin = "GET /ready HTTP/1.1\r\nHost: localhost\r\nOrigin:\r\n\r\n"
            assert (await here.answer(origin.encode())).startswith("HTTP/1.1 403 ")
            assert here.pool.asked == []
        async with stage(token=b"0123456789abcdef") as here:
            ready = await here.answer(b"GET /ready HTTP/1.1\r\nHost: pod-1.sentinel\r\n\r\n")
            assert ready.startswith("HTTP/1.1 200 OK\r\n")

    run(scenario)


def test_head_has_no_body() -> None:
    """HEAD gets the headers of an answer or of a refusal; a query on /ready means nothing."""

    async def scenario() -> None:
        async with stage() as here:
            for path, status in (("/ready", 200), ("/ready?x=1", 200), ("/chromium", 426)):
                request = f" {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"
                whole = await here.answer(f"GET{request}".encode())
                head = await here.answer(f"HEAD{request}".encode())
                assert whole.startswith(f"HTTP/1.1 {status} ")
                assert head == whole.partition("\r\n\r\n")[0] + "\r\n\r\n"

    run(scenario)


def test_a_port_that_closes_parts_from_its_clients() -> None:
    """Those who hold a lease and those who wait hear that the service stops."""

    async def scenario() -> None:
        async with stage() as here:
            holder, one = await here.upgrade()
            await holder.readexactly(len(AGREED))
            here.pool.hold.clear()
            waiter, other = await here.upgrade()
            await until(lambda: here.pool.waiting == 1)
            closing = asyncio.ensure_future(here.port.close())
            assert (await holder.read())[4:] == b"the service stops"
            assert b"503 Service Unavailable" in await waiter.read()
            await hang_up(one)
            await hang_up(other)
            await closing

    run(scenario)


def test_messages_go_at_once_and_silence_is_noticed() -> None:
    """Neither end gathers small messages, and the system asks after machines that are silent."""

    async def scenario() -> None:
        async with stage() as here:
            reader, writer = await here.upgrade()
            await reader.readexactly(len(AGREED))
            for end in (*here.port._clients, *(client.other for client in here.port._clients)):
                assert end is not None
                sock = end.transport.get_extra_info("socket")
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
                assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 30
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) > 0
            await hang_up(writer)

    run(scenario)


def test_a_crowd_is_bounded() -> None:
    """Beyond the most connections that there may be, a new one is closed at once."""

    async def scenario() -> None:
        async with stage(most_clients=3) as here:
            here.pool.hold.clear()
            waiting = [await here.upgrade() for _ in range(3)]
            await until(lambda: here.pool.waiting == 3)
            reader, writer = await asyncio.open_connection(*here.address)
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
            await hang_up(writer)
            for _, writer in waiting:
                await hang_up(writer)

    run(scenario)


@pytest.mark.parametrize("said", [b"", b"GET"])
def test_who_has_not_asked_makes_room(said: bytes) -> None:
    """The oldest of those who have said nothing, or not all, is closed for one who comes."""

    async def scenario() -> None:
        async with stage(most_clients=3) as here:
            idle = [await here.say(said) for _ in range(3)]
            await until(lambda: here.port.clients == 3)
            reader, writer = await here.upgrade()
            assert await reader.readexactly(len(AGREED)) == AGREED
            with suppress(ConnectionResetError):
                assert await idle[0][0].read() == b""
            assert here.port.clients == 3
            assert [e.facts["silent"] for e in here.events if e.name == "clients.dropped"] == [1]
            for one in (writer, *(writer for _, writer in idle)):
                await hang_up(one)

    run(scenario)


def test_one_failure_is_one_clients_failure() -> None:
    """What goes wrong with one client is logged, answered, and harms no other."""

    async def scenario() -> None:
        async with stage() as here:
            here.pool.refuse = ZeroDivisionError("secret detail")  # type: ignore[assignment]
            answer = await here.refusal()
            assert answer.startswith("HTTP/1.1 500 ")
            assert "secret" not in answer
            here.pool.refuse = None
            reader, writer = await here.upgrade()
            assert await reader.readexactly(len(AGREED)) == AGREED
            await hang_up(writer)
            assert [event.name for event in here.events] == ["client.failed", "client.refused"]

    run(scenario)
