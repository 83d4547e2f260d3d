"""Time limits inside Playwright's own event loop, where its sync API waits.

A sync call cannot be given a deadline from outside: its thread is inside the call. But while it
waits, the loop of the driver connection turns, so a timer on that loop can act. Two uses:
``Heartbeat`` notices a browser that has stopped answering, ``bounded`` ends a close that hangs.
Nothing here knows what a browser is; both are handed plain callables.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

TICK = 0.5
PING_EVERY = 3.0


class Heartbeat:
    """Ping while the loop turns, and call ``on_silence`` once after ``deadline`` seconds without.

    Only time in which the loop was turning counts: a test that computes for a minute in Python
    starves the loop, and the answer with it, without the browser being at fault.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        ping: Callable[[], Awaitable[object]],
        deadline: float,
        on_silence: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._ping = ping
        self._deadline = deadline
        self._on_silence = on_silence
        self._pending: asyncio.Future[object] | None = None
        self._silent_for = 0.0
        self._since_answer = 0.0
        self._last_tick = loop.time()
        self._timer: asyncio.TimerHandle | None = loop.call_later(TICK, self._tick)

    @property
    def suspicious(self) -> bool:
        """Whether a ping has gone unanswered for more than a tick."""
        return self._silent_for > TICK

    def stop(self) -> None:
        """Stop for good; safe to call twice, and when the loop is closed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pending is not None and not self._loop.is_closed():
            self._pending.cancel()
        self._pending = None

    def _tick(self) -> None:
        now = self._loop.time()
        turned = min(now - self._last_tick, 2 * TICK)
        self._last_tick = now
        self._timer = self._loop.call_later(TICK, self._tick)
        if self._pending is None:
            self._since_answer += turned
            if self._since_answer >= PING_EVERY:
                self._since_answer = 0.0
                self._send()
            return
        self._silent_for += turned
        if self._silent_for >= self._deadline:
            self.stop()
            self._on_silence()

    def _send(self) -> None:
        self._silent_for = 0.0
        self._pending = asyncio.ensure_future(self._ping(), loop=self._loop)
        self._pending.add_done_callback(self._answered)

    def _answered(self, answer: asyncio.Future[object]) -> None:
        self._pending = None
        self._silent_for = 0.0
        if not answer.cancelled():
            # An error is an answer too (the browser is closed); reading it keeps asyncio quiet.
            answer.exception()


@contextmanager
def bounded(
    loop: asyncio.AbstractEventLoop, steps: Sequence[tuple[float, Callable[[], object]]]
) -> Iterator[None]:
    """Call each of ``steps`` after its seconds, unless the block has ended by then."""
    timers = [loop.call_later(seconds, step) for seconds, step in steps]
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()
