"""The stacks of coroutines that wait for Playwright.

An object of the async client is made when the driver's message arrives, in a task of the client's
own; the code that asked for it waits in another. Its stack is found here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from types import CoroutineType, FrameType

_CLIENT = f"{os.sep}playwright{os.sep}"


def waiting_for_playwright(loop: asyncio.AbstractEventLoop) -> list[FrameType]:
    """Return the stack, innermost first, of a task that waits for a call of Playwright's client."""
    for task in asyncio.all_tasks(loop):
        stack = list(_stack(task.get_coro()))
        # The client's own tasks begin in the client; a user's leads into it.
        if stack and not _is_client(stack[0]) and any(map(_is_client, stack)):
            return stack[::-1]
    return []


def _stack(awaited: object) -> Iterator[FrameType]:
    while isinstance(awaited, CoroutineType):
        if awaited.cr_frame is not None:
            yield awaited.cr_frame
        awaited = awaited.cr_await


def _is_client(frame: FrameType) -> bool:
    return _CLIENT in frame.f_code.co_filename
