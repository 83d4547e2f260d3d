"""Tell a person at a terminal what a run is waiting for, when it takes longer than a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

SLOW = 1.0


def say_if_slow(config: pytest.Config, sentence: str) -> Callable[[], None]:
    """Write ``sentence`` to the terminal if it takes over a second until the result is called.

    An xdist worker has no terminal, and ``-q`` asks for silence: then nothing is written.
    """
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput") or config.get_verbosity() < 0:
        return lambda: None
    began = time.monotonic()
    said = threading.Event()

    def say() -> None:
        said.set()
        reporter.ensure_newline()
        reporter.write(f"{sentence} ...", flush=True)

    timer = threading.Timer(SLOW, say)
    timer.daemon = True
    timer.start()

    def finished() -> None:
        timer.cancel()
        timer.join()
        if said.is_set():
            reporter.write_line(f" {time.monotonic() - began:.1f} s")

    return finished
