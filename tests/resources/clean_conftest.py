# ruff: noqa: PT021
"""Fixtures of every scope, as clean suites have them: they open late, hold long, close at last."""

from __future__ import annotations

import asyncio
import http.client
import http.server
import logging.handlers
import multiprocessing
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO

import httpx
import pytest
import requests
import sqlalchemy
from playwright.sync_api import Browser, BrowserContext, Page


class Answer(http.server.BaseHTTPRequestHandler):
    """Answers every request, and keeps the connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b"<title>clean</title><h1>Clean</h1><a href='/next' target=_blank>next</a>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    server = Server(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def helper() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", "for line in iter(input, 'end'): print(line, flush=True)"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.communicate("end\n")


# Clients and pools that open when they are first used


@pytest.fixture(scope="session")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.fixture(scope="package")
def client() -> Iterator[httpx.Client]:
    with httpx.Client() as client:
        yield client


@pytest.fixture(scope="class")
def connection(site: str) -> Iterator[http.client.HTTPConnection]:
    host = site.removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(host)
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlalchemy.Engine]:
    file = tmp_path_factory.mktemp("db") / "clean.db"
    engine = sqlalchemy.create_engine(f"sqlite:///{file}", pool_size=5)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as executor:
        yield executor


@pytest.fixture(scope="session")
def process_executor() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


@pytest.fixture(scope="session")
def process_pool() -> Iterator[Any]:
    # A worker per task: the pool starts new ones while tests run.
    pool = multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1)
    yield pool
    pool.terminate()
    pool.join()


@pytest.fixture(scope="session")
def queue() -> Iterator[Any]:
    queue: Any = multiprocessing.Queue()
    yield queue
    queue.close()
    queue.join_thread()


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="session")
def logger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[logging.Logger]:
    file = tmp_path_factory.mktemp("log") / "clean.log"
    handler = logging.handlers.RotatingFileHandler(file, maxBytes=50, backupCount=1, delay=True)
    logger = logging.getLogger("clean")
    logger.addHandler(handler)
    yield logger
    logger.removeHandler(handler)
    handler.close()


class Journal:
    """Opens its file with the first line that is written."""

    def __init__(self, file: Path) -> None:
        self._path = file
        self._file: TextIO | None = None

    def write(self, line: str) -> None:
        if self._file is None:
            self._file = self._path.open("w")
        self._file.write(line)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journal]:
    journal = Journal(tmp_path_factory.mktemp("journal") / "journal.txt")
    yield journal
    journal.close()


@pytest.fixture(scope="module", autouse=True)
def module_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TextIO]:
    with (tmp_path_factory.mktemp("module") / "log").open("w") as file:
        yield file


@pytest.fixture(autouse=True)
def note(module_log: TextIO, request: pytest.FixtureRequest) -> None:
    module_log.write(request.node.name)


@pytest.fixture(params=["r", "rb"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    (tmp_path / "x").write_text("x")
    with open(tmp_path / "x", request.param) as file:
        yield file


@pytest.fixture(scope="module", params=["one", "two"])
def module_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    file = (tmp_path_factory.mktemp("wide") / request.param).open("w")
    request.addfinalizer(file.close)
    return file


# Contexts and pages that outlive tests


@pytest.fixture(scope="session")
def session_context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture(scope="session")
def session_page(session_context: BrowserContext) -> Page:
    page = session_context.new_page()
    page.on("console", lambda message: None)
    page.route("**/mocked", lambda route: route.abort())
    page.expose_function("answer", lambda: 42)
    return page


@pytest.fixture(scope="module")
def module_page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


@pytest.fixture(scope="class")
def class_page(session_context: BrowserContext) -> Iterator[Page]:
    with session_context.new_page() as page:
        yield page


@pytest.fixture(scope="session")
def open_context(browser: Browser) -> Iterator[Callable[[], BrowserContext]]:
    contexts = []

    def make() -> BrowserContext:
        contexts.append(browser.new_context())
        return contexts[-1]

    yield make
    for context in contexts:
        context.close()


class People:
    """Opens a context for whoever comes, and closes them all at the end."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: dict[str, BrowserContext] = {}

    def __getitem__(self, name: str) -> Page:
        if name not in self._contexts:
            self._contexts[name] = self._browser.new_context()
            self._contexts[name].new_page()
        return self._contexts[name].pages[0]

    def listen(self, name: str) -> None:
        self[name].on("request", lambda request: None)

    def leave(self) -> None:
        for context in self._contexts.values():
            context.close()


@pytest.fixture(scope="session")
def people(browser: Browser) -> Iterator[People]:
    people = People(browser)
    yield people
    people.leave()


@pytest.fixture(scope="module")
def opened_here(browser: Browser) -> Iterator[list[BrowserContext]]:
    contexts: list[BrowserContext] = []
    yield contexts
    for context in contexts:
        context.close()
