"""Run code of a locustfile so that nothing it does ends more than itself.

It may raise what it likes, start tasks and forget them, call ``sys.exit()`` in one, or block the
event loop that all users of a sidecar share. Law: each call of ``play`` ends with what was raised,
and leaves no task behind that can be ended.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Final, TypeVar

from pytest_sentinel.errors import ScenarioBlocked

BLOCKED_FOR: Final = 10.0  # seconds, and the scenario is interrupted
_BEAT: Final = 0.25
_LOOK_EVERY: Final = 0.5
_NOTICED_AFTER: Final = 1.0
_ENDED_WITHIN: Final = 2.0
_MOST_PLACES: Final = 50

_T = TypeVar("_T")

log = logging.getLogger("pytest_sentinel.load")


@dataclass(eq=False)
class _Playing:
    """What a scenario has started."""

    tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    async def end(self) -> None:
        """Cancel the tasks that still run: their page is about to be closed."""
        left = {task for task in self.tasks if not task.done()}
        for task in left:
            task.cancel()
        if left:
            _, left = await asyncio.wait(left, timeout=_ENDED_WITHIN)
        for task in left:
            log.warning("a task goes on after its iteration was over: %s", task.get_name())


# Tasks and callbacks inherit it; what serves several iterations is started without it.
_current: ContextVar[_Playing | None] = ContextVar("pytest_sentinel_playing", default=None)


async def play(function: Callable[..., Any], *arguments: Any) -> BaseException | None:
    """Call what a locustfile wrote, await what that makes, and return what was raised."""
    playing, raised = _Playing(), None
    before = _current.set(playing)
    try:
        made = function(*arguments)
        if inspect.isawaitable(made):
            await made
    except BaseException as error:
        raised = error
        if isinstance(error, RuntimeError) and isinstance(error.__cause__, StopIteration):
            raised = error.__cause__  # no coroutine may raise it, and Python has changed it
    finally:
        _current.reset(before)
    await playing.end()
    return raised


def is_playing() -> bool:
    """Tell whether code of a scenario has called, or a task or callback that it started."""
    return _current.get() is not None


def run(main: Coroutine[Any, Any, None], escaped: Callable[[], object]) -> bool:
    """Run a coroutine to its end, as ``asyncio.run`` does, whatever a task of it raises.

    A ``SystemExit`` in a task or callback ends a loop; this one goes on. At its end, tasks and
    threads that do not end are left behind; returns whether there are none.

    Args:
        main: the coroutine.
        escaped: called when no task of a scenario raised it: whatever did, such as Playwright's
            reader, is dead.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.set_task_factory(_make_task)
    try:
        _complete(loop, loop.create_task(main), escaped)
    finally:
        is_clean = _complete(loop, loop.create_task(_clean_up()), lambda: None)
        asyncio.set_event_loop(None)
        loop.close()
    return is_clean


def _complete(
    loop: asyncio.AbstractEventLoop, task: asyncio.Task[_T], escaped: Callable[[], object]
) -> _T:
    while not task.done():
        try:
            loop.run_until_complete(task)
        except RuntimeError as error:
            if task.done():
                raise
            log.warning("a scenario stopped the event loop: %s", error)
        except (SystemExit, KeyboardInterrupt) as error:
            if task.done():
                raise
            if error in _raised:
                _raised.remove(error)
                log.warning("a task of a scenario raised %r", error)
            else:
                log.exception("a callback raised it; it may have been one of Playwright's")
                escaped()
    return task.result()


async def _clean_up() -> bool:
    """Cancel all tasks, and wait for them and for the threads of ``to_thread``, within bounds."""
    loop = asyncio.get_running_loop()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        _, left = await asyncio.wait(left, timeout=_ENDED_WITHIN)
    ending = asyncio.ensure_future(loop.shutdown_default_executor())
    await asyncio.wait({ending}, timeout=_ENDED_WITHIN)
    return not left and ending.done()


_raised: list[BaseException] = []


def _make_task(loop: asyncio.AbstractEventLoop, work: Any, **how: Any) -> asyncio.Task[Any]:
    playing = _current.get()
    if playing is None:
        return asyncio.Task(work, loop=loop, **how)
    task = asyncio.Task(_noting(work), loop=loop, **how)
    playing.tasks.add(task)
    task.add_done_callback(playing.tasks.discard)
    return task


async def _noting(work: Any) -> Any:
    try:
        return await work
    except (SystemExit, KeyboardInterrupt) as error:
        _raised.append(error)
        raise


class Watchdog:
    """Interrupts a scenario that does not let the event loop go on, and says where it did not.

    A thread looks; a signal makes the main thread stop what it does, also a ``time.sleep``. Code
    that ignores signals, such as a regular expression that never ends, it cannot reach.

    Args:
        limit: seconds.
    """

    def __init__(self, limit: float = BLOCKED_FOR) -> None:
        self._limit = limit
        self._beats = self._seen = 0
        self._missed = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="sentinel-watchdog", daemon=True)
        self._places: set[str] = set()

    def start(self) -> None:
        """Watch the running loop of the main thread."""
        # Nobody is hurt by this one where the handler is not set (yet): it is ignored then.
        signal.signal(signal.SIGURG, self._interrupt)
        self._beat(asyncio.get_running_loop())
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer."""
        self._over.set()
        self._thread.join()
        signal.signal(signal.SIGURG, signal.SIG_IGN)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._beats += 1
        if not self._over.is_set():
            loop.call_later(_BEAT, self._beat, loop)

    def _look(self) -> None:
        # Looks are counted, not seconds: a process that was stopped for a while missed one.
        while not self._over.wait(_LOOK_EVERY):
            beats = self._beats
            self._missed = self._missed + 1 if beats == self._seen else 0
            self._seen = beats
            if self._missed * _LOOK_EVERY >= _NOTICED_AFTER:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGURG)

    def _interrupt(self, _: int, frame: FrameType | None) -> None:
        if self._beats != self._seen:
            return
        where, blocked = _place_of(frame), self._missed * _LOOK_EVERY
        if blocked >= self._limit and _current.get() is not None:
            raise ScenarioBlocked(where, blocked)
        if where not in self._places and len(self._places) < _MOST_PLACES:
            self._places.add(where)
            log.warning(
                "%s blocks the event loop: all browser users of this worker wait; "
                "await asyncio.sleep(), or asyncio.to_thread() for what is not async",
                where,
            )


def _place_of(frame: FrameType | None) -> str:
    """Return the innermost line that no library wrote."""
    found = frame
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(("<", sys.base_prefix, sys.prefix)) and "site-packages" not in file:
            found = frame
            break
        frame = frame.f_back
    if found is None:
        return "code without a frame"
    return f"{found.f_code.co_filename}:{found.f_lineno} in {found.f_code.co_name}"
