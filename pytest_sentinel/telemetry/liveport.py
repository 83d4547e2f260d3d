"""Serve the metrics of a run on a port while it goes on, and for one more scrape after its end.

Law: whoever scrapes sees every counter at zero first, and what it has come to from the second
scrape on. A run is a new process, whose counters would be seen for the first time with their value;
to ``increase()`` that is no increase, and runs with equal counts would be none at all.

Law: an answer counts as the last one when it was begun after the figures were complete, and only
once it has been sent: a run that ends in the middle of it would cut it off.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from pytest_sentinel.addresses import Address

_PATIENCE = 10.0  # with a client that says nothing
# Sent by Prometheus and all that scrape as it does, and by no person.
_SCRAPES = "HTTP_X_PROMETHEUS_SCRAPE_TIMEOUT_SECONDS"
_MOST_SCRAPERS = 64
_POLL = 0.1  # between two looks whether it is to close


class LivePort:
    """A port that answers every request with the metrics of ``registry``.

    Args:
        beginning: what a scraper gets for the first time, as if nothing had happened yet.

    Raises:
        OSError: the port cannot be had.
    """

    def __init__(
        self,
        place: Address,
        registry: CollectorRegistry,
        beginning: CollectorRegistry | None = None,
    ) -> None:
        self._metrics: Callable[..., Iterable[bytes]] = make_wsgi_app(registry)
        self._beginning = make_wsgi_app(beginning) if beginning is not None else None
        self._scrapers: set[tuple[str, str]] = set()
        self._came_late = threading.Event()
        self._complete = threading.Event()
        self._told = threading.Event()
        family, _, _, _, bound = socket.getaddrinfo(
            place.host, place.port, type=socket.SOCK_STREAM
        )[0]
        kind = type("_Server", (_Server,), {"address_family": family})
        self._server: WSGIServer = make_server(
            str(bound[0]), place.port, self._answer, kind, _Request
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL,), name="sentinel-metrics", daemon=True
        )
        self._thread.start()

    @property
    def address(self) -> Address:
        """Where it is, with the port that the system chose."""
        host, port = self._server.server_address[:2]
        return Address(str(host), port)

    def complete(self) -> None:
        """Say that the figures are the last ones from now on."""
        self._complete.set()

    def linger(self, seconds: float) -> bool:
        """Wait until somebody has got the last figures, for so long at most; tell if they have.

        One that scraped for the first time meanwhile has got zeros, and is waited for again.
        """
        return self._told.wait(seconds) or (self._came_late.is_set() and self._told.wait(seconds))

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, environ: dict[str, Any], begin: Callable[..., Any]) -> Iterable[bytes]:
        is_last = self._complete.is_set()
        scraper = environ.get("REMOTE_ADDR", ""), environ.get("HTTP_USER_AGENT", "")
        is_new = scraper not in self._scrapers and len(self._scrapers) < _MOST_SCRAPERS
        if self._beginning is not None and _SCRAPES in environ and is_new:
            first = _Body(self._beginning(environ, begin))

            def seen() -> None:
                self._scrapers.add(scraper)
                if is_last:
                    self._came_late.set()

            first.on_sent = seen
            return first
        body = _Body(self._metrics(environ, begin))
        if is_last and any(body):
            body.on_sent = self._told.set
        return body


class _Body(list[bytes]):
    """What is sent; WSGI calls ``close`` when it has been."""

    on_sent: Callable[[], None] = staticmethod(lambda: None)

    def close(self) -> None:
        self.on_sent()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that went away."""


class _Request(WSGIRequestHandler):
    timeout = _PATIENCE

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of a scrape."""
