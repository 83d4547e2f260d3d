"""One iteration of a scenario on a browser: steps, a context of its own, what failures leave.

The same for a sidecar, for one user before a person's eyes, and for a test (``run_scenario``).
Law: a failed step ends its iteration, and a context that was opened is closed, or its browser is
given up. Knows neither Locust nor where browsers come from.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from pytest_sentinel.load.artifacts import Artifacts
from pytest_sentinel.load.plan import Terms
from pytest_sentinel.load.vitals import Vitals
from pytest_sentinel.load.wire import Failure, PageLoad

_CLOSED_WITHIN = 5.0
_OPENED_WITHIN = 30.0
_LAST_WORD_WITHIN = 1.0
_LOST_WITHIN = 0.5  # from a call that fails to the word that its browser is gone

Scenario = Callable[[Any, Any, Any], Awaitable[None]]


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


@dataclass(frozen=True, slots=True)
class StepResult:
    """A step that ended; ``started`` is in seconds since the epoch."""

    name: str
    started: float
    seconds: float
    failure: Failure | None = None


@dataclass(slots=True)
class Result:
    """How an iteration went.

    Attributes:
        in_step: whether a step has told of the failure.
        state: cookies and storage at its end, if they were to be kept.
    """

    outcome: str = "passed"
    failure: Failure | None = None
    in_step: bool = False
    loads: tuple[PageLoad, ...] = ()
    state: Any = None


@dataclass(slots=True, eq=False)
class Steps:
    """What a scenario calls to begin a step: ``async with step("home"):``.

    Args:
        tell: called with each step that ended.
        failed: awaited while the page is still as the failure left it.
        judge: says what a failure is, once it is known whose fault it was.
        cut: says why a step is cut off, unless nobody listens to it any more.
    """

    tell: Callable[[StepResult], None]
    failed: Callable[[str], Awaitable[None]]
    judge: Callable[[BaseException], Awaitable[Failure]]
    cut: Callable[[], Failure | None] = lambda: None
    under_way: list[str] = field(default_factory=list)
    last: str = ""
    reported: BaseException | None = None

    @property
    def current(self) -> str:
        """The name of the step that is under way, or was last."""
        return self.under_way[-1] if self.under_way else self.last

    @asynccontextmanager
    async def __call__(self, name: str) -> AsyncIterator[None]:
        """Time a step."""
        started, began = time.time(), time.perf_counter()
        self.under_way.append(name)
        self.last = name
        try:
            yield
        except Exception as error:
            seconds = time.perf_counter() - began
            failure = await self.judge(error)
            if self.reported is not error:
                await self.failed(name)
            self.reported = error
            self.tell(StepResult(name, started, seconds, failure))
            raise
        except asyncio.CancelledError as error:
            if (why := self.cut()) is not None:
                self.reported = error
                self.tell(StepResult(name, started, time.perf_counter() - began, why))
            raise
        else:
            self.tell(StepResult(name, started, time.perf_counter() - began))
        finally:
            self.under_way.pop()


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
    _limit: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))
    _steps: Steps = field(init=False)
    _vitals: Vitals = field(init=False)
    _seat: Seat = field(init=False)

    def __post_init__(self) -> None:
        self._steps = Steps(self.tell, self._keep, self._judge, self._why_cut)
        self._vitals = Vitals(lambda: self._steps.current)

    async def on(self, seat: Seat) -> Result:
        """Run it on ``seat``, and return how it went; nothing of it is left in the browser."""
        self._seat = seat
        work = asyncio.create_task(self._run())
        both: set[asyncio.Future[Any]] = {work, seat.lost}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            # A call that is under way says it better, if it fails by itself.
            await asyncio.wait({work}, timeout=_LOST_WITHIN)
        except asyncio.CancelledError:
            await _cut(work, seat)
            raise
        if work.cancelled():
            return Result("failed", Failure("CancelledError", "the scenario cancelled itself"))
        if work.done():
            return work.result()
        await _cut(work, seat)
        return Result("infrastructure", Failure("BrowserLost", seat.lost.result()), self.in_step)

    @property
    def in_step(self) -> bool:
        """Whether a step has told why it failed."""
        return self._steps.reported is not None

    async def _run(self) -> Result:
        result = Result()
        end = asyncio.get_running_loop().time() + self.terms.iteration_timeout
        try:
            async with self._limit:
                self._limit.reschedule(end)
                try:
                    await self._play(result)
                except Exception as error:
                    await self._fail(result, error)
        except TimeoutError:
            result.outcome, result.failure = "failed", self._why_cut()
            result.in_step = self.in_step
        finally:
            await self._close()
        return result

    async def _play(self, result: Result) -> None:
        await self._open()
        page = await self._context.new_page()
        await self.scenario(self.person, page, self._steps)
        if isinstance(self._steps.reported, Exception):
            raise self._steps.reported  # whoever caught it: a failed step ends its iteration
        await self._take_vitals(result)
        if self.terms.isolation == "user":
            result.state = await self._context.storage_state()

    async def _fail(self, result: Result, error: Exception) -> None:
        failure = await self._judge(error)
        result.outcome = "infrastructure" if self._seat.lost.done() else "failed"
        result.failure = failure
        result.in_step = self._steps.reported is error
        if result.outcome == "failed":
            if not result.in_step:
                await self._keep("(outside steps)")
            await self._take_vitals(result)

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

    async def _take_vitals(self, result: Result) -> None:
        if self.terms.vitals and self._context is not None:
            await self._vitals.ask(self._context, _LAST_WORD_WITHIN)
            result.loads = self._vitals.loads()

    def _why_cut(self) -> Failure | None:
        if self._seat.lost.done():
            return Failure("BrowserLost", self._seat.lost.result())
        if self._limit.expired():
            seconds = self.terms.iteration_timeout
            return Failure("TimeoutError", f"the iteration took more than {seconds:g} s")
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
        if "closed" in str(error) or "crashed" in str(error):
            await asyncio.wait({self._seat.lost}, timeout=_LOST_WITHIN)
        if self._seat.lost.done():
            return Failure("BrowserLost", self._seat.lost.result(), _all_of(error))
        return failure_of(error)


async def _cut(work: asyncio.Task[Result], seat: Seat) -> None:
    """Cancel ``work``; one that does not end loses its browser, and is waited for no longer."""
    work.cancel()
    await asyncio.wait({work}, timeout=2 * _CLOSED_WITHIN)
    if not work.done():
        seat.condemn("a scenario went on after it was cancelled")
        await asyncio.wait({work}, timeout=_CLOSED_WITHIN)
    if work.done() and not work.cancelled():
        work.exception()


def failure_of(error: BaseException) -> Failure:
    """Return what an exception says, in short and in full."""
    first = (str(error).strip().splitlines() or [""])[0][:300]
    return Failure(type(error).__name__, first, _all_of(error))


def _all_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-8000:]


def _look_at(closing: asyncio.Future[None]) -> None:
    if not closing.cancelled():
        closing.exception()


async def run_scenario(
    task: Any, page: Any, *, person: Any = None, host: str | None = None
) -> list[StepResult]:
    """Run a task of a browser user as a test, on a page of async Playwright; return its steps.

    The first thing that goes wrong is raised as it is. ``page.goto("/")`` needs the ``base_url`` of
    the page's context.

    Args:
        task: such as ``Shopper.buy``.
        page: Playwright's, asynchronous.
        person: what the task gets as ``self``; by default an object of its class that belongs to
            no Locust.
        host: the host of that object.
    """
    scenario = getattr(task, "scenario", task)
    steps: list[StepResult] = []

    async def nothing(_: str) -> None:
        return

    async def judge(error: BaseException) -> Failure:
        return failure_of(error)

    if person is None and hasattr(task, "owner"):
        person = stand_in(task.owner, 1, host)
    await scenario(person, page, Steps(steps.append, nothing, judge))
    return steps


def stand_in(cls: type, number: int, host: str | None) -> Any:
    """Return what scenarios of ``cls`` get as ``self``: its attributes and methods, no Locust."""
    person: Any = object.__new__(cls)
    person.environment = None
    person.user_number = number
    if host is not None:
        person.host = host
    return person
