"""What asks a service meets peers of every kind: each answer has an end, in time and in size."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from click.testing import CliRunner

from pytest_sentinel.addresses import Address
from pytest_sentinel.cli import main
from pytest_sentinel.errors import ServiceUnreachable
from pytest_sentinel.pool import remote
from pytest_sentinel.pool.asking import ask, ask_for_facts
from tests.runs import slack

WITHIN = 0.5
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
Talk = Callable[[socket.socket, threading.Event], None]


@contextmanager
def peer(talk: Talk) -> Iterator[Address]:
    """Something that listens, and talks to who comes."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError), listening.accept()[0] as sock:
                talk(sock, over)

        thread = threading.Thread(target=serve)
        thread.start()
        yield Address(*listening.getsockname()[:2])
        over.set()
        thread.join()


def drip(before: bytes, piece: bytes) -> Talk:
    """Return a talk that never ends, a few bytes every tenth of a second."""

    def talk(sock: socket.socket, over: threading.Event) -> None:
        sock.sendall(before)
        while not over.wait(WITHIN / 5):
            sock.sendall(piece)

    return talk


def once(data: bytes) -> Talk:
    """Return a talk of one answer."""

    def talk(sock: socket.socket, _: threading.Event) -> None:
        sock.recv(65536)
        sock.sendall(data)

    return talk


@pytest.mark.parametrize(
    ("before", "piece"),
    [
        (b"", b""),
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (HEAD + b"\r\n", b" "),
        (HEAD + b"Content-Length: 1000\r\n\r\n", b"{"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    ],
)
def test_an_answer_that_drips_is_given_up(before: bytes, piece: bytes) -> None:
    """The deadline is for the whole answer, not for each piece of it."""
    with peer(drip(before, piece)) as address:
        began = time.monotonic()
        with pytest.raises(ServiceUnreachable, match=r"no answer within 0\.5 s"):
            ask(address, "/ready", timeout=WITHIN)
        assert time.monotonic() - began < 2 * WITHIN * slack()


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b"[]", b"null", b"{", b"\xff\xfe{\0}\0", b"", b"x" * 100_000]
)
def test_an_odd_answer_is_no_service(body: bytes) -> None:
    """Deep, odd or broken JSON is no service of ours, in one line."""
    with peer(once(HEAD + b"\r\n" + body)) as address:
        with pytest.raises(ServiceUnreachable) as caught:
            ask_for_facts(address, "/ready", timeout=5 * slack())
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "body", [b'{"ready": 1}', b'{"ready":1,"reason":"","pressure":[],"free":1}', b"[" * 100_000]
)
def test_a_stranger_is_not_taken_for_a_service(body: bytes) -> None:
    """What has other facts than a service of ours has no standing."""
    with peer(once(HEAD + b"\r\n" + body)) as address:
        assert remote.look(address).problem


def test_an_endless_answer_is_cut() -> None:
    """No more than the bound is read, however fast it comes."""

    def talk(sock: socket.socket, over: threading.Event) -> None:
        sock.sendall(HEAD + b"\r\n")
        while not over.is_set():
            sock.sendall(b"x" * 1_000_000)

    with peer(talk) as address:
        _, text = ask(address, "/ready", timeout=30 * slack())
        assert len(text) == 16 * 1024 * 1024


@pytest.mark.parametrize(
    "words", [("status",), ("status", "--json"), ("health",), ("health", "--ready"), ("restart",)]
)
@pytest.mark.parametrize("body", [b"[]", b'{"pool": 1}', b"[" * 100_000, b"<html>", b"\xff\xfe"])
def test_a_command_meets_a_stranger(words: tuple[str, ...], body: bytes) -> None:
    """It says in one line that this is no service, and never shows a traceback."""
    with peer(once(HEAD + b"\r\n" + body)) as address:
        found = CliRunner().invoke(main, [*words, "--control", str(address)])
    is_an_object = body.startswith(b"{")
    if is_an_object and words in (("status", "--json"), ("restart",)):
        return  # it prints what it got
    assert found.exit_code == 1
    assert isinstance(found.exception, SystemExit)
    assert found.output.startswith("Error: ")
    assert found.output.count("\n") == 1
