# ruff: noqa: SIM115
"""Tests without a browser that leave nothing open, whatever opens behind them."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import logging
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, TextIO

import httpx
import pytest
import requests
import sqlalchemy

MANY = pytest.mark.parametrize("number", range(20))
SOME = pytest.mark.parametrize("number", range(12))


@MANY
def test_trivial(number: int) -> None:
    assert number >= 0


@MANY
def test_files_are_closed(tmp_path: Path, number: int) -> None:
    with (tmp_path / "a").open("w") as file, tempfile.TemporaryFile() as other:
        file.write("a")
        other.write(b"b")


@MANY
def test_file_by_fixture(opened: Any, number: int) -> None:
    assert opened.read() in ("x", b"x")


@MANY
def test_wider_file(module_file: TextIO, number: int) -> None:
    module_file.write("x")


@MANY
def test_opened_late(journal: Any, number: int) -> None:
    journal.write("line")


@MANY
def test_requests(session: requests.Session, site: str, number: int) -> None:
    assert session.get(site).ok


@MANY
def test_httpx(client: httpx.Client, site: str, number: int) -> None:
    assert client.get(site).is_success


@SOME
def test_clients_at_once(
    client: httpx.Client, session: requests.Session, site: str, executor: Any, number: int
) -> None:
    answers = executor.map(lambda one: one.get(site).status_code, [client, session] * (number + 1))
    assert set(answers) == {200}


class TestLateConnection:
    @SOME
    def test_http_client(self, connection: http.client.HTTPConnection, number: int) -> None:
        connection.request("GET", "/")
        assert connection.getresponse().read()


@MANY
def test_engine(engine: sqlalchemy.Engine, number: int) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(number % 5 + 1):
            connection = stack.enter_context(engine.connect())
            assert connection.execute(sqlalchemy.text("select 1")).scalar() == 1


@MANY
def test_executor(executor: ThreadPoolExecutor, number: int) -> None:
    barrier = threading.Barrier(number % 4 + 1)
    list(executor.map(lambda _: barrier.wait(10), range(barrier.parties)))


@pytest.mark.parametrize("number", range(3))
def test_process_executor(process_executor: ProcessPoolExecutor, number: int) -> None:
    assert process_executor.submit(abs, -number).result(60) == number


@SOME
def test_process_pool(process_pool: Any, number: int) -> None:
    assert process_pool.apply(abs, (-number,)) == number


@SOME
def test_queue(queue: Any, number: int) -> None:
    queue.put(number)
    assert queue.get(timeout=10) == number


@MANY
def test_loop(loop: asyncio.AbstractEventLoop, site: str, number: int) -> None:
    async def get() -> bytes:
        port = int(site.rstrip("/").rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        answer = await reader.read(12)
        writer.close()
        await writer.wait_closed()
        return answer

    assert asyncio.run_coroutine_threadsafe(get(), loop).result(10) == b"HTTP/1.1 200"
    in_thread = asyncio.to_thread(abs, -number)
    assert asyncio.run_coroutine_threadsafe(in_thread, loop).result(10) == number


@MANY
def test_asyncio_run(executor: ThreadPoolExecutor, number: int) -> None:
    async def run() -> int:
        process = await asyncio.create_subprocess_exec("true")
        return await process.wait()

    assert executor.submit(asyncio.run, run()).result(30) == 0


@MANY
def test_log(logger: logging.Logger, number: int) -> None:
    logger.warning("%s and enough to turn the file over", number)


@SOME
def test_own_handler(tmp_path: Path, number: int) -> None:
    handler = logging.FileHandler(tmp_path / "own.log")
    logging.getLogger("own").addHandler(handler)
    logging.getLogger("own").warning("written")
    logging.getLogger("own").removeHandler(handler)
    handler.close()


@SOME
def test_helper(helper: subprocess.Popen[str], number: int) -> None:
    assert helper.stdin is not None
    assert helper.stdout is not None
    helper.stdin.write(f"{number}\n")
    helper.stdin.flush()
    assert helper.stdout.readline() == f"{number}\n"


@SOME
def test_process_of_its_own(number: int) -> None:
    assert subprocess.run([sys.executable, "-c", ""], check=False).returncode == 0
    process = multiprocessing.get_context("fork").Process(target=abs, args=(1,))
    process.start()
    process.join()
    process.close()


@pytest.mark.parametrize("number", range(3))
def test_pools_of_its_own(number: int) -> None:
    context = multiprocessing.get_context("fork")
    with context.Pool(1) as pool:
        assert pool.map(abs, [-1]) == [1]
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        assert executor.submit(abs, -1).result(30) == 1
    with ThreadPoolExecutor(2) as threads:
        assert threads.submit(abs, -1).result(30) == 1
    queue: Any = context.Queue()
    queue.put(1)
    assert queue.get(timeout=10) == 1


@MANY
def test_thread_ends_soon(number: int) -> None:
    threading.Timer(0.01, abs, (1,)).start()


@MANY
def test_sockets(number: int) -> None:
    one, other = socket.socketpair()
    ends = os.pipe()
    for end in ends:
        os.close(end)
    one.close()
    other.close()


@SOME
def test_asked_late(request: pytest.FixtureRequest, number: int) -> None:
    assert request.getfixturevalue("session").get(request.getfixturevalue("site")).ok
    request.getfixturevalue("journal").write("late")


class TestXunit:
    file: ClassVar[TextIO]

    @classmethod
    def setup_class(cls) -> None:
        cls.file = tempfile.TemporaryFile("w")

    @classmethod
    def teardown_class(cls) -> None:
        cls.file.close()

    def setup_method(self) -> None:
        self.own = tempfile.TemporaryFile("w")

    def teardown_method(self) -> None:
        self.own.close()

    @SOME
    def test_write(self, number: int) -> None:
        self.file.write("x")
        self.own.write("x")


class UnitTest(unittest.TestCase):
    session: ClassVar[requests.Session]

    @classmethod
    def setUpClass(cls) -> None:
        cls.file = tempfile.TemporaryFile("w")
        cls.session = requests.Session()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.file.close()
        cls.session.close()

    def setUp(self) -> None:
        self.addCleanup(tempfile.TemporaryFile("w").close)
        self.connection = http.client.HTTPConnection("127.0.0.1")

    def test_one(self) -> None:
        self.file.write("x")

    def test_two(self) -> None:
        self.file.write("x")
