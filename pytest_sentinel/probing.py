"""Ask the services of ``--sentinel-pool`` at intervals whether they serve, and how full they are.

A thread of the controller asks, and keeps what it heard until the controller takes it. Law: it
never holds a run up, and a service that does not answer is news for gates, not for the run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final

from pytest_sentinel.addresses import Address
from pytest_sentinel.errors import ServiceUnreachable
from pytest_sentinel.pool.asking import ask_for_facts
from pytest_sentinel.telemetry.record import Sample

EVERY: Final = 2.0
_PATIENCE: Final = 2.0
# A service that has nothing to give just now is up: whoever asks it is served in his turn.
_BUSY: Final = ("", "full", "memory")


def samples_of(address: Address, facts: dict[str, Any] | None, at: float) -> list[Sample]:
    """Return what a service's answer to ``/ready`` says; None is no answer."""
    up = facts is not None and facts.get("reason") in _BUSY
    found = [Sample("uptime", float(up), at, {"target": str(address)})]
    leased, slots = (facts.get(name) if facts else None for name in ("leased", "slots"))
    if isinstance(leased, int) and isinstance(slots, int) and slots > 0:
        found.append(Sample("pool_utilization", leased / slots, at))
    return found


def probe(address: Address) -> list[Sample]:
    """Ask one service now."""
    facts: dict[str, Any] | None = None
    with suppress(ServiceUnreachable):
        _, facts = ask_for_facts(address, "/ready", timeout=_PATIENCE)
    return samples_of(address, facts, time.time())


class Probing:
    """Asks some services until it is closed."""

    def __init__(self, services: Sequence[Address], every: float = EVERY) -> None:
        self._services = tuple(services)
        self._every = every
        self._heard: SimpleQueue[Sample] = SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="sentinel-probing", daemon=True)
        self._thread.start()

    def take(self) -> list[Sample]:
        """Return what was heard since the last time."""
        return [self._heard.get_nowait() for _ in range(self._heard.qsize())]

    def close(self) -> None:
        """Ask no more."""
        self._stop.set()
        self._thread.join(_PATIENCE)

    def _ask(self) -> None:
        while True:
            for address in self._services:
                for sample in probe(address):
                    self._heard.put(sample)
            if self._stop.wait(self._every):
                return
