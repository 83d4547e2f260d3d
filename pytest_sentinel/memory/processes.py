"""Processes: who they are, whose children they are, what memory they hold, and how to end them.

Laws: a process is (pid, start time), for pids are reused; RSS is never summed, because
Chromium's processes share pages: PSS is the total of a tree, USS what a kill would free.
Numbers come from /proc; where there is none, psutil answers the same questions more slowly.
Watching over time belongs in sampler.py, budgets in limits.py. No thread and no opinion here.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

HAS_PROC = os.path.exists("/proc/self/stat")

_HAS_ROLLUP = os.path.exists("/proc/self/smaps_rollup")
_HAS_CHILDREN = os.path.exists(f"/proc/self/task/{os.getpid()}/children")
_ROLLUP_LINE = re.compile(rb"^(Pss|Private_Clean|Private_Dirty): +(\d+) kB", re.MULTILINE)
_PAGE = os.sysconf("SC_PAGE_SIZE")
_UNREADABLE = (FileNotFoundError, ProcessLookupError, psutil.Error)


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process, not to be mistaken for a later one that was given the same pid.

    Attributes:
        pid: the process id.
        started: start time in clock ticks since boot; without /proc, in 1/100 s since 1970.
    """

    pid: int
    started: int


@dataclass(frozen=True, slots=True)
class MemoryReading:
    """What a set of processes held at one moment.

    Attributes:
        pss: bytes, shared pages divided among those who share them; may be summed.
        uss: bytes that belong to these processes alone, each counted by itself.
        processes: how many processes could be read.
        at: ``time.monotonic()`` when the reading began.
    """

    pss: int
    uss: int
    processes: int
    at: float


@dataclass(frozen=True, slots=True)
class _Stat:
    state: str
    parent: int
    started: int


def identify(pid: int) -> ProcessId | None:
    """Return the identity of the process that has ``pid`` now, zombies included."""
    stat = _stat(pid)
    return None if stat is None else ProcessId(pid, stat.started)


def state(pid: int) -> str | None:
    """Return the state letter of ``pid`` (R, S, D, T, Z, ...), or None when it is gone."""
    stat = _stat(pid)
    return None if stat is None else stat.state


def is_alive(identity: ProcessId) -> bool:
    """Tell whether this very process still runs; a zombie or a reused pid does not count."""
    return living_state(identity) is not None


def living_state(identity: ProcessId) -> str | None:
    """Return the state letter of this very process, or None when it does not run any more."""
    stat = _stat(identity.pid)
    if stat is None or stat.started != identity.started or stat.state in "ZX":
        return None
    return stat.state


