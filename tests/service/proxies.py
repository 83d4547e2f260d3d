"""A real HAProxy before a service: it has the certificate, wants a prefix, cuts what is idle."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import trustme
from playwright.sync_api import Error, Playwright

from tests.runs import slack, wait_until

TOKEN = "a-secret-of-many-letters"
_CONFIG = """
defaults
  mode http
  retries 0
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel {cut}s

frontend proxy
  bind 127.0.0.1:{port}{tls}
  use_backend control if {{ path_beg /control/ }}
  default_backend leases

backend leases
  http-request replace-path /browsers/(.*) /\\1
  server service {leases}

backend control
  http-request replace-path /control/(.*) /\\1
  server service {control}
"""


@dataclass(frozen=True)
class Proxy:
    """Where it is, and whom one has to trust."""

    ws: str
    control: str
    authority: Path


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_open(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until ``process`` listens; fail with its ``log`` when it has ended."""

    def is_open() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        assert process.poll() is None, log.read_text()
        return False

    wait_until(is_open, 20 * slack(), "a proxy")


@contextmanager
def proxy(
    directory: Path, leases: str, control: str, *, cut: float = 60, tls: bool = True
) -> Iterator[Proxy]:
    """Run one before the ports ``leases`` and ``control``; it cuts what is idle for ``cut`` s."""
    authority, ours = directory / "authority.pem", directory / "proxy.pem"
    made = trustme.CA()
    made.cert_pem.write_to_path(authority)
    made.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(ours)
    port = free_port()
    config = directory / "haproxy.cfg"
    config.write_text(
        _CONFIG.format(
            port=port,
            cut=f"{cut:g}",
            tls=f" ssl crt {ours}" if tls else "",
            leases=leases.rpartition("/")[2],
            control=control,
        )
    )
    with (directory / "haproxy.log").open("w+") as log:
        running = subprocess.Popen(
            ["haproxy", "-db", "-f", str(config)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )

        try:
            wait_open(port, running, directory / "haproxy.log")
            letter = "s" if tls else ""
            where = f"{letter}://localhost:{port}"
            yield Proxy(f"ws{where}/browsers", f"http{where}/control", authority)
        finally:
            running.kill()
            running.wait()


def idle(playwright: Playwright, address: str, wait: str = "30s") -> str:
    """Hold a lease on which nothing is said for three seconds; return how that went."""
    browser = playwright.chromium.connect(
        f"{address}/chromium?wait={wait}", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    try:
        page = browser.new_page()
        return str(page.evaluate("new Promise(done => setTimeout(done, 3000, 'still here'))"))
    except Error:
        return "cut off"
    finally:
        with suppress(Error):
            browser.close()
