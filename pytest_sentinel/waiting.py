"""Tell a person at a terminal what a run is waiting for, when it takes longer than a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import nullcontext

import pytest

SLOW = 1.0


def say_if_slow(config: pytest.Config, sentence: str) -> Callable[[], None]:
    """Write ``sentence`` to the terminal if it takes over a second until the result is called.

    An xdist worker has no terminal, and ``-q`` asks for silence: then nothing is written.
    """
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput") or config.get_verbosity() < 0:
        return lambda: None
    capture = config.pluginmanager.getplugin("capturemanager")
    began = time.monotonic()
    said = threading.Event()

    def write(text: str) -> None:
        # A fixture's output is captured; this line is for the person who waits for the fixture.
        with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
            reporter.write(text, flush=True)

    def say() -> None:
        said.set()
        write(f"\n{sentence} ...")

    timer = threading.Timer(SLOW, say)
    timer.daemon = True
    timer.start()

    def finished() -> None:
        timer.cancel()
        timer.join()
        if said.is_set():
            write(f" {time.monotonic() - began:.1f} s\n")

    return finished
