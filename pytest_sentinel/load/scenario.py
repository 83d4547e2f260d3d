"""One iteration of a scenario on a browser: steps, a context of its own, what failures leave.

The same for a sidecar and for one user before a person's eyes.
Law: a failed step ends its iteration, and a context that was opened is closed, or its browser is
given up. However the code of a scenario ends, and if it never does, its iteration has one result
within a bound. Knows neither Locust nor where browsers come from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from pytest_sentinel.load.artifacts import Artifacts
from pytest_sentinel.load.endings import Kind, all_of, ending_of, failure_of, plain
from pytest_sentinel.load.plan import Terms
from pytest_sentinel.load.playing import play
from pytest_sentinel.load.steps import StepResult, Steps
from pytest_sentinel.load.vitals import Vitals
from pytest_sentinel.load.wire import Failure, PageLoad

_CLOSED_WITHIN = 5.0
_OPENED_WITHIN = 30.0
_LAST_WORD_WITHIN = 1.0
_MOST_LOOKED_AT = 10_000
_LOST_WITHIN = 0.5  # from a call that fails to the word that its browser is gone

Scenario = Callable[..., Awaitable[None]]


class Seat(Protocol):
    """A place on a browser, held for one iteration."""

    @property
    def browser(self) -> Any:
        """Playwright's browser."""

    @property
    def lost(self) -> asyncio.Future[str]:
        """Resolves with a sentence when the browser is gone."""

    def condemn(self, why: str) -> None:
        """Have the browser ended: it does not do what it should."""


@dataclass(slots=True)
class Result:
    """How an iteration went.

    Attributes:
        in_step: whether a step has told of the failure.
        state: cookies and storage at its end, if they were to be kept.
        control: Locust's word for what the user does next; may be empty.
        immediately: whether an ``InterruptTaskSet`` asked for the next task at once.
    """

    outcome: str = "passed"
    failure: Failure | None = None
    in_step: bool = False
    loads: tuple[PageLoad, ...] = ()
    state: Any = None
    control: str = ""
    immediately: bool = True


class _Cut(Enum):
    """Why an iteration is cut off."""

    NOT = 0
    LATE = 1
    LOST = 2  # its browser
    STOPPED = 3  # by its user


