"""What strangers may try on both ports of a real service: no crash, no slot lost, nothing told."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Error, Playwright

from tests.runs import slack, wait_until
from tests.service.ports import HEAD
from tests.service.serving import Service, service

pytestmark = pytest.mark.browser

TOKEN = "a-secret-of-many-letters"
STRINGS = 10_000
SLOTS = 2


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a token and two slots."""
    directory = tmp_path_factory.mktemp("service")
    (directory / "token").write_text(TOKEN + "\n")
    with service(
        directory,
        *("--min", "1", "--max", "1", "--contexts-per-browser", str(SLOTS)),
        *("--token-file", str(directory / "token")),
    ) as found:
        wait_until(lambda: browsers(found), 30 * slack(), "a warm browser")
        yield found


def browsers(found: Service) -> list[object]:
    """Return the browsers that are ready."""
    pool = found.get("/status", TOKEN)[1]["pool"]
    return [row for row in pool["browsers"] if row["state"] == "ready"]


def place(found: Service, port: str = "lease") -> tuple[str, int]:
    """Return the host and number of a port."""
    text = found.ws.removeprefix("ws://") if port == "lease" else found.control
    host, _, number = text.rpartition(":")
    return host, int(number)


def say(found: Service, data: bytes, port: str = "lease") -> bytes:
    """Say something, close that side, and return what is answered."""
    heard = b""
    with socket.create_connection(place(found, port), timeout=20 * slack()) as sock:
        with suppress(OSError):
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while piece := sock.recv(65536):
                heard += piece
    return heard


def assert_unharmed(found: Service, playwright: Playwright) -> None:
    """Assert that it lives, holds no lease, and gives all of its slots."""
    assert found.process.poll() is None
    wait_until(
        lambda: not found.get("/status", TOKEN)[1]["pool"]["leases"], 5 * slack(), "free slots"
    )
    url = f"{found.ws}/chromium?owner=honest&wait=20s&token={TOKEN}"
    held = [playwright.chromium.connect(url) for _ in range(SLOTS)]
    for browser in held:
        assert browser.new_page().evaluate("1 + 1") == 2
        browser.close()
    assert found.get("/health", TOKEN)[0] == 200


def assert_nothing_told(found: Service, *heard: str) -> None:
    """Assert that neither the token nor a browser server's path is in answers, events or errors."""
    told = "".join(heard) + json.dumps(found.events) + found.errors()
    assert TOKEN not in told
    assert "Traceback" not in told
    for process in found.processes():
        for path in [word for word in process.cmdline() if word.startswith("/") and "guid" in word]:
            assert path not in told


@pytest.mark.parametrize("shown", ["", "wrong-secret-of-letters", TOKEN[:-1], TOKEN + "x"])
def test_a_bad_token(guarded: Service, playwright: Playwright, shown: str) -> None:
    """It gets 401 in each of the three ways, and learns nothing."""
    told = ""
    for query, headers in (
        (f"?token={shown}", {}),
        ("", {"Authorization": f"Bearer {shown}"}),
        ("", {"X-Sentinel-Token": shown}),
    ):
        with pytest.raises(Error, match="401 Unauthorized\nsentinel: ") as caught:
            playwright.chromium.connect(f"{guarded.ws}/chromium{query}", headers=headers)
        told += str(caught.value)
    status, words = guarded.ask("POST", "/drain", shown)

    assert status == 401
    told += words
    assert_nothing_told(guarded, told.replace(shown, "") if shown else told)
    assert_unharmed(guarded, playwright)


