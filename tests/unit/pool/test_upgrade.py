"""What a client of the lease port asks for, byte by byte."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sentinel.errors import PoolRefused, RequestRefused
from pytest_sentinel.pool import upgrade
from pytest_sentinel.pool.upgrade import Ask, HeadReader

TOKEN = b"0123456789abcdef"


def request(target: str = "/chromium", more: str = "", method: str = "GET") -> h11.Request:
    """Return a request as it is read from the wire."""
    head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n{more}\r\n"
    found = HeadReader().feed(head.encode())
    assert found is not None
    return found


def ask(target: str, more: str = "", token: bytes | None = None) -> Ask:
    """Return what a request asks for."""
    return upgrade.read_ask(request(target, more), ("chromium", "webkit"), token, "10.0.0.9")


def test_a_lease_is_asked_for() -> None:
    """Engine, owner and wait stand in the address."""
    assert ask("/webkit?owner=a%20b&wait=1m") == Ask("webkit", "a b", 60.0)
    assert ask("/chromium") == Ask("chromium", "10.0.0.9", None)
    assert ask("/chromium?owner=&wait=0") == Ask("chromium", "10.0.0.9", 0.0)


@pytest.mark.parametrize(
    ("target", "more"),
    [
        ("/chromium?token=0123456789abcdef", ""),
        ("/chromium", "Authorization: bearer 0123456789abcdef\r\n"),
        ("/chromium", "X-Sentinel-Token: 0123456789abcdef\r\n"),
    ],
)
def test_a_token_may_be_shown_in_three_ways(target: str, more: str) -> None:
    """In the query for clients without headers, else in one of two headers."""
    assert ask(target, more, TOKEN).engine == "chromium"


@pytest.mark.parametrize(
    ("target", "more"),
    [
        ("/chromium", ""),
        ("/opera", ""),
        ("/chromium?token=", ""),
        ("/chromium?token=0123456789abcdeF", ""),
        ("/chromium?token=0123456789abcdef0", ""),
        ("/chromium?token=%f0%9f%98%80", ""),
        ("/chromium", "Authorization: Basic 0123456789abcdef\r\n"),
        ("/chromium?token=0123456789abcdef", "X-Sentinel-Token: wrong\r\n"),
    ],
)
def test_nothing_is_told_without_the_token(target: str, more: str) -> None:
    """Not even whether there is such an engine."""
    with pytest.raises(RequestRefused) as caught:
        ask(target, more, TOKEN)

    assert caught.value.status == 401


@pytest.mark.parametrize(
    "more", ["Origin: http://evil.example\r\n", "Origin:\r\n", "Origin:\r\nOrigin: null\r\n"]
)
def test_web_pages_are_turned_away(more: str) -> None:
    """Browsers send an Origin, which clients of Playwright do not; an empty one is one, too."""
    for token, target in ((None, "/chromium"), (TOKEN, f"/chromium?token={TOKEN.decode()}")):
        with pytest.raises(RequestRefused) as caught:
            ask(target, more, token)

        assert caught.value.status == 403


@pytest.mark.parametrize(
    ("method", "target", "asks"),
    [
        ("GET", "/ready", True),
        ("HEAD", "/ready?x=1", True),
        ("GET", "/ready?", True),
        ("POST", "/ready", False),
        ("GET", "/ready/", False),
        ("GET", "/?/ready", False),
    ],
)
def test_a_question_whether_it_is_worth_to_come(method: str, target: str, *, asks: bool) -> None:
    """It is asked by GET or HEAD, and may have a query, which means nothing."""
    assert upgrade.asks_ready(request(target, method=method)) is asks


def test_an_answer_to_head() -> None:
    """It ends with its headers, which say how long a body would be."""
    whole = upgrade.answer(200, "words", "text/plain")
    assert upgrade.without_body(whole).endswith(b"\r\nConnection: close\r\n\r\n")
    assert b"Content-Length: 5\r\n" in upgrade.without_body(whole)


@pytest.mark.parametrize(
    ("more", "method", "expected"),
    [
        ("Upgrade: websocket\r\n", "GET", True),
        ("Upgrade: h2c, WebSocket\r\n", "GET", True),
        ("Upgrade: h2c\r\n", "GET", False),
        ("", "GET", False),
        ("Upgrade: websocket\r\n", "POST", False),
    ],
)
def test_an_upgrade_is_known(more: str, method: str, expected: bool) -> None:
    """Only a GET that asks for a WebSocket is one."""
    assert upgrade.is_upgrade(request(more=more, method=method)) is expected


@pytest.mark.parametrize(
    "target",
    [
        *("/chromium?wait=1h1", "/chromium?wait=-1s", "/chromium?wait=3601", "/chromium?=&x"),
        *("/chromium?x=1", "/chromium?owner=a&owner=b", "/chromium?owner=%00", "/chromium?owner"),
    ],
)
def test_a_bad_query_is_refused(target: str) -> None:
    """What cannot be meant is an error, not a default."""
    with pytest.raises(RequestRefused) as caught:
        ask(target)

    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("target", "connecting", "status"),
    [
        ("/opera", "", 404),
        ("/", "", 404),
        ("/firefox", "firefox", 404),
        ("*", "chromium", 404),
        ("/webkit", "chromium", 400),
    ],
)
def test_an_engine_is_there_and_is_the_right_one(target: str, connecting: str, status: int) -> None:
    """It must be served, and be what the client connects for."""
    with pytest.raises(RequestRefused) as caught:
        ask(target, f"X-Playwright-Browser: {connecting}\r\n")

    assert caught.value.status == status


def test_a_head_may_come_in_pieces() -> None:
    """Byte by byte, and what follows it is kept."""
    reader = HeadReader()
    found = None
    for byte in b"GET /chromium HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n":
        assert found is None
        found = reader.feed(bytes([byte]))
    assert found is not None

    assert found.target == b"/chromium"
    assert reader.rest() == b""


def test_what_follows_a_head_is_kept() -> None:
    """A client that does not wait for the answer loses nothing."""
    reader = HeadReader()
    reader.feed(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n\x81\x00")

    assert reader.rest() == b"\x81\x00"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 1_000_000, 431),
        (b"GET /" + b"a" * 100_000, 431),
    ],
)
def test_what_is_no_request_is_refused(data: bytes, status: int) -> None:
    """Another protocol and a head without end have a status."""
    with pytest.raises(RequestRefused) as caught:
        HeadReader().feed(data)

    assert caught.value.status == status


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    """Whatever comes is a request, the beginning of one, or refused."""
    reader = HeadReader()
    for piece in (data, data):
        try:
            if reader.feed(piece) is not None:
                return
        except RequestRefused:
            return


def test_a_browser_server_gets_its_own_head() -> None:
    """Its path and place, and the headers of the protocol."""
    more = (
        "Upgrade: websocket\r\nSec-WebSocket-Key: k\r\nX-Other: o\r\nUser-Agent: Playwright/1\r\n"
    )

    head = upgrade.head_for(request(more=more), "127.0.0.1:5", "/secret?a=b")

    assert head == (
        b"GET /secret?a=b HTTP/1.1\r\nHost: 127.0.0.1:5\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Key: k\r\nUser-Agent: Playwright/1\r\n\r\n"
    )


def test_headers_are_passed_on_by_name() -> None:
    """A server that is given the connection gets the same as in a head, and doubles joined."""
    more = (
        "Authorization: Bearer secret\r\nCookie: c\r\nUpgrade: websocket\r\nX-Other: o\r\n"
        "Sec-WebSocket-Extensions: a\r\nsec-websocket-extensions: b\r\nUser-Agent: Playwright/1\r\n"
    )

    assert upgrade.headers_for(request(more=more), "127.0.0.1:5") == {
        "host": "127.0.0.1:5",
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-extensions": "a, b",
        "user-agent": "Playwright/1",
    }


def test_a_refusal_is_whole() -> None:
    """Its length is that of its bytes, and it says when to come again."""
    told = upgrade.refusal(upgrade.from_pool(PoolRefused("full", "ä is full", "", 0.2)))

    head, _, body = told.decode().partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 429 Too Many Requests\r\n")
    assert "Retry-After: 1" in head
    assert "Content-Length: 21" in head
    assert body == "sentinel: ä is full\n"


def test_a_missing_token_is_asked_for() -> None:
    """A client that knows HTTP learns which kind of token it is."""
    assert b"WWW-Authenticate: Bearer" in upgrade.refusal(RequestRefused(401, "no"))
