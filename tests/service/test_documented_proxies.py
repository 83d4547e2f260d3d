"""The configurations of proxies that the documentation shows, run by the real proxies."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Playwright

from tests.runs import Scratch, slack, wait_until
from tests.service.proxies import TOKEN, free_port, idle, wait_open
from tests.service.serving import Service, service

pytestmark = pytest.mark.browser

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "service.md"

# What nginx wants around what the page shows: everything at places of our own.
NGINX = """
daemon off;
master_process off;
pid {home}/nginx.pid;
error_log stderr;
events {{}}
http {{
  access_log off;
  {places}
  server {{
    listen 127.0.0.1:{port};
{shown}
  }}
}}
"""
PLACES = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def shown(name: str) -> str:
    """Return the configuration for a proxy as the page has it."""
    (found,) = re.findall(rf"^```\n# {name}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return str(found)


def replaced(text: str, *changes: tuple[str, str]) -> str:
    """Return ``text`` with each change made; each must be there to be made."""
    for before, after in changes:
        assert before in text, f"the page has no {before!r} any more"
        text = text.replace(before, after)
    return text


@contextmanager
def nginx(directory: Path, found: Service, cut: str) -> Iterator[str]:
    """Run nginx before a service, with what the page shows; return where it listens."""
    port = free_port()
    text = replaced(
        shown("nginx"),
        ("127.0.0.1:9323", found.ws.rpartition("/")[2]),
        ("127.0.0.1:9324", found.control),
        ("proxy_read_timeout 60s", f"proxy_read_timeout {cut}"),
    )
    places = "".join(f"{name}_temp_path {directory}/{name};\n  " for name in PLACES)
    file = directory / "nginx.conf"
    file.write_text(NGINX.format(home=directory, places=places, port=port, shown=text))
    with (directory / "nginx.log").open("w") as log:
        running = subprocess.Popen(
            ["nginx", "-p", str(directory), "-c", str(file)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
        try:
            wait_open(port, running, directory / "nginx.log")
            yield f"127.0.0.1:{port}"
        finally:
            running.send_signal(signal.SIGTERM)
            try:
                running.wait(10)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


def status(found: Service) -> dict[str, Any]:
    """Return what the service says of its pool."""
    said: dict[str, Any] = found.get("/status", TOKEN)[1]["pool"]
    return said


@contextmanager
def behind_nginx(directory: Path, pings: str) -> Iterator[tuple[Service, str]]:
    """Run a service that pings every so often behind an nginx that cuts after a second."""
    directory.mkdir()
    token = directory / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    options = ("--min", "1", "--max", "1", "--ping-interval", pings, "--token-file", str(token))
    with service(directory, *options) as found, nginx(directory, found, "1s") as place:
        # While a client waits for a browser to start nothing goes over its connection.
        wait_until(lambda: status(found)["browsers"][0]["state"] == "ready", 30 * slack(), "one")
        yield found, place


def hold_idle(playwright: Playwright, found: Service, place: str) -> str:
    """Hold a lease on which nothing is said for three seconds; return how that went."""
    outcome = idle(playwright, f"ws://{place}/browsers", wait="0")
    wait_until(lambda: not status(found)["leases"], 10 * slack(), "an end of the lease")
    return outcome


def test_nginx_as_documented(
    pytester: pytest.Pytester, playwright: Playwright, tmp_path: Path
) -> None:
    """A suite runs through its prefix, commands too, and pings outlive the shortest patience."""
    scratch = Scratch(pytester, "def test_it(page):\n    assert page.evaluate('1 + 1') == 2\n")
    with behind_nginx(tmp_path / "pings", "0.3 s") as (found, place):
        token = str(tmp_path / "pings" / "token")
        result = scratch.run(
            f"--sentinel-pool=ws://{place}/browsers", f"--sentinel-pool-token-file={token}"
        )
        result.assert_outcomes(passed=1)
        command = [sys.executable, "-m", "pytest_sentinel.cli", "status", "--token-file", token]
        told = subprocess.run(
            [*command, "--control", f"http://{place}/control"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "slots leased" in told.stdout, told.stderr
        assert hold_idle(playwright, found, place) == "still here"
    with behind_nginx(tmp_path / "none", "off") as (found, place):
        assert hold_idle(playwright, found, place) == "cut off"
