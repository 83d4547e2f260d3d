"""What the machine or container provides for browsers, and what earlier runs left on it.

Each check is a plain function that returns one Finding; roots and folders can be handed in, so
that tests lay out their own. Nothing is launched, ended or removed here.
"""

from __future__ import annotations

import os
import resource
import signal
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from pytest_sentinel.memory import host
from pytest_sentinel.units import MIB, format_size

_LEAST_SHARED_MEMORY = 64 * MIB
_LEAST_MEMORY = 512 * MIB  # a headless browser with a page, its driver and a worker need half
_LEAST_PIDS = 300  # a headless Chromium and its driver have about 100 threads
_LEAST_FILES = 1024
_PROFILES = "playwright_*dev_profile-*"
_BEING_BORN = 60.0  # a profile is made before the process that uses it


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what it is like, and what to do if that is amiss."""

    check: str
    verdict: Literal["ok", "warning", "fault"]
    detail: str
    fix: str = ""


def check_shared_memory(path: str = "/dev/shm") -> Finding:  # noqa: S108 # nosec B108
    """Compare the size of /dev/shm with what Docker gives by default."""
    try:
        status = os.statvfs(path)
    except OSError:
        return Finding("shared memory", "ok", f"no {path}; Playwright's Chromium does without")
    size = status.f_blocks * status.f_frsize
    detail = f"{path} has {format_size(size)}"
    if size >= _LEAST_SHARED_MEMORY:
        return Finding("shared memory", "ok", detail)
    return Finding(
        "shared memory",
        "warning",
        f"{detail}; Playwright's Chromium does without it (--disable-dev-shm-usage), others do not",
        "docker run --shm-size=256m",
    )


def check_memory() -> Finding:
    """Tell this process's memory limit, and whether enough is left for one browser."""
    limit = host.memory_limit()
    left = host.available_memory()
    bound = f"limit {format_size(limit[0])} ({limit[1]})" if limit else "no limit by a cgroup"
    detail = f"{format_size(left)} available, {bound}"
    if left >= _LEAST_MEMORY:
        return Finding("memory", "ok", detail)
    return Finding("memory", "warning", detail, "raise the limit, or run fewer workers (pytest -n)")


def check_reaping(proc: Path = Path("/proc"), zombies: int | None = None) -> Finding:
    """Tell whether PID 1 reaps orphans; without an init, browsers that end leave zombies.

    ``zombies`` are those of PID 1 and of this process, counted when None.
    """
    fix = "docker run --init (or tini as the entry point)"
    if zombies is None:
        zombies = sum(
            process.info["status"] == psutil.STATUS_ZOMBIE
            and process.info["ppid"] in (1, os.getpid())
            for process in psutil.process_iter(["status", "ppid"])
        )
    if zombies:
        detail = f"dead processes that their parent does not reap: {zombies}"
        return Finding("zombies", "warning", detail, fix)
    try:
        status = dict(line.split(":\t", 1) for line in (proc / "1/status").read_text().splitlines())
        # Caught, blocked (to be waited for) or ignored (then the kernel reaps).
        cared_for = any(
            int(status[mask], 16) >> (signal.SIGCHLD - 1) & 1
            for mask in ("SigCgt", "SigBlk", "SigIgn")
        )
    except (OSError, ValueError, LookupError):
        return Finding("zombies", "ok", "none; PID 1 cannot be looked at")
    if cared_for:
        return Finding("zombies", "ok", f"none; PID 1 ({status['Name']}) watches its children")
    detail = f"none yet, but PID 1 ({status['Name']}) does not watch its children"
    return Finding("zombies", "warning", detail, fix)


def check_pids(root: Path = Path("/")) -> Finding:
    """Tell how many more processes and threads the cgroup lets us start."""
    limits = list(_pid_limits(root))
    if not limits:
        return Finding("process limit", "ok", "no limit by a cgroup")
    used, limit, file = min(limits, key=lambda found: found[1] - found[0])
    detail = f"{used} of {limit} processes and threads in use ({file})"
    if limit - used >= _LEAST_PIDS:
        return Finding("process limit", "ok", detail)
    fix = "docker run --pids-limit=2048, or fewer workers (pytest -n)"
    return Finding("process limit", "warning", detail, fix)


def _pid_limits(root: Path) -> Iterator[tuple[int, int, Path]]:
    """Yield usage, limit and file of each cgroup that limits our number of processes."""
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers not in ("", "pids"):
                continue
            top = root / "sys/fs/cgroup" / controllers
            below = Path(path.lstrip("/"))
            for part in (below, *below.parents):
                with suppress(OSError, ValueError):  # ValueError: "max"
                    limit = int((top / part / "pids.max").read_text())
                    used = int((top / part / "pids.current").read_text())
                    yield used, limit, top / part / "pids.max"


def check_open_files() -> Finding:
    """Compare the limit of open files with what a browser and its driver need."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _LEAST_FILES:
        detail = "no limit" if soft == resource.RLIM_INFINITY else f"limit {soft}"
        return Finding("open files", "ok", detail)
    return Finding("open files", "warning", f"limit {soft}", "ulimit -n 4096")


def check_orphans(adopters: Collection[int] = (1,)) -> Finding:
    """Find browsers that Playwright started and nobody owns: children of ``adopters``."""
    with suppress(psutil.Error):
        if any("playwright" in word for word in psutil.Process(1).cmdline()):
            return Finding("orphans", "ok", "PID 1 is a Playwright: its browsers are its own")
    orphans = []
    for process in psutil.process_iter(["cmdline", "ppid"]):
        words = process.info["cmdline"] or ()
        ours = any("dev_profile-" in word and "playwright_" in word for word in words)
        # Renderers and the like have a --type and end with their browser.
        helper = any(word.startswith("--type=") for word in words)
        if ours and not helper and _adopts(process.info["ppid"], adopters):
            orphans.append(process.pid)
    if not orphans:
        return Finding("orphans", "ok", "no browser of an earlier run is alive")
    pids = " ".join(map(str, sorted(orphans)))
    return Finding(
        "orphans",
        "warning",
        f"browsers of earlier runs still alive: {len(orphans)}",
        f"kill {pids}",
    )


def _adopts(parent: int, adopters: Collection[int]) -> bool:
    with suppress(psutil.Error):
        # A user's systemd adopts orphans in the place of PID 1.
        return parent in adopters or psutil.Process(parent).name() == "systemd"
    return False


def check_profiles(folder: Path | None = None) -> Finding:
    """Find profile directories in the temporary folder that no process uses."""
    folder = folder or Path(tempfile.gettempdir())
    born_before = time.time() - _BEING_BORN
    words = {
        word
        for process in psutil.process_iter(["cmdline"])
        for word in process.info["cmdline"] or ()
    }
    stale = []
    for path in folder.glob(_PROFILES):
        with suppress(OSError):
            if path.stat().st_mtime < born_before and not any(str(path) in word for word in words):
                stale.append(path)
    if not stale:
        return Finding("profiles", "ok", f"none left in {folder}")
    return Finding(
        "profiles",
        "warning",
        f"profile directories of earlier runs in {folder}: {len(stale)}",
        f"rm -r {folder}/{_PROFILES} while no browser runs",
    )
