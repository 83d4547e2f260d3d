"""`sentinel serve` as its users meet it: real browsers, real clients, real signals."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error, Playwright

from tests.runs import slack, wait_until
from tests.service.ports import HEAD
from tests.service.serving import Service, service

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for the tests that leave it as it was."""
    with service(
        tmp_path_factory.mktemp("service"), "--min", "1", "--contexts-per-browser", "2"
    ) as found:
        wait_until(found.browsers, 30 * slack(), "a warm browser")
        yield found


def idle(found: Service) -> bool:
    """Tell whether nothing is leased."""
    return not found.leases()


def test_a_connection_is_a_lease(shared: Service, playwright: Playwright) -> None:
    """It is there while the client is connected, with the client's name, and then gone."""
    browser = playwright.chromium.connect(f"{shared.ws}/chromium?owner=me&wait=10s")
    page = browser.new_page()
    page.set_content("<title>leased</title>")

    assert page.title() == "leased"
    assert [(lease["owner"], lease["engine"]) for lease in shared.leases()] == [("me", "chromium")]
    browser.close()
    wait_until(lambda: idle(shared), 2 * slack(), "the end of the lease")


def test_clients_do_not_see_each_other(shared: Service, playwright: Playwright) -> None:
    """Two leases on one browser have contexts of their own."""
    first = playwright.chromium.connect(f"{shared.ws}/chromium")
    second = playwright.chromium.connect(f"{shared.ws}/chromium")
    first.new_context()

    assert (len(first.contexts), len(second.contexts)) == (1, 0)
    assert len({lease["browser"] for lease in shared.leases()}) == 1
    first.close()
    second.close()


def test_a_refusal_is_shown_to_the_user(shared: Service, playwright: Playwright) -> None:
    """Playwright's error has the status and the sentence."""
    with pytest.raises(Error) as caught:
        playwright.chromium.connect(f"{shared.ws}/opera")

    assert "404 Not Found" in str(caught.value)
    assert "This service has /chromium." in str(caught.value)


def test_another_version_is_refused_by_the_browser_server(
    shared: Service, playwright: Playwright
) -> None:
    """Its own words pass through."""
    with pytest.raises(Error) as caught:
        playwright.chromium.connect(
            f"{shared.ws}/chromium", headers={"User-Agent": "Playwright/1.2.3 (x64)"}
        )

    assert "428" in str(caught.value)
    assert "version mismatch" in str(caught.value)
    wait_until(lambda: idle(shared), 2 * slack(), "the end of the lease")


def test_figures_for_prometheus(shared: Service) -> None:
    """They parse, have our prefix, and no family of creation times."""
    from prometheus_client.parser import text_string_to_metric_families

    families = list(text_string_to_metric_families(shared.get("/metrics")[1]))

    names = [family.name for family in families]
    assert "sentinel_acquire_wait_seconds" in names
    assert [name for name in names if not name.startswith("sentinel_")] == []
    assert [name for name in names if name.endswith("_created")] == []
    slots = next(family for family in families if family.name == "sentinel_pool_slots")
    assert sum(sample.value for sample in slots.samples) == 2 * 2


def test_commands_for_people(shared: Service) -> None:
    """Status, health and their exit codes."""
    status = shared.command("status")
    health = shared.command("health")

    assert (status.returncode, health.returncode) == (0, 0), status.stderr + health.stderr
    assert "browser-1" in status.stdout
    assert health.stdout == "ok\n"
    assert shared.command("health", "--ready").stdout == "ready\n"


