"""A Locust user whose tasks run in a real browser. The only file that imports Locust.

Law: an iteration is booked once, here, whatever became of it: passed, failed, lost to
infrastructure, or dropped when its user was killed. Steps become requests of type ``STEP`` in the
greenlet of their user.
"""

from __future__ import annotations

import functools
import inspect
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
from locust import User
from locust.dispatch import UsersDispatcher
from locust.user.task import LOCUST_STATE_RUNNING, LOCUST_STATE_STOPPING, LOCUST_STATE_WAITING

from pytest_sentinel.errors import IterationLost, LocustfileError, ScenarioFailed, SidecarFailed
from pytest_sentinel.load import hooks, wire
from pytest_sentinel.load.desk import Desk
from pytest_sentinel.load.plan import check_pool, first_start, terms_of
from pytest_sentinel.load.tally import Outcome

STEP: Final = "STEP"
FLOW: Final = "FLOW"
_BREATH: Final = 1.0  # seconds that a lost iteration takes at least

_F = TypeVar("_F", bound=Callable[..., Any])


def _as_task(function: Any, weight: int) -> Any:
    """Return what Locust calls for an async task: it runs the task where the browsers are."""

    @functools.wraps(function)
    def run(user: Any, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs:
            return function(user, *args, **kwargs)  # another scenario calls it as it was written
        if not isinstance(user, BrowserUser):
            name = getattr(function, "__qualname__", function)
            raise LocustfileError(str(name), "an async task belongs directly to a BrowserUser")
        return user.perform(run)

    made: Any = run
    made.scenario = function
    made.locust_task_weight = weight
    return made


@overload
def task(weight: _F) -> _F:  # noqa: D418 - every public function of ours says what it does
    """Mark a method as a task."""


@overload
def task(weight: int = 1) -> Callable[[_F], _F]:  # noqa: D418
    """Mark a method as a task of that weight."""


def task(weight: Any = 1) -> Any:
    """Mark a method of a BrowserUser as a task, as Locust's own decorator does.

    Raises:
        LocustfileError: it is not ``async def``.
    """

    def decorate(function: Any, number: int) -> Any:
        if not inspect.iscoroutinefunction(function):
            name = getattr(function, "__qualname__", str(function))
            raise LocustfileError(name, "a task of a BrowserUser is written with async def")
        return _as_task(function, number)

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
        """Check the terms, and take tasks that were marked by Locust's own decorator.

        Raises:
            SettingError: an attribute is bad.
        """
        super().__init_subclass__(**kwargs)
        terms_of(cls)
        check_pool(cls.pool)
        taken: dict[Any, Any] = {}
        for name, value in list(vars(cls).items()):
            if inspect.iscoroutinefunction(value) and hasattr(value, "locust_task_weight"):
                taken[value] = _as_task(value, value.locust_task_weight)
                setattr(cls, name, taken[value])
            if hasattr(getattr(cls, name), "scenario"):
                getattr(cls, name).owner = cls
        cls.tasks = [taken.get(entry, entry) for entry in cls.tasks]

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._desk: Desk = hooks.desk_of(environment)
        self.user_number = self._desk.newcomer()
        self._is_new = True

    def perform(self, chosen: Any) -> None:
        """Run one iteration of a task, and book how it ended.

        Raises:
            IterationLost: it was lost, and not the application's fault.
            ScenarioFailed: it failed outside of its steps.
        """
        scenario = f"{type(self).__name__}.{chosen.__name__}"
        self._spread_out()
        intended = self._wait_for_start(scenario)
        tally = self._desk.tally
        outcome, failure, in_step = Outcome.DROPPED, None, False
        began = time.perf_counter()
        tally.begin()
        try:
            ended = self._follow(scenario)
            outcome, failure, in_step = Outcome(ended.outcome), ended.failure, ended.in_step
            response = None if intended is None else time.monotonic() - intended
            if outcome is not Outcome.INFRASTRUCTURE:
                tally.served(scenario, ended.seconds, response)
            tally.waited(scenario, ended.waited)
            for load in ended.loads:
                tally.page(load)
        except SidecarFailed as error:
            outcome = Outcome.INFRASTRUCTURE
            failure = wire.Failure(type(error).__name__, str(error))
        finally:
            tally.end(scenario, outcome)
        if self.flow_requests and outcome is not Outcome.INFRASTRUCTURE:
            self._fire(FLOW, scenario, time.time(), time.perf_counter() - began, failure)
        if failure is None:
            return
        if outcome is Outcome.INFRASTRUCTURE:
            # What fails at once would else be tried as fast as this machine can.
            self._idle(lambda: gevent.sleep(max(0.0, _BREATH - time.perf_counter() + began)))
            raise IterationLost(scenario, f"{failure.kind}: {failure.message}")
        if not in_step:
            raise ScenarioFailed(failure.kind, failure.message, failure.detail)

    def _follow(self, scenario: str) -> wire.Ended:
        """Have the sidecar run an iteration, fire its steps, and return its end."""
        desk = self._desk
        assert desk.link is not None, "bug: a user in a process that runs none"
        pool = hooks.pool_of(self.environment) or self.pool
        run = wire.Run(desk.number(), self.user_number, scenario, self.host, pool)
        for message in desk.link.iterate(run):
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
            raise locust.exception.StopUser
        self._state = LOCUST_STATE_WAITING
        wait()
        if self._state == LOCUST_STATE_STOPPING:
            raise locust.exception.StopUser
        self._state = LOCUST_STATE_RUNNING

    def _usual_wait(self) -> float:
        """Return what ``wait_time`` says to a user of this class who has done nothing yet."""
        stranger: Any = object.__new__(type(self))
        stranger._cp_last_run, stranger._cp_last_wait_time = time.perf_counter(), 0.0
        try:
            return float(stranger.wait_time())
        except Exception:  # one that needs a user who has begun
            return 0.0


hooks.register(locust.events, UsersDispatcher)