def test_a_long_head(guarded: Service, playwright: Playwright) -> None:
    """A megabyte of headers is refused on both ports."""
    long = b"GET /chromium HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 1024 * 1024

    assert say(guarded, long).startswith(b"HTTP/1.1 431 ")
    assert say(guarded, long, "control")[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.0 400")
    assert_unharmed(guarded, playwright)


def test_half_open_and_slow(guarded: Service, playwright: Playwright) -> None:
    """Fifty connections that say nothing, or half a head, take no slot from anybody."""
    idle = []
    for number in range(50):
        sock = socket.create_connection(place(guarded, ("lease", "control")[number % 2]))
        sock.sendall(b"GET /chromium HTTP/1.1\r\nHo"[: 26 * (number % 3)])
        idle.append(sock)

    assert_unharmed(guarded, playwright)
    for sock in idle:
        sock.close()


def test_a_lease_that_is_taken_and_not_used(guarded: Service, playwright: Playwright) -> None:
    """A client that asks well and hangs up at once, twenty times, leaves no lease."""
    for _ in range(20):
        with socket.create_connection(place(guarded)) as sock:
            sock.sendall(HEAD.format(target=f"/chromium?token={TOKEN}", more="").encode())

    assert_unharmed(guarded, playwright)


@pytest.mark.parametrize(
    "path",
    [
        *("/json", "/json/version", "/chromium/json", "/../json", "//json", "/%2e%2e/json"),
        *("/chromium/..%2fjson", "/\\json", "/chromium;x", "/CHROMIUM", "*", "http://x/json"),
    ],
)
def test_tricks_with_paths(guarded: Service, path: str) -> None:
    """No path leads to a browser server's own answers."""
    upgraded = say(
        guarded,
        HEAD.format(target=path, more=f"Authorization: Bearer {TOKEN}\r\n").encode(),
    )
    plain = say(guarded, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    for answer in (upgraded, plain):
        assert answer[:12] in (b"HTTP/1.1 404", b"HTTP/1.1 426", b"HTTP/1.1 400"), answer
        assert b"wsEndpoint" not in answer


def test_launch_options_are_not_taken(guarded: Service, playwright: Playwright) -> None:
    """A client cannot have a program started, nor another browser."""
    mark = "/nonexistent-program"
    browser = playwright.chromium.connect(
        f"{guarded.ws}/chromium?token={TOKEN}",
        headers={
            "x-playwright-launch-options": json.dumps({"executablePath": mark, "args": ["--x"]}),
            "x-playwright-proxy": "http://127.0.0.1:1",
        },
    )
    assert browser.new_page().evaluate("1 + 1") == 2
    assert [p for p in guarded.processes() if mark in p.cmdline() or "--x" in p.cmdline()] == []
    browser.close()
    with pytest.raises(Error, match="400 Bad Request"):
        playwright.chromium.connect(f"{guarded.ws}/chromium?token={TOKEN}&launch-options={{}}")
    assert_unharmed(guarded, playwright)


def test_a_page_cannot_reach_either_port(guarded: Service, playwright: Playwright) -> None:
    """A page under test gets no lease by WebSocket, and drains nothing by fetch."""
    browser = playwright.chromium.connect(f"{guarded.ws}/chromium?token={TOKEN}")
    page = browser.new_page()
    page.goto("data:text/html,<title>evil</title>")
    outcome = page.evaluate(
        """([ws, control]) => Promise.all([
            new Promise(done => {
                const socket = new WebSocket(ws);
                socket.onopen = () => done('open');
                socket.onerror = () => done('refused');
            }),
            fetch(control, {method: 'POST', mode: 'no-cors'}).then(r => r.type, () => 'refused'),
        ])""",
        [f"{guarded.ws}/chromium?token={TOKEN}", f"http://{guarded.control}/drain"],
    )
    browser.close()

    assert outcome[0] == "refused"
    assert_unharmed(guarded, playwright)


def test_noise(guarded: Service, playwright: Playwright) -> None:
    """Ten thousand random strings, half of them on each port, some of them nearly right."""
    chance = random.Random(4)
    good = HEAD.format(target=f"/chromium?token={TOKEN}", more="").encode()
    before = len(guarded.processes())
    heard = b""
    for number in range(STRINGS):
        data = chance.randbytes(chance.randrange(1, 200))
        if number % 4 == 0:
            cut = chance.randrange(len(good))
            data = good[:cut] + data + good[cut:]
        sock = socket.create_connection(place(guarded, ("lease", "control")[number % 2]))
        with sock, suppress(OSError):
            sock.sendall(data)
            if number % 100 == 0:
                sock.shutdown(socket.SHUT_WR)
                heard += sock.recv(65536)
    assert_unharmed(guarded, playwright)
    assert len(guarded.processes()) == before
    assert_nothing_told(guarded, heard.decode(errors="replace"))


def test_nothing_listens_to_the_network_without_a_token(tmp_path: Path) -> None:
    """A browser server is on loopback alone, whatever the service listens on."""
    (tmp_path / "token").write_text(TOKEN)
    import psutil

    with service(
        tmp_path, "--min", "1", "--listen", ":0", "--token-file", str(tmp_path / "token")
    ) as found:
        wait_until(lambda: browsers(found), 30 * slack(), "a warm browser")
        listening = set()
        for process in found.processes():
            with suppress(psutil.NoSuchProcess):  # a browser has some that come and go
                listening |= {
                    (connection.laddr.ip, process.pid == found.process.pid)
                    for connection in process.net_connections("tcp")
                    if connection.status == psutil.CONN_LISTEN
                }
    assert ("0.0.0.0", True) in listening
    assert [
        entry for entry in listening if not entry[1] and entry[0] not in ("127.0.0.1", "::1")
    ] == []
