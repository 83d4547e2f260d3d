"""What a pool does at intervals: probe, reconcile, weigh, and let the clock act on its books.

Each browser's chores run beside each other and beside those of the others, each one at most once
at a time, so that a browser that hangs holds nobody up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from pytest_sentinel.memory.admission import Admission
from pytest_sentinel.memory.host import available_memory
from pytest_sentinel.pool import keeping
from pytest_sentinel.pool.actions import Action
from pytest_sentinel.pool.keeping import Kept
from pytest_sentinel.pool.leases import Leases
from pytest_sentinel.pool.options import PoolOptions
from pytest_sentinel.pool.states import BrowserState
from pytest_sentinel.pool.statistics import Shell

TICK = 1.0
_WEIGH_EVERY = 2  # ticks
_SERVING = (BrowserState.READY, BrowserState.DRAINING)


class Household(Protocol):
    """What housekeeping needs of its pool."""

    def act(self, actions: list[Action]) -> None:
        """Carry out what the books decided."""

    def tell(self, name: str, **facts: str | int | float | bool | None) -> None:
        """Say what happened."""

    def crashed(self, name: str, cause: str) -> None:
        """Take a browser for dead."""

    def chore(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` beside everything else; it may be cut off at the end."""


class Housekeeping:
    """The chores of one pool."""

    def __init__(
        self, options: PoolOptions, leases: Leases, shell: Shell, household: Household
    ) -> None:
        self._options = options
        self._leases = leases
        self._shell = shell
        self._household = household
        self._admission = Admission()
        self._rounds = 0

    async def keep(self) -> None:
        """Keep house until cancelled."""
        while True:
            await asyncio.sleep(TICK)
            self._rounds += 1
            self._household.act(self._leases.tick(self._now()))
            serving = [kept for kept in self._shell.kept.values() if self._is_serving(kept)]
            for kept in serving:
                if kept.server.ended.done() and not kept.server.ended.cancelled():
                    self._household.crashed(kept.server.name, kept.server.ended.result())
                    continue
                if self._is_probe_due(kept):
                    self._once(kept, "probe", self._probe)
                self._once(kept, "reconcile", self._reconcile)
            if self._rounds % _WEIGH_EVERY == 0:
                await self._weigh(serving)
            self._shell.kept_house_at = self._now()

    async def clean(self, ticket: str, name: str) -> None:
        """See to it that the contexts of a lease are gone, and report it."""
        kept = self._shell.kept[name]
        grace, within = self._options.grace, self._options.probe_timeout
        is_clean, disposed = await keeping.clean(kept, grace, within)
        self._note_disposed(kept, disposed)
        if not is_clean and self._is_serving(kept):
            self._household.crashed(name, "the browser could not close a context and was killed")
        self._household.act(self._leases.cleaned(ticket, self._now()))

    def _is_probe_due(self, kept: Kept) -> bool:
        last = kept.probed_at
        return last is None or self._now() - last >= self._options.probe_interval

    async def _probe(self, kept: Kept) -> None:
        """Probe; a browser that fails gets nobody new, and if it fails again it is ended."""
        name, within = kept.server.name, self._options.probe_timeout
        for attempt in (1, 2):
            problem = await keeping.probe(kept, within)
            self._shell.count("probes_total", "failed" if problem else "ok")
            if not self._is_serving(kept):
                return
            suspect = bool(problem)
            if suspect and attempt == 2:
                cause = f"the browser stopped answering ({problem}) and was killed"
                self._household.crashed(name, cause)
                return
            if suspect:
                self._household.tell("browser.suspected", browser=name, problem=problem)
            elif attempt == 2:
                self._household.tell("browser.cleared", browser=name)
            self._household.act(self._leases.suspected(name, self._now(), suspect=suspect))
            if not suspect:
                return

    async def _reconcile(self, kept: Kept) -> None:
        grace, within = self._options.grace, self._options.probe_timeout
        self._note_disposed(kept, await keeping.reconcile(kept, grace, within))

    def _note_disposed(self, kept: Kept, causes: list[str]) -> None:
        for cause in causes:
            self._shell.count("contexts_disposed_total", cause)
            self._household.tell("context.disposed", browser=kept.server.name, cause=cause)

    async def _weigh(self, serving: list[Kept]) -> None:
        """Read the memory of all browsers, and ask whether more may be admitted."""
        used = 0
        for kept in serving:
            leases = len(self._leases.on(kept.server.name))
            used += await keeping.measure(kept, leases)
            if self._is_serving(kept):
                self._admission.learn(kept.pss, kept.idle, leases)
                self._leases.measured(kept.server.name, kept.pss)
        budget = self._options.memory_budget
        left = used + await asyncio.to_thread(available_memory)
        limit = None if budget is None else left if budget == "auto" else min(budget, left)
        self._shell.used, self._shell.budget = used, limit
        before = self._leases.paused
        reason = self._admission.judge(used, limit)
        if bool(reason) is not bool(before):
            self._household.tell("memory.paused" if reason else "memory.resumed", reason=reason)
        self._household.act(self._leases.pressed(reason, self._now()))

    def _is_serving(self, kept: Kept) -> bool:
        browsers = (b for place in self._leases.places for b in place.browsers())
        return any(b.name == kept.server.name and b.state in _SERVING for b in browsers)

    def _once(
        self, kept: Kept, what: str, chore: Callable[[Kept], Coroutine[Any, Any, None]]
    ) -> None:
        """Begin a chore of one browser, unless it is under way."""

        async def do() -> None:
            if what in kept.busy:
                return
            kept.busy.add(what)
            try:
                await chore(kept)
            finally:
                kept.busy.discard(what)

        if what not in kept.busy:
            self._household.chore(what, do())

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
