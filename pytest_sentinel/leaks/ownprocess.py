"""What this process holds open: threads, children and descriptors.

Reads /proc/self against the notes of ``leaks.acquisitions``; where there is no /proc, only threads
are seen. Whether something is a leak is not decided here.
"""

from __future__ import annotations

import gc
import io
import os
import re
import socket
import sys
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pytest_sentinel.leaks.acquisitions import Acquisitions
from pytest_sentinel.leaks.leftovers import Found
from pytest_sentinel.leaks.origins import Origin

_SELF = "/proc/self"
_DESCRIPTORS = f"{_SELF}/fd"
_TICK = 1 / os.sysconf("SC_CLK_TCK")
_DELETED = " (deleted)"
_BESIDES = ("-wal", "-shm", "-journal")  # what SQLite opens along with a database
# One for the whole process, for as long as it lives.
_HOUSEKEEPERS = ("resource_tracker", "multiprocessing.forkserver")


class OwnProcess(NamedTuple):
    """What was open at one moment."""

    threads: frozenset[threading.Thread] = frozenset()
    children: frozenset[int] = frozenset()
    descriptors: frozenset[str] = frozenset()


def threads(known: OwnProcess) -> Iterator[Found]:
    """Yield the threads that run and are not known."""
    for thread in threading.enumerate():
        if thread not in known.threads and not isinstance(thread, threading._DummyThread):
            origin = getattr(thread, "_sentinel_origin", None)
            key = _common(thread.name)
            yield Found("thread", repr(thread.name), origin, thread, None, key)


def processes(notes: Acquisitions, known: OwnProcess, ours: Collection[int]) -> Iterator[Found]:
    """Yield the children that are neither known nor ours, those not waited for included."""
    for pid in children():
        if pid in known.children or pid in ours:
            continue
        command = _command(pid)
        if any(name in command for name in _HOUSEKEEPERS):
            continue
        alive, origin = notes.processes.get(pid, (lambda: None, None))
        subject = alive() or _by_multiprocessing(pid)
        origin = origin or _forked(notes, pid)
        if "run-driver" in command:
            found = Found("driver", f"Playwright driver, pid {pid}", origin, subject)
        elif command:
            forked = "a fork of this process" if command == _command("self") else command[:60]
            name = getattr(subject, "name", forked)
            found = Found("process", f"{name!r}, pid {pid}", origin, subject)
        else:
            found = Found("zombie", f"pid {pid}, ended but never waited for", origin, subject)
        found.number = pid
        yield found


def is_still_there(one: Found) -> bool:
    """Tell whether a thread, child or descriptor that was found is open even now."""
    if one.kind == "thread":
        return bool(one.subject.is_alive())
    if one.kind == "descriptor":
        return target_of(str(one.number)) == one.what.partition(" -> ")[2]
    return one.number in children()


def descriptors(notes: Acquisitions, known: OwnProcess) -> Iterator[Found]:
    """Yield the descriptors whose number is not known.

    By number alone: one that was closed may come back as another file, but then nothing has grown.
    """
    for name in descriptor_names() - known.descriptors:
        target = target_of(name)
        if not target:
            continue
        number = int(name)
        origin = _opened(notes, number, target)
        what = f"{number} -> {target}"
        yield Found("descriptor", what, origin, None, None, _common(target), number)


def files_and_sockets(numbers: Iterable[int]) -> dict[int, list[Any]]:
    """Return the Python objects behind descriptors. Looks at every object there is: slow."""
    found: dict[int, list[Any]] = {number: [] for number in numbers}
    for one in gc.get_objects():
        # type(), for isinstance() asks the object itself, and proxies answer for others.
        if issubclass(type(one), (io.FileIO, socket.socket)):
            with suppress(ValueError):
                if one.fileno() in found:
                    found[one.fileno()].append(one)
    return found


def children() -> frozenset[int]:
    """Return the pids of this process's children, zombies included."""
    found: set[int] = set()
    with suppress(OSError):
        for task in os.listdir(f"{_SELF}/task"):
            with suppress(OSError):
                listed = Path(f"{_SELF}/task/{task}/children").read_text()
                found.update(map(int, listed.split()))
    return frozenset(found)


def descriptor_names() -> frozenset[str]:
    """Return the numbers of the open descriptors, as text."""
    with suppress(OSError):
        # The listing has a descriptor of its own, the lowest that is free: this one.
        lowest = os.dup(2)
        os.close(lowest)
        return frozenset(os.listdir(f"{_SELF}/fd")) - {str(lowest)}
    return frozenset()


def descriptor_mark() -> tuple[int, int] | None:
    """Return how many descriptors are open and which is the lowest free one.

    It costs a tenth of a list of them. None where the kernel (before Linux 6.2) does not count.
    """
    try:
        count = os.stat(_DESCRIPTORS).st_size
        lowest = os.dup(2)
    except OSError:
        return None
    os.close(lowest)
    return (count, lowest) if count else None


def target_of(name: str) -> str:
    """Return what a descriptor leads to; empty when it is closed."""
    with suppress(OSError):
        return os.readlink(f"{_SELF}/fd/{name}")
    return ""


def _opened(notes: Acquisitions, number: int, target: str) -> Origin | None:
    if target.startswith("pipe:"):
        with suppress(OSError):
            return notes.pipes.get(os.fstat(number).st_ino)
        return None
    if target.startswith("socket:"):
        for one, origin in notes.live_sockets():
            if one.fileno() == number:
                return origin
        return None
    path = target.removesuffix(_DELETED)
    for suffix in _BESIDES:
        path = path.removesuffix(suffix)
    found = notes.files.get(path)
    if found is None and target.endswith(_DELETED):
        found = notes.files.get(os.path.dirname(path))  # a temporary file that never had a name
    if found is None and path.startswith("/"):
        links = (noted for name, noted in list(notes.files.items()) if _leads_to(name, path))
        found = next(links, None)
    return found


def _leads_to(name: str, path: str) -> bool:
    return os.path.basename(name) == os.path.basename(path) and os.path.realpath(name) == path


def _forked(notes: Acquisitions, pid: int) -> Origin | None:
    """Return the origin of a child without a note of its own: the last fork before its birth."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    born = (int(after_name[19]) + 1) * _TICK
    return next((origin for at, origin in reversed(notes.forks) if at <= born), None)


def _by_multiprocessing(pid: int) -> Any:
    module = sys.modules.get("multiprocessing.process")
    listed = list(getattr(module, "_children", ()))
    return next((one for one in listed if getattr(one, "pid", None) == pid), None)


def _command(pid: int | str) -> str:
    with suppress(OSError):
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
        return arguments.decode(errors="replace").strip()
    return ""


def _common(name: str) -> str:
    return re.sub(r"[0-9]+", "#", name)