class ProcessTable:
    """All processes with their parents, brought up to date at little cost; not thread-safe.

    A refresh lists /proc and reads only processes that it does not know: new ones, those
    whose pid may have been given out anew, and those whose parent is gone. A process that
    is dead but not yet reaped keeps its children until then.
    """

    __slots__ = ("_children", "_known", "_last_pid", "_names")

    def __init__(self) -> None:
        self._known: dict[int, _Stat] = {}
        self._children: dict[int, list[int]] = {}
        self._names: list[str] = []
        self._last_pid = 0

    def refresh(self) -> None:
        """Bring the table up to date."""
        if not HAS_PROC:
            self._known = {pid: row for pid in psutil.pids() if (row := _stat(pid)) is not None}
            self._index()
            return
        # The last pid is read before the listing: a process born in between is then looked
        # at twice rather than never.
        last_pid = int(_slurp("/proc/loadavg").rsplit(None, 1)[1])
        names = os.listdir("/proc")
        if last_pid == self._last_pid and names == self._names:
            return
        known = self._known
        present = set(map(int, filter(str.isdigit, names)))
        changed = known.keys() - present
        for pid in changed:
            del known[pid]
        # Of some hundred processes one or two are news: only they are looked at singly.
        news = present - known.keys()
        news.update(pid for pid in present if _given_out(pid, self._last_pid, last_pid))
        for pid in news:
            self._read(pid)
        changed |= news
        if changed:
            for pid, stat in list(known.items()):
                parent = known.get(stat.parent)
                # Parents are older than their children. Anything else is a parent that died:
                # its pid is unused or another's, and the child has a new parent.
                if stat.parent and (parent is None or parent.started > stat.started):
                    self._read(pid)
            self._index()
        self._names, self._last_pid = names, last_pid

    def identify(self, pid: int) -> ProcessId | None:
        """Return the identity that ``pid`` had at the last refresh."""
        stat = self._known.get(pid)
        return None if stat is None else ProcessId(pid, stat.started)

    def children(self, pid: int) -> list[int]:
        """Return the pids of the direct children of ``pid`` at the last refresh."""
        return list(self._children_of(pid))

    def descendants(self, root: int) -> list[int]:
        """Return ``root`` and all its descendants, parents first; nothing when it is gone."""
        if root not in self._known:
            return []
        return _descend(root, self._children_of)

    def glimpse(self, root: int) -> list[int]:
        """Return what ``descendants`` would after a refresh, nearly, at a third of its cost.

        What is gone may be in it, and what a known process has started since from another thread
        than its first may not. Good to see that memory moved; refresh before anything is reported.
        """
        if root not in self._known or not _HAS_CHILDREN:
            self.refresh()
            return self.descendants(root)
        return _descend(root, lambda pid: [*self._children_of(pid), *_first_threads_children(pid)])

    def _children_of(self, pid: int) -> Sequence[int]:
        return self._children.get(pid, ())

    def _read(self, pid: int) -> None:
        stat = _stat(pid)
        if stat is None:
            self._known.pop(pid, None)
        else:
            self._known[pid] = stat

    def _index(self) -> None:
        children: dict[int, list[int]] = {}
        for pid, stat in self._known.items():
            if stat.parent in children:
                children[stat.parent].append(pid)
            else:
                children[stat.parent] = [pid]
        self._children = children


def tree(root: int) -> list[int]:
    """Return the pids of ``root`` and all its descendants; keep a ProcessTable to ask often."""
    table = ProcessTable()
    table.refresh()
    return table.descendants(root)


def children_of(pid: int) -> list[int]:
    """Return the pids of the direct children of ``pid``, zombies included."""
    table = ProcessTable()
    table.refresh()
    return table.children(pid)


def read_memory(pids: Iterable[int]) -> MemoryReading | None:
    """Return PSS and USS summed over ``pids``, or None when none of them could be read.

    Processes that vanish meanwhile are left out. Where another user's process may not be
    looked into, its resident memory without shared pages stands for both numbers.
    """
    at = time.monotonic()
    found = [memory for memory in map(_pss_and_uss, pids) if memory is not None]
    if not found:
        return None
    return MemoryReading(
        pss=sum(pss for pss, _ in found),
        uss=sum(uss for _, uss in found),
        processes=len(found),
        at=at,
    )


def cheap_footprint(pids: Iterable[int]) -> int:
    """Return roughly how many bytes ``pids`` hold for themselves, at some 10 us a process.

    Resident minus shared pages, from statm: good to see that memory moved, never to be
    reported. Pages that a forked process shares with its parent are counted in both, and
    some kernels keep these counters per CPU and are off by a few MiB.
    """
    return sum(map(_resident_alone, pids))


def wait_gone(identities: Iterable[ProcessId], timeout: float) -> list[ProcessId]:
    """Wait up to ``timeout`` seconds for these processes to end; return those still alive."""
    deadline = time.monotonic() + timeout
    pause = 0.001
    never = threading.Event()
    alive = [identity for identity in identities if is_alive(identity)]
    while alive and (left := deadline - time.monotonic()) > 0:
        never.wait(min(pause, left))
        pause = min(pause * 2, 0.05)
        alive = [identity for identity in alive if is_alive(identity)]
    return alive


