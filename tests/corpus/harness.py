"""Serve the corpus on a loopback port and play a pair's steps on a page."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from tests.corpus.pair import ENTRIES, Pair

if TYPE_CHECKING:
    from playwright.sync_api import Page

MODULES = ("data", "dom", "events", "platform", "apps", "bounded", "matrix", "beside")


def load() -> dict[str, Pair]:
    """Return every pair of the corpus by name."""
    for module in MODULES:
        importlib.import_module(f"tests.corpus.{module}")
    return ENTRIES


def act(page: Page, steps: tuple[str, ...]) -> None:
    """Play the steps: ``click SEL``, ``hover SEL``, ``press KEY``, ``fill SEL=TEXT``, ``eval JS``,
    ``wait JS``."""
    for step in steps:
        verb, _, rest = step.partition(" ")
        if verb == "click":
            page.click(rest)
        elif verb == "hover":
            page.hover(rest)
        elif verb == "press":
            page.keyboard.press(rest)
        elif verb == "fill":
            selector, _, text = rest.partition("=")
            page.fill(selector, text)
        elif verb == "eval":
            page.evaluate(f"() => {{ {rest} }}")
        elif verb == "wait":
            page.wait_for_function(rest)
        else:
            raise ValueError(f"unknown step {step!r}")


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[0] == "api":
            body, kind = b'{"items":[1,2,3],"name":"an answer of the server"}', "application/json"
        elif len(parts) == 2 and parts[0] in ENTRIES:
            leaky = parts[1] == "leaky"
            body, kind = ENTRIES[parts[0]].page(leaky).encode(), "text/html; charset=utf-8"
        else:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def served() -> Iterator[str]:
    """Serve every loaded pair at ``BASE/name/leaky`` and ``BASE/name/fixed``; yield ``BASE``."""
    load()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