def test_commands_without_a_service_say_so() -> None:
    """The error names the place, and the exit code is 1."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest_sentinel.cli", "health", "--control", "127.0.0.1:1"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 1
    assert "127.0.0.1:1" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_service_is_renewed_and_resized(tmp_path: Path, playwright: Playwright) -> None:
    """Restart gives new browsers without ending a lease; resize changes the maximum."""
    with service(tmp_path, "--min", "1", "--max", "1") as found:
        wait_until(found.browsers, 30 * slack(), "a warm browser")
        browser = playwright.chromium.connect(f"{found.ws}/chromium")
        page = browser.new_page()
        assert "generation 2" in found.command("restart").stdout
        wait_until(
            lambda: [row for row in found.browsers() if row["generation"] == 2],
            30 * slack(),
            "a new browser",
        )
        assert page.evaluate("1 + 1") == 2
        assert found.command("resize", "3").stdout == "at most 3 browsers\n"
        assert found.get("/status")[1]["pool"]["maximum"] == 3
        browser.close()


@pytest.mark.parametrize("by", ["signal", "command"])
def test_a_service_drains_before_it_stops(tmp_path: Path, playwright: Playwright, by: str) -> None:
    """A lease that is held ends by itself, and no new one is granted meanwhile."""
    with service(tmp_path, "--min", "1") as found:
        browser = playwright.chromium.connect(f"{found.ws}/chromium")
        page = browser.new_page()
        if by == "signal":
            found.process.send_signal(signal.SIGTERM)
        else:
            assert found.command("drain").returncode == 0
            found.process.send_signal(signal.SIGTERM)  # as of a kubelet after its hook
        wait_until(lambda: found.named("service.draining"), 5 * slack(), "draining")
        assert found.get("/ready")[1]["reason"] == "draining"
        assert found.get("/health")[0] == 200
        with pytest.raises(Error) as caught:
            playwright.chromium.connect(f"{found.ws}/chromium")
        assert "503" in str(caught.value)
        assert page.evaluate("1 + 1") == 2
        assert found.process.poll() is None
        browser.close()
        assert found.process.wait(20 * slack()) == 0


def test_a_second_signal_stops_at_once(tmp_path: Path, playwright: Playwright) -> None:
    """The client hears why, and the exit code tells that a lease was cut off."""
    with service(tmp_path) as found:
        browser = playwright.chromium.connect(f"{found.ws}/chromium")
        page = browser.new_page()
        found.process.send_signal(signal.SIGTERM)
        wait_until(lambda: found.named("service.draining"), 5 * slack(), "draining")
        found.process.send_signal(signal.SIGTERM)
        assert found.process.wait(20 * slack()) == 1
        with pytest.raises(Error) as caught:
            page.evaluate("1 + 1")
        assert "the service stops" in str(caught.value)


def test_a_greedy_owner_is_no_demand(tmp_path: Path) -> None:
    """Clients that wait for their own owner's quota make a service neither full nor pressed."""
    options = ("--max", "1", "--contexts-per-browser", "4", "--per-owner", "1")
    with service(tmp_path, *options, "--max-waiting", "5") as found, ExitStack() as stack:

        def ask(owner: str) -> socket.socket:
            host, _, port = found.ws.removeprefix("ws://").partition(":")
            sock = stack.enter_context(socket.create_connection((host, int(port))))
            sock.settimeout(30 * slack())
            sock.sendall(HEAD.format(target=f"/chromium?owner={owner}&wait=60s", more="").encode())
            return sock

        def ready() -> dict[str, Any]:
            return dict(found.get("/ready")[1])

        ask("greedy")
        wait_until(lambda: ready()["leased"] == 1, 30 * slack(), "a lease")
        for _ in range(5):
            ask("greedy")
        wait_until(lambda: ready()["held_back"] == 5, 10 * slack(), "a queue")
        assert b"HTTP/1.1 429 " in ask("greedy").recv(4096)
        now = ready()
        assert (now["ready"], now["free"], now["waiting"], now["pressure"]) == (True, 3, 0, 0.25)
        metrics = found.get("/metrics")[1]
        assert 'sentinel_pool_waiting{engine="chromium"} 0.0' in metrics
        assert 'sentinel_pool_held_back{engine="chromium"} 5.0' in metrics
        assert "sentinel_pool_utilisation_ratio 0.25" in metrics
        assert "1 of 4 slots leased, 0 waiting (and 5 for their" in found.command("status").stdout
        assert ask("modest").recv(4096).startswith(b"HTTP/1.1 101 ")


def test_a_drain_has_an_end(tmp_path: Path, playwright: Playwright) -> None:
    """A lease that outlasts the time is cut off, with the reason, and the exit code tells."""
    with service(tmp_path, "--drain-timeout", "500 ms") as found:
        browser = playwright.chromium.connect(f"{found.ws}/chromium")
        page = browser.new_page()
        found.process.send_signal(signal.SIGTERM)
        assert found.process.wait(20 * slack()) == 1
        with pytest.raises(Error, match="the pool drains, and its"):
            page.evaluate("1 + 1")
    assert found.named("service.stopped")[0]["cut"] == 1


def test_a_place_that_is_taken_is_a_usage_error(shared: Service) -> None:
    """It names the option and the place."""
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "pytest_sentinel.cli", "serve"),
            *("--listen", shared.ws.removeprefix("ws://"), "--control", "127.0.0.1:0"),
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert ran.returncode == 2
    assert "--listen" in ran.stderr
    assert "Address already in use" in ran.stderr


def test_the_browsers_of_another_server_are_handed_on(
    tmp_path: Path, shared: Service, playwright: Playwright
) -> None:
    """With an upstream a service launches nothing, and leases what that gives."""
    with service(tmp_path, "--upstream", f"{shared.ws}/chromium?owner=upstream") as found:
        browser = playwright.chromium.connect(f"{found.ws}/chromium?owner=me")
        assert browser.new_page().evaluate("1 + 1") == 2
        assert "upstream" in [lease["owner"] for lease in shared.leases()]
        assert [lease["owner"] for lease in found.leases()] == ["me"]
        own = [" ".join(process.cmdline()) for process in found.processes()]
        assert [words for words in own if "--type=" in words or "remote-debugging" in words] == []
        browser.close()
    wait_until(lambda: idle(shared), 5 * slack(), "the end of the upstream's leases")
