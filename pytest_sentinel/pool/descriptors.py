"""How many descriptors this process may have, and who gets how many of them.

The ports share what is left when browsers, leases and the process itself have theirs; the lease
port leaves some of that to the control port.
"""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass

_ENOUGH = 65_536
_FOR_ITSELF = 40  # files that are read for a moment, threads, a log, what is just being closed
_PER_BROWSER = 8  # its channel and its output; for a moment, those of the child that begins
_PER_LEASE = 2  # the hold on a connection that was passed on, and the watch over it
_LEAST_CLIENTS = 8


def raise_limit() -> int:
    """Raise the limit of this process as far as it may; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < most:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        except (OSError, ValueError):  # as in some sandboxes
            return soft
        return most
    return _ENOUGH if soft == resource.RLIM_INFINITY else soft


def in_use() -> int:
    """Return how many descriptors this process has; a guess where nothing tells."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return _FOR_ITSELF


@dataclass(frozen=True, slots=True)
class Share:
    """How many connections each port may have; ``needed`` is the least good limit."""

    leases: int
    control: int
    needed: int


def share(limit: int, used: int, browsers: int, slots: int) -> Share:
    """Divide ``limit`` descriptors, of which ``used`` are taken before the ports open.

    Args:
        limit: what the process may have.
        used: what it has at its start.
        browsers: server processes that there may be at once.
        slots: leases that there may be at once.
    """
    reserve = _FOR_ITSELF + browsers * _PER_BROWSER + slots * _PER_LEASE
    control = min(500, max(16, limit // 10))
    needed = used + reserve + control
    least = _LEAST_CLIENTS + slots
    return Share(max(limit - needed, least), control, needed + least)
