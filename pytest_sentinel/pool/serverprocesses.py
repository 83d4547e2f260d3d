"""The processes of one browser server: who they are, and how all of them are ended.

Node leads one process group and the browser another; what either starts belongs to one of the two.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Collection

from pytest_sentinel.memory.processes import (
    ProcessId,
    identify,
    is_alive,
    kill_group,
    kill_leaderless,
    leads_group,
    tree,
)

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
        self._led = {process for process in self._seen if leads_group(process)}
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
            kill_leaderless(leader, sig)

    async def are_gone(self, within: float) -> bool:
        """Wait ``within`` so many seconds for the end of all that were seen; tell if it came."""
        return await are_gone(self._seen, within)

    async def reap(self) -> None:
        """Reap those that became our children when their parents died."""
        for leader in self.leaders():
            await reaped(leader.pid)


async def are_gone(processes: Collection[ProcessId], within: float) -> bool:
    """Wait ``within`` so many seconds for the end of ``processes``; tell if it came."""
    return await _comes_true(lambda: not any(map(is_alive, processes)), within)


async def reaped(group: int) -> None:
    """Reap the killed processes of a group that are children of ours, and wait for the last.

    A process looks like a zombie when its first thread has ended, and can be reaped when all have.
    """
    await _comes_true(lambda: reap_group(group), _REAPED_WITHIN)


async def _comes_true(condition: Callable[[], bool], within: float) -> bool:
    """Ask again and again: nothing tells of the end of what need not be a child, or of a thread."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while not condition():
        if loop.time() >= deadline:
            return False
        await asyncio.sleep(_POLL)
    return True


def reap_group(group: int) -> bool:
    """Reap the zombies of a process group that are children of ours; tell if no child is left."""
    try:
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False
