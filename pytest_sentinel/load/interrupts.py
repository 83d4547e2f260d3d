"""Ctrl-C between the steps of greenlets, never in the middle of one. For gevent.

Python raises KeyboardInterrupt in whatever code runs at that moment. In Locust that may be a
greenlet with the figures of a worker in its hands, which dies with them, or the one through which
a master receives its workers' figures. Here it waits until the greenlet that runs gives way, and is
raised in the main one, which waits for the end of the run.
"""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time
from types import FrameType
from typing import Any, Final

import gevent
from gevent.monkey import get_original

# Terminal, parent and supervisor may each send one for the same press of the keys.
_ONE_PRESS: Final = 1.0
# After so long a greenlet that runs without end is interrupted where it is.
_PATIENCE: Final = 3.0


def interrupt_in_order() -> None:
    """Have SIGINT wait for its turn; a second Ctrl-C is Python's again, and comes at once."""
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return  # somebody else's, who will know what it is for
    signal.signal(signal.SIGINT, _Interrupts().handle)


class _Interrupts:
    """The SIGINTs of this process: the first one is raised in the main greenlet, once."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._hub = gevent.get_hub()
        self._pressed: float | None = None
        self._waiting: Any = None  # the callback that raises it

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Handle one SIGINT."""
        now = time.monotonic()
        if os.getpid() != self._pid:
            # In a child that was forked the main greenlet is a copy of the parent's.
            signal.default_int_handler(number, frame)
        elif self._pressed is None:
            self._pressed = now
            self._waiting = self._hub.loop.run_callback_threadsafe(self._interrupt)
            get_original("_thread", "start_new_thread")(self._insist, ())
        elif now - self._pressed >= _ONE_PRESS:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if self._waiting is not None:
                self._waiting.stop()  # gevent carries this one to the main greenlet
            signal.default_int_handler(number, frame)

    def _interrupt(self) -> None:
        self._waiting = None
        self._hub.parent.throw(KeyboardInterrupt)

    def _insist(self) -> None:
        """In a thread of its own: press again where nobody gave way."""
        get_original("time", "sleep")(_PATIENCE)
        if self._waiting is not None:
            _thread.interrupt_main()