def kill_group(identity: ProcessId, sig: int = signal.SIGKILL) -> bool:
    """Signal the process group that this process leads, or it alone when it leads none.

    Our own group is never signalled as a whole. Returns False, having done nothing, when the
    process is gone or its pid is another's; a zombie still leads the others of its group.
    """
    if identify(identity.pid) != identity:
        return False
    try:
        group = os.getpgid(identity.pid)
        if group == identity.pid and group != os.getpgrp():
            os.killpg(group, sig)
        else:
            os.kill(identity.pid, sig)
    except ProcessLookupError:
        return False
    return True


def leads_group(identity: ProcessId) -> bool:
    """Tell whether a process leads the process group that it is in."""
    with suppress(ProcessLookupError):
        return os.getpgid(identity.pid) == identity.pid
    return False


def kill_leaderless(identity: ProcessId, sig: int = signal.SIGKILL) -> None:
    """Signal what is left of the group that this process led, when it is gone itself.

    A pid is not given out again while a group bears its number.
    """
    if identify(identity.pid) is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(identity.pid, sig)


def _slurp(path: str) -> bytes:
    # A plain open() builds three Python objects and takes twice as long.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 4096)
    finally:
        os.close(descriptor)


def _descend(root: int, below: Callable[[int], Sequence[int]]) -> list[int]:
    """Return ``root`` and all below it, parents first."""
    found = [root]
    seen = {root}
    for pid in found:
        # Children are read at different moments: a circle is unlikely but not impossible, and one
        # may be named twice.
        for child in below(pid):
            if child not in seen:
                seen.add(child)
                found.append(child)
    return found


def _first_threads_children(pid: int) -> list[int]:
    try:
        return list(map(int, _slurp(f"/proc/{pid}/task/{pid}/children").split()))
    except _UNREADABLE:
        return []


def _stat(pid: int) -> _Stat | None:
    try:
        if not HAS_PROC:
            return _stat_by_psutil(psutil.Process(pid))
        # The command's name may hold spaces and brackets; fields count from the last bracket.
        fields = _slurp(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    except (*_UNREADABLE, ValueError):
        return None
    return _Stat(fields[0].decode(), int(fields[1]), int(fields[19]))


def _stat_by_psutil(process: psutil.Process) -> _Stat:
    with process.oneshot():
        status = process.status()
        letter = {"stopped": "T", "dead": "X"}.get(status, status[0].upper())
        return _Stat(letter, process.ppid(), int(process.create_time() * 100))


def _given_out(pid: int, before: int, now: int) -> bool:
    """Tell whether ``pid`` was given to a new process while the last pid moved to ``now``.

    Pids are handed out upwards and begin again at the bottom after the greatest.
    """
    return before < pid <= now if before <= now else pid > before or pid <= now


def _pss_and_uss(pid: int) -> tuple[int, int] | None:
    try:
        with suppress(PermissionError):
            if _HAS_ROLLUP:
                rollup = dict(_ROLLUP_LINE.findall(_slurp(f"/proc/{pid}/smaps_rollup")))
                private = int(rollup[b"Private_Clean"]) + int(rollup[b"Private_Dirty"])
                return int(rollup[b"Pss"]) * 1024, private * 1024
        full = psutil.Process(pid).memory_full_info()
        return getattr(full, "pss", full.uss), full.uss
    except psutil.AccessDenied:
        alone = _resident_alone(pid)
        return (alone, alone) if alone else None
    except _UNREADABLE:
        return None


def _resident_alone(pid: int) -> int:
    try:
        if HAS_PROC:
            _, resident, shared, *_ = _slurp(f"/proc/{pid}/statm").split()
            return (int(resident) - int(shared)) * _PAGE
        memory = psutil.Process(pid).memory_info()
        return memory.rss - getattr(memory, "shared", 0)
    except _UNREADABLE:
        return 0
