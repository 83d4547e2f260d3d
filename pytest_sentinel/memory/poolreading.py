"""Measure the browsers of this process's pool, and the pages that are open on them. No opinions.

What belongs to a browser is found by its seat; the seats are the pool's, and only read here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pytest_sentinel.errors import NotMeasurable
from pytest_sentinel.memory.ownpages import own_memory
from pytest_sentinel.memory.pagereading import PageReading, biggest_constructors, read_page
from pytest_sentinel.memory.processes import tree
from pytest_sentinel.units import MIB

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

    from pytest_sentinel.memory.sampler import Sampler
    from pytest_sentinel.pool.seats import Seat
    from pytest_sentinel.pool.worker import WorkerPool

_CALM_BYTES: Final = MIB
_CALM_LOOKS: Final = 2
_LOOKS: Final = 20
_PAUSE: Final = 0.1


def own_memory_of(seat: Seat) -> int:
    """Return the bytes that belong to a seat's browser whoever else runs; see ``own_memory``."""
    process = seat.local.process
    return 0 if process is None else own_memory(tree(process.pid))


def wait_until_calm(seat: Seat) -> None:
    """Wait until a browser has finished starting: a fresh one takes 25 MiB in its first 0.5 s."""
    never = threading.Event()
    before, calm = own_memory_of(seat), 0
    for _ in range(_LOOKS):
        never.wait(_PAUSE)
        now = own_memory_of(seat)
        calm = calm + 1 if abs(now - before) < _CALM_BYTES else 0
        if calm == _CALM_LOOKS:
            return
        before = now


def read_pages(
    pool: WorkerPool, is_lasting: Callable[[BrowserContext], bool]
) -> list[tuple[Page, PageReading]]:
    """Collect the garbage of every page that is open on the pool's browsers, and read it.

    Args:
        pool: whose browsers.
        is_lasting: whether a context outlives the test: its pages are left as they are.

    Raises:
        NotMeasurable: a page has crashed or does not answer.
    """
    readings = []
    for _, context in pool.contexts():
        for page in context.pages:
            try:
                readings.append((page, read_page(page, untouched=is_lasting(context))))
            except NotMeasurable:
                # A page that closes itself meanwhile is no concern of anybody's.
                if not page.is_closed():
                    raise
    return readings


def look_into_heap(
    page: Page, reading: PageReading, pool: WorkerPool, sampler: Sampler
) -> list[str]:
    """Return the page's ``biggest_constructors``, while nobody watches its browser's memory.

    The snapshot takes up to 1 GiB of it for a moment, which is no memory of the test's.
    """
    found = pool.seats()
    for name in found:
        sampler.unwatch(name)
    try:
        return biggest_constructors(page, reading)
    finally:
        for name, seat in found.items():
            if seat.local.process is not None:
                sampler.watch(name, seat.local.process.pid)
