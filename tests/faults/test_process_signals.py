"""Waiting for real processes to end, and ending them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from pytest_sentinel.memory import processes
from pytest_sentinel.memory.processes import (
    ProcessId,
    identify,
    is_alive,
    kill_group,
    state,
    wait_gone,
)
from tests.faults.children import PARENT_OF_ONE, Child, Run, programs, said, until


@pytest.fixture
def child() -> Iterator[Child]:
    """A Python process that holds memory on demand."""
    child = Child()
    yield child
    child.kill()


@pytest.fixture
def run() -> Iterator[Run]:
    """Start Python programs, and end them after the test."""
    with programs() as run:
        yield run


def test_waiting_returns_as_soon_as_all_are_gone(child: Child) -> None:
    """wait_gone() returns nobody, and early, when the last of them dies meanwhile."""
    identity = identify(child.pid)
    assert identity is not None
    threading.Timer(0.1, child.process.kill).start()

    began = time.monotonic()
    alive = wait_gone([identity], timeout=30)

    assert alive == []
    assert time.monotonic() - began < 10


def test_waiting_returns_who_is_left(child: Child) -> None:
    """wait_gone() returns those still alive at its time-out, and nobody for an empty list."""
    identity = identify(child.pid)
    assert identity is not None

    assert wait_gone([identity, ProcessId(identity.pid, 1)], timeout=0.05) == [identity]
    assert wait_gone([], timeout=30) == []


def test_a_group_dies_with_its_leader(run: Run) -> None:
    """Killing a leader's group takes its children along, also when only they are left."""
    parent = run(PARENT_OF_ONE)
    only = identify(int(said(parent)))
    leader = identify(parent.pid)
    assert only is not None
    assert leader is not None
    os.kill(parent.pid, signal.SIGKILL)
    until(lambda: state(parent.pid) == "Z")
    assert is_alive(only)

    assert kill_group(leader) is True

    assert wait_gone([leader, only], timeout=10) == []


def test_a_process_that_leads_no_group_is_killed_alone(child: Child) -> None:
    """A child in our own group is killed; we, of the same group, are not."""
    assert os.getpgid(child.pid) == os.getpgrp()
    identity = identify(child.pid)
    assert identity is not None

    assert kill_group(identity, signal.SIGTERM) is True

    assert wait_gone([identity], timeout=10) == []


def test_our_own_group_is_never_signalled_as_a_whole(run: Run) -> None:
    """A leader that signals itself is hit alone; the rest of its group lives on."""
    leader = run(
        """
        import os, signal, subprocess
        from pytest_sentinel.memory.processes import identify, kill_group, state
        hit = []
        signal.signal(signal.SIGUSR1, lambda *_: hit.append(1))
        other = subprocess.Popen(["cat"], stdin=subprocess.PIPE, restore_signals=True)
        assert os.getpgid(other.pid) == os.getpid()
        assert kill_group(identify(os.getpid()), signal.SIGUSR1)
        print(len(hit), other.poll(), flush=True)
        other.communicate()
        """
    )

    assert said(leader) == "1 None"
    assert leader.wait(timeout=30) == 0


def test_a_process_that_ends_just_before_the_signal_is_no_error(
    child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the check and the signal a process may go: nothing is signalled then."""
    identity = identify(child.pid)
    assert identity is not None
    child.kill()
    monkeypatch.setattr(processes, "identify", lambda pid: identity)

    assert kill_group(identity) is False
