"""More connections than a service has descriptors for."""

from __future__ import annotations

import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from playwright.sync_api import Playwright

from tests.runs import slack, wait_until
from tests.service.serving import Service, service

pytestmark = pytest.mark.browser

DESCRIPTORS = int(os.environ.get("CROWD_DESCRIPTORS", "200"))
STRANGERS = int(os.environ.get("CROWD_STRANGERS", "300"))
WORDS = {
    "who say nothing": b"",
    "who say one letter": b"G",
    "who say half a request": b"GET /chromium?wait=0 HTTP/1.1\r\nHost: x\r\nA: ",
    "who talk nonsense": b"\x16\x03\x01\r\n\r\n",
}


@pytest.fixture(scope="module", autouse=True)
def _enough_for_the_strangers() -> Iterator[None]:
    """Their ends are in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * STRANGERS + 1000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with few descriptors."""
    with service(
        tmp_path_factory.mktemp("service"),
        *("--max", "1", "--contexts-per-browser", "2"),
        descriptors=DESCRIPTORS,
    ) as found:
        yield found


def place(address: str) -> tuple[str, int]:
    """Return host and port."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    return host, int(port)


@contextmanager
def crowd(address: str, words: bytes) -> Iterator[Callable[[], None]]:
    """Strangers who come all at once, say ``words`` and stay; calling it has more of them come."""
    with ExitStack() as stack:

        def come() -> None:
            for _ in range(STRANGERS):
                sock = stack.enter_context(socket.socket())
                sock.settimeout(10 * slack())
                sock.connect(place(address))
                with suppress(OSError):
                    sock.sendall(words)

        come()
        yield come


@contextmanager
def slowest(found: Service) -> Iterator[list[float]]:
    """Ask for /health again and again, and note how long each answer takes."""
    took: list[float] = []
    over = threading.Event()

    def ask() -> None:
        while not over.wait(0.02):
            began = time.monotonic()
            with suppress(OSError):
                assert found.get("/health")[0] == 200
            took.append(time.monotonic() - began)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield took
    finally:
        over.set()
        asking.join()


@pytest.mark.parametrize("words", list(WORDS.values()), ids=list(WORDS))
def test_a_crowd_of_strangers_silences_nothing(
    small: Service, playwright: Playwright, words: bytes
) -> None:
    """Health answers at once, a client gets its lease, and the log stays short."""
    before = len(small.events)
    with slowest(small) as took, crowd(small.ws, words) as come:
        browser = playwright.chromium.connect(f"{small.ws}/chromium?owner=honest&wait=30s")
        page = browser.new_page()
        come()
        assert page.evaluate("1 + 1") == 2
        wait_until(lambda: len(took) > 5, 30 * slack(), "answers of the control port")
        browser.close()
    assert max(took) < slack(), f"/health took {max(took):.2f} s"
    wait_until(lambda: not small.leases(), 10 * slack(), "an end of the lease")
    fresh = small.events[before:]
    assert len([e for e in fresh if e["event"] == "clients.dropped"]) <= 5
    assert len(fresh) < 150, f"{len(fresh)} lines for {2 * STRANGERS} strangers"
    assert small.errors() == ""
    assert small.process.poll() is None


def test_a_crowd_at_the_control_port_silences_nothing(
    small: Service, playwright: Playwright
) -> None:
    """Those who say nothing make room for who asks."""
    with crowd(small.control, b""), slowest(small) as took:
        browser = playwright.chromium.connect(f"{small.ws}/chromium?owner=honest&wait=30s")
        assert browser.new_page().evaluate("1 + 1") == 2
        wait_until(lambda: len(took) > 5, 30 * slack(), "answers of the control port")
        browser.close()
    assert max(took) < slack(), f"/health took {max(took):.2f} s"
    assert small.errors() == ""


def test_few_descriptors_are_told(small: Service, tmp_path: Path) -> None:
    """What the options need is in the log and in health, when the system gives less."""
    assert small.named("descriptors.few") == []
    with service(tmp_path, "--max", "8", descriptors=140) as found:
        (few,) = found.named("descriptors.few")
        assert few["limit"] == 140
        health = found.get("/health")[1]
        (part,) = [one for one in health["components"] if one["name"] == "descriptors"]
        assert (health["status"], part["status"]) == ("degraded", "degraded")
        assert "ulimit -n" in part["detail"]
