"""Work that runs beside everything else: none of it ends without being noticed.

Law: whatever ends a task before its time, be it an error, a lack of memory or a cancellation that
nobody here asked for, is reported once, and what the task left half done is mended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

_LONGEST = 500


class Tasks:
    """The tasks of one owner.

    Args:
        failed: called with what failed, and why, in a few words.
    """

    def __init__(self, failed: Callable[[str, str], None]) -> None:
        self._failed = failed
        self._running: set[asyncio.Task[None]] = set()
        self._is_over = False

    def begin(
        self,
        what: str,
        work: Coroutine[Any, Any, None],
        mend: Callable[[str], None] | None = None,
    ) -> asyncio.Task[None]:
        """Run ``work``; if it fails, report ``what``, and have ``mend`` called with the cause."""
        task = asyncio.get_running_loop().create_task(work, name=f"sentinel-{what}")
        self._running.add(task)
        task.add_done_callback(partial(self._ended, what, mend))
        return task

    def cancel(self) -> None:
        """Cut all of it off, which is no failure."""
        self._is_over = True
        for task in list(self._running):
            task.cancel()

    def running(self) -> set[asyncio.Task[None]]:
        """Return what has not ended."""
        return set(self._running)

    def _ended(
        self, what: str, mend: Callable[[str], None] | None, task: asyncio.Task[None]
    ) -> None:
        self._running.discard(task)
        if task.cancelled():
            cause = "" if self._is_over else "it was cancelled"
        else:
            error = task.exception()
            cause = "" if error is None else words(error)
        if not cause:
            return
        self._failed(what, cause)
        if mend is not None:
            try:
                mend(cause)
            except Exception as error:
                self._failed(f"mending {what}", words(error))


def words(error: BaseException) -> str:
    """Return an error in a line."""
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}"[:_LONGEST].removesuffix(": ")
