"""Ctrl-C between the steps of greenlets, never in the middle of one. For gevent.

Python raises KeyboardInterrupt in whatever code runs at that moment. In Locust that may be a
greenlet with the figures of a worker in its hands, which dies with them, or the one through which
a master hears its workers. Here it waits until the greenlet that runs gives way, and is raised
in the main one, which waits for the end of the run.
"""

from __future__ import annotations

import signal
import threading

import gevent


def interrupt_in_order() -> None:
    """Have the next SIGINT wait for its turn; one more is Python's again, and comes at once."""
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return  # somebody else's, who will know what it is for
    hub = gevent.get_hub()

    def interrupt() -> None:
        hub.parent.throw(KeyboardInterrupt)

    def handle(*_: object) -> None:
        # Whoever runs without end never gives way.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        hub.loop.run_callback_threadsafe(interrupt)

    signal.signal(signal.SIGINT, handle)
