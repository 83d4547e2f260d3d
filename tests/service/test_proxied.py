"""A service behind a proxy, and one that is away for a moment."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Error, Playwright

from pytest_sentinel.errors import PoolUnavailable
from pytest_sentinel.load.nodedriver import NodeDriver
from pytest_sentinel.load.remotepool import RemotePool
from pytest_sentinel.pool.reaper import Reaper
from tests import loops
from tests.runs import Scratch, slack, wait_until
from tests.service.proxies import TOKEN, Proxy, free_port, idle, proxy
from tests.service.serving import Service, service

pytestmark = pytest.mark.browser

SUITE = "def test_it(page):\n    assert page.evaluate('1 + 1') == 2\n"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a token, as one behind a proxy needs it, that pings often."""
    directory = tmp_path_factory.mktemp("service")
    (directory / "token").write_text(TOKEN)
    with service(
        directory,
        *("--max", "1", "--ping-interval", "0.3 s", "--token-file", str(directory / "token")),
    ) as found:
        yield found


@pytest.fixture(scope="module")
def proxied(guarded: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """The proxy before it, which cuts what is idle for a second."""
    with proxy(tmp_path_factory.mktemp("proxy"), guarded.ws, guarded.control, cut=1) as found:
        yield found


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """The file that a client is given."""
    path = tmp_path / "shown"
    path.write_text(TOKEN)
    return path


def trusting(found: Proxy) -> dict[str, str]:
    """Return an environment that trusts the proxy."""
    environment = {k: v for k, v in os.environ.items() if k != "NODE_EXTRA_CA_CERTS"}
    return {**environment, "SSL_CERT_FILE": str(found.authority)}


def test_a_suite_runs_through_a_proxy(
    pytester: pytest.Pytester, proxied: Proxy, token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By TLS and with a prefix; without the authority it fails at once, and says what to set."""
    scratch = Scratch(pytester, SUITE)
    options = (f"--sentinel-pool={proxied.ws}", f"--sentinel-pool-token-file={token}")
    for name in ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"):
        monkeypatch.delenv(name, raising=False)
    untrusted = scratch.run(*options)
    monkeypatch.setenv("SSL_CERT_FILE", str(proxied.authority))
    trusted = scratch.run(*options)

    untrusted.assert_outcomes(errors=1)
    assert "its certificate is not trusted" in untrusted.stdout.str()
    assert "SSL_CERT_FILE" in untrusted.stdout.str()
    assert "sentinel: waiting up to" not in untrusted.stdout.str()
    trusted.assert_outcomes(passed=1)
    trusted.stdout.fnmatch_lines([f"sentinel: browsers of the pool at {proxied.ws}"])


def test_commands_go_through_a_proxy(proxied: Proxy, token: Path) -> None:
    """`--control` takes https and a prefix, and checks the certificate."""
    command = [sys.executable, "-m", "pytest_sentinel.cli", "status", "--control", proxied.control]
    command += ["--token-file", str(token)]
    good = subprocess.run(
        command, env=trusting(proxied), capture_output=True, text=True, timeout=60
    )
    bad = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert good.returncode == 0, good.stderr
    assert "slots leased" in good.stdout
    assert bad.returncode == 1
    assert "its certificate is not trusted" in bad.stderr
    assert "Traceback" not in bad.stderr


LOAD = """
import asyncio, sys
from pytest_sentinel.load.nodedriver import NodeDriver
from pytest_sentinel.load.remotepool import RemotePool
from pytest_sentinel.pool.reaper import Reaper

async def main():
    reaper = Reaper()
    driver = NodeDriver(reaper)
    pool = RemotePool(sys.argv[1], driver, "load", sys.argv[2])
    async with pool.seat("chromium", 30.0) as seat:
        page = await seat.browser.new_page()
        print(await page.evaluate("40 + 2"))
    await driver.aclose()
    reaper.close()

asyncio.run(main())
"""


def test_load_goes_through_a_proxy(proxied: Proxy) -> None:
    """The pool of Locust's users connects as that of a suite does."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, proxied.ws, TOKEN],
        env=trusting(proxied),
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.stdout.strip() == "42", done.stderr


def hold_idle(playwright: Playwright, directory: Path, pings: str, *more: str) -> str:
    """Hold an idle lease of a service behind a proxy that cuts after a second; return its end."""
    directory.mkdir()
    with (
        service(directory, "--max", "1", "--ping-interval", pings, *more) as found,
        proxy(directory, found.ws, found.control, cut=1, tls=False) as before,
    ):
        outcome = idle(playwright, before.ws)
        wait_until(lambda: not found.leases(), 10 * slack(), "an end of the lease")
    return outcome


def test_an_idle_lease_outlives_a_proxys_patience(playwright: Playwright, tmp_path: Path) -> None:
    """Pings keep a connection in use; without them the proxy cuts it, as others do in a minute."""
    assert hold_idle(playwright, tmp_path / "pings", "0.3 s") == "still here"
    assert hold_idle(playwright, tmp_path / "none", "off") == "cut off"


def test_a_lease_elsewhere_is_kept_as_well(playwright: Playwright, tmp_path: Path) -> None:
    """Where the service copies the bytes of another server it pings itself."""
    with service(tmp_path, "--max", "1", "--ping-interval", "off") as other:
        upstream = ("--upstream", f"{other.ws}/chromium")
        assert hold_idle(playwright, tmp_path / "pings", "0.3 s", *upstream) == "still here"


@pytest.mark.parametrize("answered_by", ["nobody", "a proxy"])
def test_a_suite_waits_for_a_service_that_is_away(
    pytester: pytest.Pytester, tmp_path: Path, answered_by: str
) -> None:
    """As during a rolling restart: it says so once, and goes on when the service is back."""
    scratch = Scratch(pytester, SUITE)
    port = free_port()
    leases = address = f"ws://127.0.0.1:{port}"
    with proxy(tmp_path, leases, f"127.0.0.1:{free_port()}", tls=False) as before:
        if answered_by == "a proxy":
            address = before.ws
        with scratch.start(f"--sentinel-pool={address}", "--sentinel-launch-timeout=120 s") as run:
            wait_until(lambda: "waiting up to" in run.output(), 60 * slack(), "a word of waiting")
            with service(tmp_path, "--listen", f"127.0.0.1:{port}"):
                assert run.process.wait(60 * slack()) == 0, run.output()
            assert run.output().count(f"waiting up to 60 s for {address}") == 1
            assert "1 passed" in run.output()


def test_load_waits_for_a_service_that_is_away(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Up to the users' own patience; what never comes is an error with what was found there."""
    port = free_port()

    async def run() -> None:
        reaper = Reaper()
        driver = NodeDriver(reaper)
        pool = RemotePool(f"ws://127.0.0.1:{port}", driver, "load", None)
        with pytest.raises(PoolUnavailable, match="ECONNREFUSED"):
            async with pool.seat("chromium", 0.5):
                pass
        with service(tmp_path, "--listen", f"127.0.0.1:{port}", wait=False) as found:
            async with pool.seat("chromium", 240.0) as seat:
                assert seat.browser.is_connected()
            await asyncio.to_thread(found.wait_started)
        await driver.aclose()
        await asyncio.to_thread(reaper.close)

    loops.run(run())
    assert capfd.readouterr().err.count("waiting up to") == 1


def test_the_token_is_read_again(playwright: Playwright, tmp_path: Path) -> None:
    """By SIGHUP: leases go on, the old word opens nothing more, and a bad file changes nothing."""
    path = tmp_path / "token"
    path.write_text(TOKEN)
    with service(tmp_path, "--max", "1", "--token-file", str(path)) as found:

        def try_to_connect(word: str) -> str:
            try:
                playwright.chromium.connect(f"{found.ws}/chromium?token={word}").close()
            except Error as error:
                return error.message
            return "connected"

        held = playwright.chromium.connect(f"{found.ws}/chromium?token={TOKEN}")
        page = held.new_page()
        path.write_text("another-secret-of-letters")
        found.process.send_signal(signal.SIGHUP)
        wait_until(lambda: found.named("token.renewed"), 10 * slack(), "a new token")
        assert "the token is wrong" in try_to_connect(TOKEN)
        assert try_to_connect("another-secret-of-letters") == "connected"
        assert found.get("/status", TOKEN)[0] == 401
        for bad in ("short", None):
            before = len(found.named("token.kept"))
            path.write_text(bad) if bad else path.unlink()
            found.process.send_signal(signal.SIGHUP)
            wait_until(lambda n=before: len(found.named("token.kept")) > n, 10 * slack(), "a word")
        assert try_to_connect("another-secret-of-letters") == "connected"
        assert page.evaluate("1 + 1") == 2
        assert found.get("/status", "another-secret-of-letters")[0] == 200
        assert TOKEN not in str(found.events)
        held.close()


def test_a_hang_up_ends_a_service_without_a_token_file(tmp_path: Path) -> None:
    """As when its terminal is closed: it drains, and stops."""
    with service(tmp_path) as found:
        assert found.stop(signal.SIGHUP) == 0
        assert found.named("service.stopped")
