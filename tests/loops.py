"""Run a coroutine from a test, whatever else lives in this process.

The sync Playwright of another test keeps its event loop running in the main thread for the rest of
the run, and a thread has room for one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run ``work`` in an event loop, and a thread, of its own; what it raises is raised here."""
    results: list[Result] = []
    problems: list[BaseException] = []

    def follow() -> None:
        try:
            results.append(asyncio.run(work))
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=follow, name="loop")
    thread.start()
    thread.join()
    if problems:
        raise problems[0]
    return results[0]
