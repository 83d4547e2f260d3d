"""Real servers from Debian's packages: Prometheus, Pushgateway, Alertmanager, and a webhook.

Each listens on a loopback port of its own, keeps its data in a directory of the test's, and is gone
when the block is left, or when the process of the tests dies.
"""

from __future__ import annotations

import ctypes
import json
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.runs import slack, wait_until

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
NAMES = ("prometheus", "promtool", "prometheus-pushgateway", "prometheus-alertmanager")

needed = pytest.mark.skipif(
    not all(map(shutil.which, NAMES)), reason="apt-get install " + " ".join(NAMES)
)


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def fetch(url: str, seconds: float = 10.0) -> str:
    """Return what an address answers."""
    with urllib.request.urlopen(url, timeout=seconds) as answer:
        text: str = answer.read().decode()
        return text


def _answers(url: str) -> bool:
    try:
        fetch(url, 1.0)
    except OSError:
        return False
    return True


@contextmanager
def running(directory: Path, ready: str, *command: str) -> Iterator[None]:
    """Run a server until the block is left; it is ready when it answers at ``ready``."""
    log = (directory / f"{Path(command[0]).name}.log").open("w+")
    process = subprocess.Popen(
        command,
        cwd=directory,
        stdout=log,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
    )
    try:
        wait_until(
            lambda: _answers(ready) or process.poll() is not None,
            30 * slack(),
            f"an answer: {ready}",
        )
        assert process.poll() is None, Path(log.name).read_text()
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


class Prometheus:
    """A Prometheus that can be asked."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, path: str, **query: Any) -> Any:
        """Return the data of an answer of its API."""
        words = urllib.parse.urlencode(query, doseq=True)
        try:
            answer = json.loads(fetch(f"{self.url}/api/v1/{path}?{words}", 60.0))
        except urllib.error.HTTPError as error:
            with error:
                pytest.fail(f"{query}: {error.read().decode()}")
        assert answer["status"] == "success"
        return answer["data"]

    def values(
        self, query: str, at: float | None = None
    ) -> dict[frozenset[tuple[str, str]], float]:
        """Return what an expression comes to now, by labels without the name."""
        more = {} if at is None else {"time": at}
        found = self.ask("query", query=query, **more)["result"]
        return {
            frozenset((k, v) for k, v in row["metric"].items() if k != "__name__"): float(
                row["value"][1]
            )
            for row in found
        }

    def value(self, query: str, at: float | None = None) -> float | None:
        """Return the one value that an expression comes to; None if there is none."""
        found = self.values(query, at)
        assert len(found) <= 1, found
        return next(iter(found.values()), None)


@contextmanager
def prometheus(
    directory: Path, config: str, *options: str, port: int | None = None
) -> Iterator[Prometheus]:
    """Run a Prometheus with this configuration."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "prometheus.yml").write_text(config)
    port = port or free_port()
    server = Prometheus(port)
    command = (
        *("prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data"),
        *(f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn", *options),
    )
    with running(directory, f"{server.url}/-/ready", *command):
        yield server


@contextmanager
def pushgateway(directory: Path) -> Iterator[str]:
    """Run a Pushgateway and return its address."""
    directory.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{free_port()}"
    listen = f"--web.listen-address={url.removeprefix('http://')}"
    with running(
        directory, f"{url}/-/ready", "prometheus-pushgateway", listen, "--persistence.file="
    ):
        yield url


@contextmanager
def alertmanager(directory: Path, config: str) -> Iterator[str]:
    """Run an Alertmanager and return its address."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "alertmanager.yml").write_text(config)
    url = f"http://127.0.0.1:{free_port()}"
    command = (
        *("prometheus-alertmanager", "--config.file=alertmanager.yml", "--storage.path=data"),
        *(f"--web.listen-address={url.removeprefix('http://')}", "--cluster.listen-address="),
    )
    with running(directory, f"{url}/-/ready", *command):
        yield url


class Webhook:
    """Takes what an Alertmanager sends: (moment, status, alert)."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, str, dict[str, Any]]] = []
        heard = self.heard

        class Ear(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for alert in told["alerts"]:
                    heard.append((time.time(), alert["status"], alert))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Ear)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Webhook:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def first(self, name: str, status: str) -> tuple[float, dict[str, Any]] | None:
        """Return when an alert was first heard in this state, and the alert."""
        for at, state, alert in list(self.heard):
            if state == status and alert["labels"]["alertname"] == name:
                return at, alert
        return None
