"""The time a check may take, and how a call of the scenario is cut off that takes more.

A sync call cannot be ended from outside: its thread is inside the call. But while it waits, the
loop of the driver connection turns, so that a task there can look at the page. One whose main
thread does not answer is running a script that nobody waits for any more: the script is ended, and
with it the call. A call that waits by itself, for an element that does not come, has a limit of
its own and is left to it: its error is the test's.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import time
from types import TracebackType
from typing import Any

_ANSWER = 1.0  # seconds in which a page answers that is not busy
_PAUSE = 0.25
_STOPPING = 5.0  # seconds that a page may take to come back after its script was ended


class OutOfTime(Exception):
    """Raised inside a check when its budget is used up; never leaves it."""


class Budget:
    """Seconds that run down from now on."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._started = time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds since the check began."""
        return time.monotonic() - self._started

    @property
    def left(self) -> float:
        """Seconds that remain; negative when the budget is overdrawn."""
        return self.seconds - self.spent

    def check(self) -> None:
        """Raise OutOfTime when nothing remains."""
        if self.left <= 0:
            raise OutOfTime


class Cutter:
    """Cut off what the page runs for a call of the scenario when the budget is used up.

    ``with cutter:`` encloses the call. Without the inside of Playwright that it needs, it does
    nothing.

    Attributes:
        fired: whether something was cut off.
    """

    def __init__(self, session: Any, budget: Budget) -> None:
        self.fired = False
        self._armed = False
        self._impl = getattr(session, "_impl_obj", None)
        self._loop: asyncio.AbstractEventLoop | None = getattr(session, "_loop", None)
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        if self._impl is not None and self._loop is not None and budget.left < math.inf:
            self._timer = self._loop.call_later(max(0.0, budget.left), self._begin)

    def __enter__(self) -> None:
        self._armed = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._armed = False

    def close(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None and self._loop is not None and not self._loop.is_closed():
            self._task.cancel()

    def _begin(self) -> None:
        assert self._loop is not None
        self._task = self._loop.create_task(self._watch())

    async def _watch(self) -> None:
        while not self.fired:
            # What is answered by the main thread, as scripts are run by it.
            if self._armed and not await self._sent("Runtime.getHeapUsage", within=_ANSWER):
                await self._cut()
            await asyncio.sleep(_PAUSE)

    async def _cut(self) -> None:
        if not self._armed:
            return
        self.fired = True
        # Ending one listener's script begins the next listener's, unless scripts are off.
        await self._sent("Emulation.setScriptExecutionDisabled", {"value": True})
        try:
            await self._sent("Runtime.terminateExecution")
            await self._sent("Runtime.getHeapUsage", within=_STOPPING)
        finally:
            await self._sent("Emulation.setScriptExecutionDisabled", {"value": False})

    async def _sent(
        self, method: str, params: dict[str, Any] | None = None, within: float = _ANSWER
    ) -> bool:
        """Send a command, and tell whether an answer came in time; an error is an answer, too."""
        assert self._impl is not None
        arguments: dict[str, Any] = {"method": method, "params": params or {}}
        if takes_timeout(self._impl.send):
            arguments["timeout"] = None
        answer = asyncio.ensure_future(self._impl.send(**arguments))
        answer.add_done_callback(_read)
        done, _ = await asyncio.wait([answer], timeout=within)
        return bool(done)


def takes_timeout(send: Any) -> bool:
    """Tell whether this Playwright's ``CDPSession.send`` can be given a time limit."""
    return "timeout" in inspect.signature(send).parameters


def _read(answer: asyncio.Future[Any]) -> None:
    if not answer.cancelled():
        answer.exception()  # an error that is read keeps asyncio quiet
