"""What every test of ours lives under: the guard of law 7, and nothing else.

No test may leave a process, a thread, a descriptor or a temporary file behind. We are a leak
detector; ours come first. Fixtures of a wider scope are set up before the guard's first look and
torn down after its last, so what they hold is theirs. The run has a temporary directory of its
own: what lies there is ours, whatever else runs on this machine.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Collection, Iterator
from pathlib import Path

import psutil
import pytest

pytest_plugins = ["pytester"]

_TEMPORARY = pytest.StashKey[tuple[str, str | None]]()


def pytest_configure(config: pytest.Config) -> None:
    """Give this process, and all that it starts, a temporary directory that nobody else uses.

    And ears for Ctrl-C: a shell that puts us in the background, as in ``pytest &`` of a script,
    makes us deaf to it, and with us every child that a test means to interrupt.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # What pytest keeps for a look after the run stays where it always was.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    config.stash[_TEMPORARY] = (tempfile.mkdtemp(prefix="tests-"), os.environ.get("TMPDIR"))
    tempfile.tempdir = os.environ["TMPDIR"] = config.stash[_TEMPORARY][0]


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove that directory."""
    ours, before = config.stash[_TEMPORARY]
    tempfile.tempdir = None
    if before is None:
        del os.environ["TMPDIR"]
    else:
        os.environ["TMPDIR"] = before
    shutil.rmtree(ours, ignore_errors=True)


def _descriptors() -> dict[int, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # the listing's own descriptor
    return found


def _has_children() -> bool:
    """Look whether this process has any: a look at all processes of the machine costs 3 ms."""
    try:
        return any((task / "children").read_bytes() for task in Path("/proc/self/task").iterdir())
    except OSError:  # a thread that has just ended, or a kernel that keeps no such lists
        return True


def _processes(known: Collection[tuple[int, float]] = ()) -> dict[tuple[int, float], str]:
    """Return our descendants, but none of a process in ``known``: what that starts is its own."""
    found: dict[tuple[int, float], str] = {}
    if not _has_children():
        return found
    pending = psutil.Process().children()
    while pending:
        child = pending.pop()
        try:
            identity = (child.pid, child.create_time())
            if identity in known:
                continue
            found[identity] = " ".join(child.cmdline())[:200] or "zombie"
            pending += child.children()
        except psutil.Error:
            continue
    return found


def _files() -> set[str]:
    # Chromium makes such files and removes them when it likes; the browser of a wider scope, too.
    names = os.listdir(tempfile.gettempdir())
    return {name for name in names if not name.startswith(".org.chromium.")}


def _new_threads(before: set[threading.Thread]) -> list[str]:
    # The executor of Playwright's event loop takes its threads as it needs them, and ends with it.
    return [
        thread.name
        for thread in threading.enumerate()
        if thread not in before and not thread.name.startswith("asyncio_")
    ]


def left_behind(
    threads: set[threading.Thread],
    descriptors: dict[int, str],
    processes: dict[tuple[int, float], str],
    files: set[str],
) -> list[str]:
    """Return a sentence for each thing that is here now and was not before."""
    found = [f"thread {name}" for name in _new_threads(threads)]
    found += [
        f"descriptor {number} -> {target}"
        for number, target in _descriptors().items()
        if descriptors.get(number) != target and not target.startswith("/dev/null")
    ]
    found += [f"process {pid}: {what}" for (pid, _), what in _processes(processes).items()]
    found += [f"temporary {name}" for name in sorted(_files() - files)]
    return found


@pytest.fixture(autouse=True)
def leaves_nothing_behind() -> Iterator[None]:
    """Fail a test that leaves something behind, after giving it a moment to go."""
    threads = set(threading.enumerate())
    before = _descriptors(), _processes(), _files()
    yield
    waited = threading.Event()
    found: list[str] = []
    for pause in (0.0, 0.01, 0.05, 0.2, 0.5, 1.0):
        waited.wait(pause)
        found = left_behind(threads, *before)
        if not found:
            break
    if found:
        pytest.fail("left behind: " + "; ".join(found), pytrace=False)
