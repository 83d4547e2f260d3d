"""What every test of ours lives under: the guard of law 7, and nothing else.

No test may leave a process, a thread, a descriptor or a temporary directory behind. We are a leak
detector; ours come first. Fixtures of a wider scope are set up before the guard's first look and
torn down after its last, so what they hold is theirs.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

pytest_plugins = ["pytester"]

_PREFIXES = ("playwright", "sentinel", "pytest-sentinel")


def _descriptors() -> dict[int, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # the listing's own descriptor
    return found


def _processes() -> dict[tuple[int, float], str]:
    found = {}
    for child in psutil.Process().children(recursive=True):
        try:
            found[(child.pid, child.create_time())] = " ".join(child.cmdline())[:200] or "zombie"
        except psutil.Error:
            continue
    return found


def _directories() -> set[str]:
    names = os.listdir(tempfile.gettempdir())
    return {name for name in names if name.startswith(_PREFIXES)}


def _new_threads(before: set[threading.Thread]) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread not in before]


def left_behind(
    threads: set[threading.Thread],
    descriptors: dict[int, str],
    processes: dict[tuple[int, float], str],
) -> list[str]:
    """Return a sentence for each thing that is here now and was not before."""
    found = [f"thread {name}" for name in _new_threads(threads)]
    found += [
        f"descriptor {number} -> {target}"
        for number, target in _descriptors().items()
        if descriptors.get(number) != target and not target.startswith("/dev/null")
    ]
    found += [
        f"process {pid}: {command}"
        for (pid, created), command in _processes().items()
        if (pid, created) not in processes
    ]
    return found


def _mine(directory: str) -> bool:
    """Tell whether a directory is not in use by another process of this machine."""
    path = Path(tempfile.gettempdir(), directory)
    for process in psutil.process_iter(["cmdline"]):
        if any(str(path) in word for word in process.info["cmdline"] or ()):
            return False
    return path.exists()


@pytest.fixture(autouse=True)
def leaves_nothing_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves something behind, after giving it a moment to go."""
    threads = set(threading.enumerate())
    descriptors, processes = _descriptors(), _processes()
    directories = _directories()
    yield
    waited = threading.Event()
    found: list[str] = []
    for pause in (0.0, 0.01, 0.05, 0.2, 0.5, 1.0):
        waited.wait(pause)
        found = left_behind(threads, descriptors, processes)
        if not found:
            break
    # Under xdist the other worker's browsers come and go in the same temporary directory.
    if "PYTEST_XDIST_WORKER" not in os.environ:
        new = _directories() - directories
        found += [f"directory {name}" for name in sorted(new) if _mine(name)]
    if found and request.node.get_closest_marker("leaves_behind") is None:
        pytest.fail("left behind: " + "; ".join(found), pytrace=False)