@dataclass(slots=True, eq=False)
class Iteration:
    """One run of a scenario by one user.

    Attributes:
        name: of the scenario, as ``Class.task``.
        person: what the scenario gets as ``self``.
        host: where ``page.goto("/")`` goes.
        tell: called with each step that ended.
        state: cookies and storage to begin with, instead of those in the terms.
    """

    scenario: Scenario
    name: str
    person: Any
    terms: Terms
    artifacts: Artifacts
    tell: Callable[[StepResult], None]
    host: str | None = None
    state: Any = None
    _context: Any = None
    _cut: _Cut = _Cut.NOT
    _result: Result = field(default_factory=Result)
    _steps: Steps = field(init=False)
    _vitals: Vitals = field(init=False)
    _seat: Seat = field(init=False)
    _over: asyncio.Future[None] = field(init=False)

    def __post_init__(self) -> None:
        self._steps = Steps(
            self.tell, self._keep, self._judge, lambda: self._cut is not _Cut.NOT, self._why_cut
        )
        self._vitals = Vitals(lambda: self._steps.current)

    async def on(self, seat: Seat) -> Result:
        """Run it on ``seat``, and return how it went; nothing of it is left in the browser."""
        self._seat = seat
        self._over = asyncio.get_running_loop().create_future()
        work = asyncio.create_task(self._run())
        either: set[asyncio.Future[Any]] = {self._over, seat.lost}
        first = asyncio.FIRST_COMPLETED
        try:
            await asyncio.wait(either, timeout=self.terms.iteration_timeout, return_when=first)
            if seat.lost.done():
                # A call that is under way says it better, if it fails by itself.
                await asyncio.wait({self._over}, timeout=_LOST_WITHIN)
            if self._over.done():
                await asyncio.wait({work})  # what is left to do has bounds of its own
            else:
                self._cut = _Cut.LOST if seat.lost.done() else _Cut.LATE
                await _cut_off(work, seat)
        except asyncio.CancelledError:
            self._cut = _Cut.STOPPED
            await _cut_off(work, seat)
            raise
        if self._cut is _Cut.NOT:
            work.result()  # a bug of ours is raised here
            return self._result
        outcome = "failed" if self._cut is _Cut.LATE else "infrastructure"
        return Result(outcome, self._why_cut(), self.in_step, self._result.loads)

    @property
    def in_step(self) -> bool:
        """Whether a step has told why it failed."""
        return self._steps.reported is not None

    async def _run(self) -> None:
        try:
            await self._play()
        except Exception as error:
            await self._fail(error)
        finally:
            self._over.set_result(None)
            await self._close()

    async def _play(self) -> None:
        await self._open()
        page = await self._context.new_page()
        if self.terms.vitals:
            await self._vitals.follow(page)
        raised = await play(self.scenario, self.person, page, self._steps)
        if self._cut is not _Cut.NOT:
            return
        ending, result = ending_of(raised), self._result
        result.control, result.immediately = ending.control, ending.immediately
        if raised is not None and ending.kind is Kind.FAILED:
            await self._fail(raised)
        elif self._steps.reported is not None:
            # Whoever caught it: a failed step fails its iteration.
            await self._fail(self._steps.reported)
        elif ending.kind is Kind.SKIPPED:
            result.outcome, result.failure = "skipped", ending.failure
        else:
            await self._take_vitals()
            if self.terms.isolation == "user":
                result.state = await self._context.storage_state()

    async def _fail(self, error: BaseException) -> None:
        result = self._result
        result.failure = await self._judge(error)
        result.outcome = "infrastructure" if self._seat.lost.done() else "failed"
        result.in_step = self._steps.reported is error
        if result.outcome == "failed":
            if not result.in_step:
                await self._keep("(outside steps)")
            with suppress(Exception):
                await self._take_vitals()

    async def _open(self) -> None:
        """Open the context; one that comes too late, or for nobody, is closed, too."""
        options = {**self.terms.context_options}
        if self.host is not None:
            options.setdefault("base_url", self.host)
        state = self.terms.storage_state if self.state is None else self.state
        if state is not None:
            options["storage_state"] = state
        opening = asyncio.ensure_future(self._seat.browser.new_context(**options))
        try:
            self._context = await asyncio.wait_for(asyncio.shield(opening), _OPENED_WITHIN)
        except TimeoutError:
            self._seat.condemn(f"the browser opened no context within {_OPENED_WITHIN:g} s")
            raise
        except asyncio.CancelledError:
            with suppress(Exception):
                self._context = await asyncio.wait_for(opening, _CLOSED_WITHIN)
            raise
        self._context.set_default_timeout(self.terms.step_timeout * 1000)
        if self.terms.vitals:
            await self._vitals.watch(self._context)
        await self.artifacts.begin(self._context, self.name, self.terms.artifacts)

    async def _take_vitals(self) -> None:
        if self.terms.vitals and self._context is not None:
            await self._vitals.ask(self._context, _LAST_WORD_WITHIN)
            self._result.loads = self._vitals.loads()

    def _why_cut(self) -> Failure | None:
        if self._cut is _Cut.LATE:
            return _too_long(self.terms.iteration_timeout)
        if self._seat.lost.done():
            return Failure("BrowserLost", self._seat.lost.result())
        return None

    async def _close(self) -> None:
        if self._context is None or self._seat.lost.done():
            return
        closing = asyncio.ensure_future(self._context.close())
        closing.add_done_callback(_look_at)
        done, _ = await asyncio.wait(
            {closing, self._seat.lost}, timeout=_CLOSED_WITHIN, return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            closing.cancel()
            self._seat.condemn(f"the browser closed no context within {_CLOSED_WITHIN:g} s")

    async def _keep(self, step: str) -> None:
        """Keep what the failure left, unless the browser is gone."""
        if self._context is not None and not self._seat.lost.done():
            await self.artifacts.failed(self._context, self.name, step, self.terms.artifacts)

    async def _judge(self, error: BaseException) -> Failure:
        """Say what went wrong; that a browser is gone is told a moment after a call has failed."""
        said = plain(error, _MOST_LOOKED_AT)
        if "closed" in said or "crashed" in said:
            await asyncio.wait({self._seat.lost}, timeout=_LOST_WITHIN)
        if self._seat.lost.done():
            return Failure("BrowserLost", self._seat.lost.result(), all_of(error))
        return failure_of(error)


async def call(function: Callable[..., Any], person: Any, within: float) -> Result:
    """Run what needs no browser, such as an ``on_start``, and return how it went."""
    work = asyncio.create_task(play(function, person))
    try:
        await asyncio.wait({work}, timeout=within)
    finally:
        if not work.done():
            await _cut_off(work, None)
    if not work.done() or work.cancelled():
        return Result("failed", _too_long(within))
    ending = ending_of(work.result())
    outcome = {Kind.FAILED: "failed", Kind.SKIPPED: "skipped"}.get(ending.kind, "passed")
    return Result(outcome, ending.failure, control=ending.control, immediately=ending.immediately)


async def _cut_off(work: asyncio.Task[Any], seat: Seat | None) -> None:
    """Cancel ``work``; one that does not end loses its browser, and is waited for no longer."""
    work.cancel()
    await asyncio.wait({work}, timeout=2 * _CLOSED_WITHIN)
    if not work.done() and seat is not None:
        seat.condemn("a scenario went on after it was cancelled")
        await asyncio.wait({work}, timeout=_CLOSED_WITHIN)
    if work.done() and not work.cancelled():
        work.exception()


def _too_long(seconds: float) -> Failure:
    return Failure("TimeoutError", f"the iteration took more than {seconds:g} s")


def _look_at(closing: asyncio.Future[None]) -> None:
    if not closing.cancelled():
        closing.exception()
