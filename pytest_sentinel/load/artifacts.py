"""What failures leave: a screenshot of the first failure of each step name, and a trace.

A trace must be begun before anything fails, and costs. So by default the iterations after a first
failure are traced, until one fails at that step again; see Terms.artifacts.
"""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from typing import Any, Final

_WITHIN: Final = 5.0
_TRIES: Final = 20  # iterations that are traced in the hope of a second failure


class Artifacts:
    """The artifacts of one sidecar; the directory is made when there is something to put in it."""

    def __init__(self, directory: Path, mark: str) -> None:
        self._directory = directory
        self._mark = mark
        self._seen: set[str] = set()
        self._traced: set[str] = set()
        self._armed: dict[str, int] = {}
        self._recording: set[int] = set()

    async def begin(self, context: Any, scenario: str, mode: str) -> None:
        """Begin to trace a context, if this one is to be traced."""
        armed = self._armed.get(scenario, 0)
        if mode == "off" or (mode == "first-failure" and not armed):
            return
        if armed:
            self._armed[scenario] = armed - 1
        await context.tracing.start(screenshots=True, snapshots=True)
        self._recording.add(id(context))

    async def failed(self, context: Any, scenario: str, step: str, mode: str) -> None:
        """Keep what a failure left, if it is the first of its step."""
        if mode == "off":
            return
        name = f"{scenario}/{step}"
        is_traced = id(context) in self._recording
        self._recording.discard(id(context))
        is_first, wants_trace = name not in self._seen, is_traced and name not in self._traced
        self._seen.add(name)
        try:
            async with asyncio.timeout(_WITHIN):
                if is_first:
                    await self._shoot(context, name)
                if wants_trace:
                    self._traced.add(name)
                    self._armed.pop(scenario, None)
                    await context.tracing.stop(path=self._path(name, "zip"))
                elif is_first and not is_traced:
                    self._armed[scenario] = _TRIES
        except Exception:  # a page that failed may refuse to be looked at
            return

    async def _shoot(self, context: Any, name: str) -> None:
        for number, page in enumerate(context.pages):
            path = self._path(name if number == 0 else f"{name}-{number + 1}", "png")
            await page.screenshot(path=path, timeout=_WITHIN * 1000)

    def _path(self, name: str, suffix: str) -> Path:
        self._directory.mkdir(parents=True, exist_ok=True)
        word = re.sub(r"[^\w.-]+", "-", name).strip("-")[:100]
        moment = time.strftime("%H%M%S")
        return self._directory / f"{word}-{moment}-{self._mark}.{suffix}"
