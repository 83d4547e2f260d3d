"""Who a process is and whose child, as real ones live and die."""

from __future__ import annotations

import os
import signal
import subprocess
import textwrap
from collections.abc import Iterator

import pytest

from pytest_sentinel.memory import processes
from pytest_sentinel.memory.processes import (
    ProcessId,
    ProcessTable,
    children_of,
    identify,
    is_alive,
    kill_group,
    state,
    tree,
)
from tests.faults.children import PARENT_OF_ONE, Child, Run, programs, said, tell, until


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


@pytest.fixture(params=["proc", "psutil"])
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test once on /proc and once on psutil, as on a system without /proc."""
    if request.param == "psutil":
        monkeypatch.setattr(processes, "HAS_PROC", False)
        monkeypatch.setattr(processes, "_HAS_ROLLUP", False)
    return str(request.param)


def test_identity_and_state_follow_a_process_from_life_to_death(source: str, child: Child) -> None:
    """A live process is identified and alive; killed it is a zombie, reaped it is nobody."""
    identity = identify(child.pid)
    assert identity is not None
    assert identity == identify(child.pid)
    assert is_alive(identity)
    until(lambda: state(child.pid) == "S")

    child.process.send_signal(signal.SIGKILL)
    until(lambda: state(child.pid) == "Z")
    assert identify(child.pid) == identity
    assert not is_alive(identity)

    child.process.wait()
    assert state(child.pid) is None
    assert identify(child.pid) is None
    assert not is_alive(identity)


def test_a_pid_that_cannot_be_is_nobody(source: str) -> None:
    """A negative pid has no identity and no state."""
    assert identify(-1) is None
    assert state(-1) is None


def test_a_stopped_process_is_in_state_t(source: str, child: Child) -> None:
    """SIGSTOP shows as T while the process still counts as alive, and SIGCONT ends it."""
    child.process.send_signal(signal.SIGSTOP)
    until(lambda: state(child.pid) == "T")
    identity = identify(child.pid)
    assert identity is not None
    assert is_alive(identity)

    child.process.send_signal(signal.SIGCONT)
    until(lambda: state(child.pid) == "S")


def test_the_same_pid_with_another_start_is_another_process(child: Child) -> None:
    """An identity that differs in its start time is not alive and is not killed."""
    identity = identify(child.pid)
    assert identity is not None
    earlier = ProcessId(child.pid, identity.started - 1)

    assert not is_alive(earlier)
    assert kill_group(earlier) is False
    assert is_alive(identity)


def test_a_tree_holds_root_and_descendants_parents_first(source: str, run: Run) -> None:
    """The tree of a parent of one is both, and children_of names the one."""
    parent = run(PARENT_OF_ONE)
    only = int(said(parent))

    assert tree(parent.pid) == [parent.pid, only]
    assert children_of(parent.pid) == [only]
    assert parent.pid in children_of(os.getpid())


def test_the_tree_of_a_process_that_is_gone_is_empty(source: str, child: Child) -> None:
    """A reaped root has no tree, no children and no identity in the table."""
    child.kill()
    table = ProcessTable()
    table.refresh()

    assert table.descendants(child.pid) == []
    assert table.children(child.pid) == []
    assert table.identify(child.pid) is None


PARENT_THAT_IS_TOLD = """
    import subprocess, sys
    sys.stdin.readline()
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    print(child.pid, flush=True)
    sys.stdin.readline()
    child.kill()
    child.wait()
    print("dead", flush=True)
    sys.stdin.read()
    """
"""Has a child when it is told, and none when it is told again."""


def test_a_table_learns_of_births_and_deaths(run: Run) -> None:
    """A refresh adds the process born since the last one and drops the one that died."""
    parent = run(PARENT_THAT_IS_TOLD)
    table = ProcessTable()
    table.refresh()
    assert table.descendants(parent.pid) == [parent.pid]
    assert table.identify(parent.pid) == identify(parent.pid)

    tell(parent)
    only = int(said(parent))
    table.refresh()
    assert table.descendants(parent.pid) == [parent.pid, only]

    tell(parent)
    assert said(parent) == "dead"
    table.refresh()
    assert table.descendants(parent.pid) == [parent.pid]


def test_a_glimpse_sees_a_birth_that_no_refresh_has_seen(run: Run) -> None:
    """A child of a known process is in it at once; the table itself stays as it was."""
    parent = run(PARENT_THAT_IS_TOLD)
    table = ProcessTable()
    assert table.glimpse(parent.pid) == [parent.pid]  # of a root not known it asks all there are

    tell(parent)
    only = int(said(parent))
    assert table.glimpse(parent.pid) == [parent.pid, only]
    assert table.descendants(parent.pid) == [parent.pid]


def test_an_orphan_is_found_at_its_new_parent(run: Run) -> None:
    """When a parent in the middle dies, the next refresh finds its child where it was handed."""
    root = run(
        f"""
        import ctypes, subprocess, sys
        PR_SET_CHILD_SUBREAPER = 36
        assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
        middle = subprocess.Popen(
            [sys.executable, "-c", {textwrap.dedent(PARENT_OF_ONE)!r}],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        print(middle.pid, int(middle.stdout.readline()), flush=True)
        sys.stdin.readline()
        middle.kill()
        middle.wait()
        print("dead", flush=True)
        sys.stdin.read()
        """
    )
    middle, leaf = map(int, said(root).split())
    table = ProcessTable()
    table.refresh()
    assert table.descendants(root.pid) == [root.pid, middle, leaf]

    tell(root)
    assert said(root) == "dead"
    table.refresh()

    assert table.descendants(root.pid) == [root.pid, leaf]


REUSE = """
    import os, signal, threading, time
    from pytest_sentinel.memory.processes import ProcessTable, identify, is_alive

    def spawn():
        pid = os.fork()
        if pid == 0:
            signal.pause()
        return pid

    def next_pid(pid):
        with open("/proc/sys/kernel/ns_last_pid", "w") as last:
            last.write(str(pid - 1))

    def parent():
        # A process that forks once when it is signalled.
        ready, told = os.pipe()
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGUSR1, lambda *_: None)
            os.write(told, b"r")
            signal.pause()
            os.write(told, b"%d" % spawn())
            signal.pause()
        os.read(ready, 1)
        return pid, ready

    other, answer = parent()
    next_pid(1000)
    first = spawn()
    next_pid(5000)
    spawn()
    table = ProcessTable()
    table.refresh()
    old = table.identify(first)
    assert old == identify(first) and is_alive(old)
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    while time.clock_gettime(time.CLOCK_BOOTTIME) * 100 < old.started + 2:
        threading.Event().wait(0.01)

    # As when pids have gone up to the greatest and begun again.
    next_pid(first)
    os.kill(other, signal.SIGUSR1)
    second = int(os.read(answer, 20))
    table.refresh()

    assert second == first, "the pid was not reused"
    assert not is_alive(old)
    assert table.identify(first) == identify(first) != old
    assert table.children(other) == [first]
    assert first not in table.children(os.getpid())
    print("ok", flush=True)
"""


def test_a_reused_pid_is_seen_as_a_new_process(run: Run) -> None:
    """In a table that knew the pid, its next bearer has its own identity and its own parent."""
    unshare = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no pid namespace of our own can be made here")

    program = run(REUSE, *unshare)

    assert said(program) == "ok"
    assert program.wait(timeout=30) == 0
