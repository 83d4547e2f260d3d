"""The wire to a Node.js program, with a real one at its other end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pytest_sentinel.driver import find_driver
from pytest_sentinel.pool.channel import ENVIRON, Channel
from tests import loops
from tests.runs import slack

ECHO = """
process.on('message', ({ number, text }, socket) => {
  if (socket) socket.end(text);
  process.send({ number, size: text.length });
});
process.on('disconnect', () => process.exit(0));
"""


class Talk:
    """A program that answers every message, and what it has said."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.lost = 0
        self.channel = Channel(self.heard.put_nowait, self._lose)
        driver = find_driver(dict(os.environ))
        assert driver is not None
        self.process = subprocess.Popen(
            [driver.node, "-e", ECHO],
            stdin=self.channel.theirs.fileno(),
            env={**os.environ, **ENVIRON},
        )
        self.channel.begin()

    def _lose(self) -> None:
        self.lost += 1

    async def hear(self) -> dict[str, Any]:
        """Return the next thing that it says."""
        return await asyncio.wait_for(self.heard.get(), 20 * slack())


@asynccontextmanager
async def talk() -> AsyncIterator[Talk]:
    """A program; afterwards it has ended by itself, because the wire is gone."""
    found = Talk()
    try:
        yield found
    finally:
        found.channel.close()
        found.channel.close()
        try:
            assert await asyncio.to_thread(found.process.wait, 10) in (0, -signal.SIGKILL)
        finally:
            found.process.kill()
            found.process.wait()
    assert found.lost == 1


def test_messages_arrive_whole_and_in_order() -> None:
    """Small ones and such as are larger than what the system holds at once."""

    async def run() -> None:
        async with talk() as here:
            sizes = [0, 1, 70_000, 3, 2_000_000, 5]
            for number, size in enumerate(sizes):
                here.channel.say({"number": number, "text": "x" * size})
            for number, size in enumerate(sizes):
                assert await here.hear() == {"number": number, "size": size}

    loops.run(run())


def test_a_socket_goes_with_its_message() -> None:
    """Behind messages that do not fit yet, to a program that stands still: nothing is mixed up."""

    async def run() -> None:
        async with talk() as here:
            here.channel.say({"number": 0, "text": "up"})
            await here.hear()
            os.kill(here.process.pid, signal.SIGSTOP)
            ends = []
            for number in range(1, 9):
                here.channel.say({"number": -number, "text": "x" * 100_000})
                ours, passed = socket.socketpair()
                with passed:
                    here.channel.say({"number": number, "text": f"to {number}"}, passed)
                ends.append(ours)
            os.kill(here.process.pid, signal.SIGCONT)
            said = [(await here.hear())["number"] for _ in range(16)]
            assert said == [sign * number for number in range(1, 9) for sign in (-1, 1)]
            for number, end in enumerate(ends, 1):
                with end:
                    end.settimeout(10 * slack())
                    assert end.makefile().read() == f"to {number}"

    loops.run(run())


def test_what_was_not_sent_is_let_go() -> None:
    """A socket in the queue is closed with the wire: its other end sees that."""

    async def run() -> None:
        async with talk() as here:
            here.channel.say({"number": 0, "text": "up"})
            await here.hear()
            os.kill(here.process.pid, signal.SIGSTOP)
            here.channel.say({"number": 1, "text": "x" * 1_000_000})
            ours, passed = socket.socketpair()
            with passed:
                here.channel.say({"number": 2, "text": ""}, passed)
            here.channel.close()
            with ours:
                ours.settimeout(10 * slack())
                assert ours.recv(1) == b""
            os.kill(here.process.pid, signal.SIGKILL)

    loops.run(run())


def test_a_program_that_dies_is_noticed() -> None:
    """The wire closes by itself, and says so to whoever speaks on."""

    async def run() -> None:
        async with talk() as here:
            here.channel.say({"number": 0, "text": "up"})
            await here.hear()
            assert here.channel.is_open
            here.process.kill()
            async with asyncio.timeout(10 * slack()):
                while here.channel.is_open:  # noqa: ASYNC110 - a process ends
                    await asyncio.sleep(0.01)
            with pytest.raises(ConnectionError, match="gone"):
                here.channel.say({"number": 1, "text": ""})

    loops.run(run())
