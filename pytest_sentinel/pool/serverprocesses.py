"""The processes of one browser server: who they are, and how all of them are ended.

Node leads one process group and the browser another; what either starts belongs to one of the two.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

from pytest_sentinel.memory.processes import ProcessId, identify, is_alive, kill_group, tree

_POLL = 0.01
_REAPED_WITHIN = 5.0  # one that takes longer is stuck in the kernel


class ServerProcesses:
    """What is known of them.

    Attributes:
        server: the Node process.
        browser: the browser's main process; None before it is up, and with an upstream.
    """

    def __init__(self) -> None:
        self.server: ProcessId | None = None
        self.browser: ProcessId | None = None
        self._seen: set[ProcessId] = set()
        self._led: set[ProcessId] = set()  # those of them that lead a process group

    def look(self) -> list[int]:
        """Return the pids of the whole tree, and remember who they are."""
        if self.server is None or not is_alive(self.server):
            return []
        pids = tree(self.server.pid)
        self._seen = {found for pid in pids if (found := identify(pid)) is not None}
        self._led = {process for process in self._seen if _leads(process)}
        return pids

    def leaders(self) -> list[ProcessId]:
        """Return who leads their process groups, the server last: it reaps the others."""
        known = {one for one in (self.browser, self.server) if one is not None}
        # A browser that never came up leads a group, too, but nobody has told its name.
        known |= self._led
        return sorted(known, key=lambda one: one == self.server)

    def signal(self, sig: signal.Signals) -> None:
        """Send ``sig`` to all of them."""
        for leader in self.leaders():
            kill_group(leader, sig)
            if identify(leader.pid) is None:
                # Its leader is gone; a pid is not given out again while a group bears its number.
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(leader.pid, sig)

    async def are_gone(self, within: float) -> bool:
        """Wait ``within`` so many seconds for the end of all that were seen; tell if it came."""
        deadline = asyncio.get_running_loop().time() + within
        while any(is_alive(process) for process in self._seen):
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(_POLL)
        return True

    async def reap(self) -> None:
        """Reap those that became our children when their parents died."""
        for leader in self.leaders():
            await reaped(leader.pid)


def _leads(process: ProcessId) -> bool:
    with suppress(ProcessLookupError):
        return os.getpgid(process.pid) == process.pid
    return False


async def reaped(group: int) -> None:
    """Reap the killed processes of a group that are children of ours, and wait for the last.

    A process looks like a zombie when its first thread has ended, and can be reaped when all have.
    """
    deadline = asyncio.get_running_loop().time() + _REAPED_WITHIN
    # Nothing tells of the end of a last thread.
    while not reap_group(group) and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(_POLL)


def reap_group(group: int) -> bool:
    """Reap the zombies of a process group that are children of ours; tell if no child is left."""
    try:
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False
