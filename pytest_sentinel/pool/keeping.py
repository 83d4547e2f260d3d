"""What a pool does for one browser while it serves: probe it, clean up in it, read its memory.

Each of these asks the browser server and waits with a limit; what follows from the answer is
decided elsewhere.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from pytest_sentinel.memory.processes import read_memory
from pytest_sentinel.pool.server import BrowserServer
from pytest_sentinel.pool.sightings import Sightings

_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.25


@dataclass(slots=True, eq=False)
class Kept:
    """One browser as the shell of a pool knows it.

    Attributes:
        upstream: the address of somebody else's server, where it is one.
        pss: bytes of its process tree at the last reading; ``idle`` when nobody used it.
        probed_at: when the last probe ended (monotonic); None before the first.
        busy: the chores that are under way, so that none is begun twice.
    """

    server: BrowserServer
    upstream: str | None = None
    sightings: Sightings = field(default_factory=Sightings)
    pss: int = 0
    idle: int = 0
    probed_at: float | None = None
    probe_ok: bool | None = None
    busy: set[str] = field(default_factory=set)


async def probe(kept: Kept, within: float) -> str:
    """Have it open a context and a page, evaluate and close; return what failed, or nothing."""
    problem = ""
    try:
        await kept.server.ask("probe", within)
    except TimeoutError:
        problem = f"no answer within {within:g} s"
    except ConnectionError as error:
        problem = str(error)
    kept.probed_at = asyncio.get_running_loop().time()
    kept.probe_ok = not problem
    return problem


async def clean(kept: Kept, grace: float, within: float) -> tuple[bool, list[str]]:
    """Wait until no context is left whose leases have all ended.

    What stays longer than ``grace`` seconds is disposed of. Returns whether all is gone, and for
    each context that had to be disposed of the cause. False means that the browser is sick.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    pause = _FIRST_PAUSE
    disposed: dict[str, str] = {}
    while True:
        try:
            left = await _unowned(kept, 0.0, within)
            if not left:
                return True, list(disposed.values())
            if loop.time() - began >= grace:
                for context in left.keys() - disposed.keys():
                    disposed[context] = left[context]
                    await kept.server.ask("dispose", within, context=context)
        except (TimeoutError, ConnectionError):
            return False, list(disposed.values())
        if loop.time() - began >= grace + within:
            return False, list(disposed.values())
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


async def reconcile(kept: Kept, grace: float, within: float) -> list[str]:
    """Dispose of contexts that nobody has owned for ``grace`` seconds; return the causes."""
    disposed = []
    try:
        for context, cause in (await _unowned(kept, grace, within)).items():
            await kept.server.ask("dispose", within, context=context)
            disposed.append(cause)
    except (TimeoutError, ConnectionError):
        pass  # whether it is sick is for the probe to say
    return disposed


async def measure(kept: Kept, leases: int) -> int:
    """Read and return the PSS of its process tree in bytes."""
    reading = await asyncio.to_thread(lambda: read_memory(kept.server.processes.look()))
    if reading is not None:
        kept.pss = reading.pss
        if leases == 0 or not kept.idle:
            kept.idle = reading.pss
    return kept.pss


async def _unowned(kept: Kept, grace: float, within: float) -> dict[str, str]:
    contexts = await kept.server.contexts(within)
    if contexts is None or kept.upstream is not None:
        return {}  # nobody can tell, or others use it too
    now = asyncio.get_running_loop().time()
    kept.sightings.look(contexts, now)
    return kept.sightings.unowned(now, grace)
