"""Ctrl-C while a suite waits for a browser of a pool elsewhere."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest
from playwright.sync_api import Playwright

from tests.runs import Scratch, Started, slack, wait_until
from tests.service.proxies import free_port
from tests.service.serving import service

pytestmark = pytest.mark.browser

SUITE = "def test_it(page):\n    pass\n"
PATIENT = "--sentinel-launch-timeout=120 s"


def interrupt(run: Started, scratch: Scratch) -> None:
    """Press Ctrl-C; assert that it ends the run at once, as without us, and as no failure."""
    run.signal_all(signal.SIGINT)
    assert run.wait(10 * slack()) == 2, run.output()
    run.assert_all_gone()
    told = run.output()
    assert told.count(": KeyboardInterrupt\n") == 1  # pytest's own line
    assert "Traceback" not in told
    assert "launch failed" not in told
    assert "failed 1 x" not in told
    assert scratch.events("launch-failed") == []


def test_between_tries(pytester: pytest.Pytester) -> None:
    """Where no service answers, the pause before the next try ends."""
    scratch = Scratch(pytester, SUITE)
    with scratch.start(f"--sentinel-pool=ws://127.0.0.1:{free_port()}", PATIENT) as run:
        wait_until(lambda: "waiting up to" in run.output(), 60 * slack(), "a word of waiting")
        interrupt(run, scratch)


def test_while_a_service_is_silent(pytester: pytest.Pytester) -> None:
    """Where one takes the connection and says nothing, its answer is waited for no more."""
    scratch = Scratch(pytester, SUITE)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"ws://127.0.0.1:{server.getsockname()[1]}"
        with scratch.start(f"--sentinel-pool={address}", PATIENT) as run:
            wait_until(lambda: "waiting for chromium" in run.output(), 60 * slack(), "a wait")
            interrupt(run, scratch)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_in_the_queue(
    pytester: pytest.Pytester, playwright: Playwright, tmp_path: Path, workers: str
) -> None:
    """Where all is leased, the place in the queue is given up, and nothing is leased later."""
    scratch = Scratch(pytester, SUITE)
    with service(tmp_path, "--max", "1", "--contexts-per-browser", "1") as found:
        held = playwright.chromium.connect(f"{found.ws}/chromium")
        options = (f"--sentinel-pool={found.ws}", PATIENT, "-n", workers)
        with scratch.start(*options) as run:
            wait_until(lambda: found.get("/ready")[1]["waiting"], 60 * slack(), "one that waits")
            interrupt(run, scratch)
        wait_until(lambda: not found.get("/ready")[1]["waiting"], 5 * slack(), "an empty queue")
        assert len(found.leases()) == 1
        held.close()
        wait_until(lambda: not found.leases(), 5 * slack(), "an end of the lease")
