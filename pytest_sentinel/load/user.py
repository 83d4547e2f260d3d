"""A Locust user whose tasks run in a real browser. Beside __main__.py the only importer of Locust.

Law: an iteration is booked once, here, whatever became of it: passed, failed, skipped, lost to
infrastructure, or dropped when its user was killed. Steps become requests of type ``STEP`` in the
greenlet of their user; Locust's words, such as ``StopUser``, are raised here again.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, TypeVar, overload

if "pytest" in sys.modules and "locust" not in sys.modules:
    # A test that imports a locustfile must not have its process patched by gevent.
    os.environ.setdefault("LOCUST_SKIP_MONKEY_PATCH", "1")

import gevent
import locust
from locust import User, exception
from locust.dispatch import UsersDispatcher
from locust.user.task import LOCUST_STATE_RUNNING, LOCUST_STATE_STOPPING, LOCUST_STATE_WAITING

from pytest_sentinel.errors import (
    IterationLost,
    LocustfileError,
    NotInSidecar,
    ScenarioFailed,
    SentinelError,
    SidecarFailed,
)
from pytest_sentinel.load import hooks, wire
from pytest_sentinel.load.desk import Desk
from pytest_sentinel.load.plan import check_pool, first_start, longest, terms_of
from pytest_sentinel.load.standin import Nothing, is_stand_in
from pytest_sentinel.load.tally import Outcome
from pytest_sentinel.load.tasks import (
    Plan,
    as_scenario,
    is_async,
    is_task_set,
    number_of,
    plan_of,
    sets_of,
)

STEP: Final = "STEP"
FLOW: Final = "FLOW"
_BREATH: Final = 1.0  # seconds that a lost iteration takes at least
_STARTED: Final = "_sentinel_started"
_STARTS: Final = 3  # tries of an on_start that was lost to a browser
_STOPPED_WITHIN: Final = 10.0  # seconds that an on_stop may take

_F = TypeVar("_F", bound=Callable[..., Any])


@overload
def task(weight: _F) -> _F:  # noqa: D418 - every public function of ours says what it does
    """Mark a method as a task."""


@overload
def task(weight: int = 1) -> Callable[[_F], _F]:  # noqa: D418
    """Mark a method as a task of that weight."""


def task(weight: Any = 1) -> Any:
    """Mark a method of a BrowserUser, or a set of tasks, as Locust's own decorator does.

    Raises:
        LocustfileError: it is not ``async def``.
    """

    def decorate(function: Any, number: int) -> Any:
        if is_task_set(function):
            return locust.task(number)(function)
        if not is_async(function):
            name = getattr(function, "__qualname__", str(function))
            raise LocustfileError(name, "a task of a BrowserUser is written with async def")
        return as_scenario(function, number)

    if callable(weight):
        return decorate(weight, 1)
    return lambda function: decorate(function, int(weight))


def require(*thresholds: str) -> None:
    """Judge the runs of this locustfile by gates, unless the command line names others.

    It is for files without browser users, too: importing it is what adds our options to Locust's.

    Raises:
        GateError: one makes no sense.
    """
    hooks.require(thresholds)


class BrowserUser(User):
    """A user whose tasks run in a real browser: ``async def buy(self, page, step)``.

    In a task ``self`` is an object of this class that belongs to no Locust: its attributes and
    methods, and what earlier tasks of the same user left on it. Terms in plan.py say what the
    attributes mean; durations are seconds.

    Attributes:
        pool: ``auto`` for browsers of this worker, or the address of a service.
        arrival_rate: starts a second of this class, of all workers together, whether anybody is
            free or not; None lets users start when they are ready (a closed workload).
        spread: seconds over which the first iterations of users are spread; None takes what
            ``wait_time`` says.
        flow_requests: whether whole iterations are requests of type ``FLOW``, too.
    """

    abstract = True
    sentinel_browser_user = True
    sentinel_plan: ClassVar[Plan]

    pool: ClassVar[str] = "auto"
    browser: ClassVar[str] = "chromium"
    isolation: ClassVar[str] = "iteration"
    storage_state: ClassVar[Any] = None
    artifacts: ClassVar[str] = "first-failure"
    vitals: ClassVar[bool] = True
    lease_timeout: ClassVar[float] = 30.0
    step_timeout: ClassVar[float] = 30.0
    iteration_timeout: ClassVar[float] = 300.0
    context_options: ClassVar[Mapping[str, Any]] = {}
    arrival_rate: ClassVar[float | None] = None
    spread: ClassVar[float | None] = None
    flow_requests: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Check the terms, and have tasks, ``on_start`` and ``on_stop`` run where browsers are.

        Raises:
            LocustfileError: one of them cannot.
            SettingError: an attribute is bad.
        """
        super().__init_subclass__(**kwargs)
        terms_of(cls)
        check_pool(cls.pool)
        cls.sentinel_plan = plan_of(cls)
        hooks.note_class(cls)

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._is_new = True
        if not is_stand_in(self):
            self._desk: Desk = hooks.desk_of(environment)
            self.user_number = self._desk.newcomer()

    def on_start(self) -> Any:
        """Do nothing; yours may be ``async``, and take a page and steps."""
        return Nothing()

    def on_stop(self) -> Any:
        """Do nothing; yours may be ``async``, and take a page and steps."""
        return Nothing()

    def wait(self) -> None:
        """Wait as ``wait_time`` says; not in a task.

        Raises:
            NotInSidecar: a task calls it.
        """
        if is_stand_in(self):
            raise NotInSidecar("self.wait()", "write `await asyncio.sleep(seconds)`")
        super().wait()  # type: ignore[no-untyped-call]

    def stop(self, force: bool = False) -> bool:
        """Stop this user; not in a task.

        Raises:
            NotInSidecar: a task calls it.
        """
        if is_stand_in(self):
            raise NotInSidecar("self.stop()", "write `raise StopUser()`")
        if not force and self._state == LOCUST_STATE_STOPPING:
            return False  # asked twice, as by Ctrl-C and by the master: Locust would raise
        return bool(super().stop(force))

    def perform(self, holder: Any, chosen: Any) -> None:
        """Run what Locust has chosen: a task, or an ``on_start`` or ``on_stop``.

        Args:
            holder: this user, or the set of tasks that it is in.
            chosen: the wrapped function.
            chosen: the wrapped function.

        Raises:
            IterationLost: it was lost, and not the application's fault.
            ScenarioFailed: it failed outside of its steps.
        """
        scenario = self.sentinel_plan.name(type(holder), chosen)
        hook = getattr(chosen, "hook", "")
        if hook == "on_start":
            self._spread_out()
            self._start(holder, scenario)
        elif hook == "on_stop":
            self._stop(holder, scenario)
        else:
            self._iterate(holder, scenario)

    def _iterate(self, holder: Any, scenario: str) -> None:
        """Run one iteration of a task, and book how it ended."""
        self._spread_out()
        intended = self._wait_for_start(scenario)
        tally = self._desk.tally
        ended: wire.Ended | None = None
        outcome, failure = Outcome.DROPPED, None
        began = time.perf_counter()
        self._start_again(holder)
        tally.begin()
        try:
            ended = self._follow(holder, scenario)
            outcome, failure = Outcome(ended.outcome), ended.failure
            response = None if intended is None else time.monotonic() - intended
            if outcome in (Outcome.PASSED, Outcome.FAILED):
                tally.served(scenario, ended.seconds, response)
            if outcome is Outcome.FAILED and not ended.in_step:
                tally.failed_outside(scenario)
            tally.waited(scenario, ended.waited)
            for load in ended.loads:
                tally.page(load)
        except SidecarFailed as error:
            outcome = Outcome.INFRASTRUCTURE
            failure = wire.Failure(type(error).__name__, str(error))
        finally:
            tally.end(scenario, outcome)
        if self.flow_requests and outcome in (Outcome.PASSED, Outcome.FAILED):
            self._fire(FLOW, scenario, time.time(), time.perf_counter() - began, failure)
        if failure is not None and outcome is Outcome.INFRASTRUCTURE:
            # What fails at once would else be tried as fast as this machine can.
            self._breathe(began)
            raise IterationLost(scenario, f"{failure.kind}: {failure.message}")
        if ended is not None:
            _settle(ended)

    def _start(self, holder: Any, scenario: str) -> None:
        """Run an ``on_start`` to its end; one that was lost is tried again."""
        for left in reversed(range(_STARTS)):
            began = time.perf_counter()
            try:
                ended = self._follow(holder, scenario)
            except SidecarFailed as error:
                failure = wire.Failure(type(error).__name__, str(error))
                ended = wire.Ended(0, Outcome.INFRASTRUCTURE, 0.0, 0.0, failure)
            if ended.outcome != Outcome.INFRASTRUCTURE:
                assert self._desk.link is not None, "bug: a user in a process that runs none"
                holder._sentinel_started = self._desk.link.launches
                _settle(ended)
                return
            if left:
                self._breathe(began)
        assert ended.failure is not None, "bug: lost without a cause"
        raise IterationLost(scenario, f"{ended.failure.kind}: {ended.failure.message}")

    def _start_again(self, holder: Any) -> None:
        """Have a sidecar that took the place of another know what ``on_start`` left on ``self``."""
        link = self._desk.link
        assert link is not None, "bug: a user in a process that runs none"
        started = [held for held in (self, *sets_of(holder)) if hasattr(held, _STARTED)]
        if not started:
            return
        try:
            link.wait_ready()
        except SidecarFailed:
            return  # the iteration hears it, too
        for held in started:
            if held._sentinel_started != link.launches:
                self._start(held, self.sentinel_plan.name(type(held), type(held).on_start))

    def _stop(self, holder: Any, scenario: str) -> None:
        """Run an ``on_stop``, if there is a sidecar that knows this user, and not for ever."""
        link = self._desk.link
        if link is None or link.pid is None:
            return
        try:
            with gevent.Timeout(_STOPPED_WITHIN):
                ended = self._follow(holder, scenario)
            _settle(ended)
        except gevent.Timeout:
            error: Exception = ScenarioFailed(
                "TimeoutError", f"{scenario} took more than {_STOPPED_WITHIN:g} s"
            )
        except (SentinelError, ScenarioFailed) as raised:
            error = raised
        else:
            return
        self.environment.events.user_error.fire(
            user_instance=self, exception=error, tb=error.__traceback__
        )

    def _follow(self, holder: Any, scenario: str) -> wire.Ended:
        """Have the sidecar run an iteration, fire its steps, and return its end."""
        desk = self._desk
        assert desk.link is not None, "bug: a user in a process that runs none"
        pool = hooks.pool_of(self.environment) or self.pool
        names = self.sentinel_plan.sets
        path = tuple((number_of(held, desk.number), names[type(held)]) for held in sets_of(holder))
        run = wire.Run(desk.number(), self.user_number, scenario, self.host, pool, path)
        for message in desk.link.iterate(run, longest(terms_of(type(self)), pool)):
            if isinstance(message, wire.Ended):
                return message
            name = f"{scenario}/{message.step}"
            desk.tally.step(name, message.seconds, failed=message.failure is not None)
            self._fire(STEP, name, message.started, message.seconds, message.failure)
        raise SidecarFailed("said no more")

    def _fire(
        self, kind: str, name: str, started: float, seconds: float, failure: wire.Failure | None
    ) -> None:
        error = None
        if failure is not None:
            error = ScenarioFailed(failure.kind, failure.message, failure.detail)
        self.environment.events.request.fire(
            request_type=kind,
            name=name,
            response_time=seconds * 1000,
            response_length=0,
            exception=error,
            context=self.context(),
            start_time=started,
            response=None,
            url=None,
        )

    def _spread_out(self) -> None:
        """Let a new user begin at a moment of its own: those who begin at once slow each other."""
        if not self._is_new:
            return
        self._is_new = False
        link, number = self._desk.link, self.user_number
        if self._greenlet is not None and link is not None:
            self._greenlet.link(lambda _: link.leave(number))
        if self.arrival_rate is not None:
            return
        period = self._usual_wait() if self.spread is None else self.spread
        self._idle(lambda: gevent.sleep(first_start(number, period)))
        self._cp_last_run = time.perf_counter()

    def _wait_for_start(self, scenario: str) -> float | None:
        """Wait for an intended start, where there are any; return its moment."""
        rate = self.arrival_rate
        if rate is None:
            return None
        kind = type(self).__name__
        taken: list[float] = []
        self._idle(lambda: taken.append(self._desk.take_start(kind, rate, scenario)))
        return taken[0]

    def _idle(self, wait: Callable[[], None]) -> None:
        """Wait in a way in which a user may be stopped at once, as between tasks."""
        if self._state == LOCUST_STATE_STOPPING:
            raise exception.StopUser
        self._state = LOCUST_STATE_WAITING
        wait()
        if self._state == LOCUST_STATE_STOPPING:
            raise exception.StopUser
        self._state = LOCUST_STATE_RUNNING

    def _breathe(self, began: float) -> None:
        self._idle(lambda: gevent.sleep(max(0.0, _BREATH - time.perf_counter() + began)))

    def _usual_wait(self) -> float:
        """Return what ``wait_time`` says to a user of this class who has done nothing yet."""
        stranger: Any = object.__new__(type(self))
        stranger.environment, stranger.user_number = self.environment, self.user_number
        stranger._cp_last_run, stranger._cp_last_wait_time = time.perf_counter(), 0.0
        try:
            return float(stranger.wait_time())
        except Exception:  # one that needs a user who has begun
            return 0.0


def _settle(ended: wire.Ended) -> None:
    """Raise what Locust is to hear of an end: a failure that no step told, or a word of its own."""
    failure = ended.failure
    if ended.control == "GreenletExit":
        raise gevent.GreenletExit
    if ended.control == "InterruptTaskSet":
        raise exception.InterruptTaskSet(ended.immediately)  # type: ignore[no-untyped-call]
    if ended.control:
        raise getattr(exception, ended.control)
    if failure is not None and ended.outcome == Outcome.FAILED and not ended.in_step:
        raise ScenarioFailed(failure.kind, failure.message, failure.detail)


hooks.register(locust.events, UsersDispatcher)
