"""Every exception and every verdict failure, in two families.

``SentinelError``: the machinery could not do its work (fix the environment or the pool).
``SentinelFailure``: a verdict on the page or the test (fix the page or the test).
Each class builds its own message; nothing else in the package composes error prose.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal


def shown(value: object, most: int = 200) -> str:
    """Return a value as it was written, cut short, also when it cannot show itself."""
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    return text if len(text) <= most else f"{text[: most - 3]}..."


class SentinelError(Exception):
    """Base of everything that means: the machinery failed, not the test."""


class SettingError(SentinelError):
    """Raised when an option, ini key, environment variable or marker has a bad value.

    Attributes:
        name: the setting as its user wrote it, such as ``--sentinel-recycle-after``.
        value: what was given.
        good: a value that would have been accepted.
    """

    def __init__(self, name: str, value: object, problem: str, good: str) -> None:
        self.name = name
        self.value = value
        self.good = good
        super().__init__(f"{name}: {shown(value)} {problem}; a good value is {good}")


class IllegalTransition(SentinelError):
    """Raised when an event is not allowed in a browser's state; nothing has changed then."""

    def __init__(self, browser: str, state: str, event: str) -> None:
        self.browser = browser
        self.state = state
        self.event = event
        super().__init__(f"bug: browser {browser} in state {state} cannot take event {event}")


class InstallationFailed(SentinelError):
    """Raised when no installer could supply what is missing; ``attempts`` has (what, why not)."""

    def __init__(self, missing: str, attempts: list[tuple[str, str]]) -> None:
        self.missing = missing
        self.attempts = attempts
        tried = "".join(f"\n  {what}: {why}" for what, why in attempts)
        super().__init__(
            f"could not install {missing}{tried or ': there is no installer to try here'}\n"
            "Put a Chromium (or chromium-headless-shell) and an ffmpeg on PATH, or let this "
            "machine reach cdn.playwright.dev or the packages of its distribution."
        )


class BrowserLaunchFailed(SentinelError):
    """Raised when a browser did not start; ``cause`` is one line, ``log`` its last output."""

    def __init__(self, browser: str, cause: str, log: str = "") -> None:
        self.browser = browser
        self.cause = cause
        self.log = log
        tail = f"\nLast lines of the browser's output:\n{log}" if log else ""
        super().__init__(f"{browser} did not launch: {cause}{tail}")


class BreakerOpen(SentinelError):
    """Raised at once, without a new attempt, while launches of this browser keep failing."""

    def __init__(self, browser: str, failures: int, retry_in: float, cause: str, log: str) -> None:
        self.browser = browser
        self.failures = failures
        self.retry_in = retry_in
        tail = f"\nLast lines of the browser's output:\n{log}" if log else ""
        super().__init__(
            f"{browser} is not launched: the last {failures} launches or browsers failed "
            f"(next trial in {retry_in:.0f} s). Cause: {cause}{tail}"
        )


Refusal = Literal[
    "full", "memory", "draining", "breaker", "engine", "owner-cap", "timeout", "gone", "closed"
]


class PoolRefused(SentinelError):
    """Raised when a pool gives no lease.

    Attributes:
        reason: one word. ``full``: too many wait; ``timeout``: the wait was in vain; ``gone``: the
            client left while it waited, so nobody reads this.
        problem: what stands in the way, with counts.
        remedy: what to do about it.
        retry_after: seconds after which another try makes sense, where that is known.
    """

    def __init__(
        self, reason: Refusal, problem: str, remedy: str, retry_after: float | None = None
    ) -> None:
        self.reason = reason
        self.problem = problem
        self.remedy = remedy
        self.retry_after = retry_after
        super().__init__(f"{problem}. {remedy}" if remedy else problem)


class RequestRefused(SentinelError):
    """Raised when a service turns a request away.

    Attributes:
        status: the HTTP status that says so.
        problem: what stands in the way.
        remedy: what to do about it; may be empty.
        retry_after: seconds after which another try makes sense, where that is known.
    """

    def __init__(
        self, status: int, problem: str, remedy: str = "", retry_after: float | None = None
    ) -> None:
        self.status = status
        self.problem = problem
        self.remedy = remedy
        self.retry_after = retry_after
        super().__init__(f"{problem}. {remedy}" if remedy else problem)


class PoolUnavailable(SentinelError):
    """Raised when no service of ``--sentinel-pool`` gives a browser.

    Attributes:
        tried: each service with what it said.
    """

    def __init__(self, engine: str, tried: Sequence[tuple[str, str]]) -> None:
        self.engine = engine
        self.tried = tuple(tried)
        rows = "; ".join(f"{where}: {why}" for where, why in self.tried)
        super().__init__(
            f"no {engine} from the pool: {rows}\n"
            "With --sentinel-pool-fallback a worker launches a browser of its own instead."
        )


class PoolUnreachable(SentinelError):
    """Raised before a load run whose ``pool`` has no service that answers; has the ``problem``."""

    def __init__(self, pool: str, problem: str) -> None:
        self.pool = pool
        self.problem = problem
        super().__init__(
            f"no service answers at {pool}: {problem}; start one with `sentinel serve`, or use"
            " browsers of this machine with the pool auto"
        )


class ServiceUnreachable(SentinelError):
    """Raised when a service's port does not answer as one; has its ``address`` and ``problem``."""

    def __init__(self, address: str, problem: str) -> None:
        self.address = address
        self.problem = problem
        super().__init__(
            f"no sentinel service answers at {address}: {problem}. Start one with `sentinel serve`,"
            " or name the place of its control port with --control."
        )


class GateError(SentinelError):
    """Raised when a gate makes no sense, before anything runs.

    Attributes:
        text: the gate as it was written.
    """

    def __init__(self, text: str, problem: str, good: str = "") -> None:
        self.text = text
        hint = f"; a good one is {good}" if good else ""
        super().__init__(f"gate {text.strip()!r}: {problem}{hint}")


class WireError(SentinelError):
    """Raised when the bytes between a Locust worker and its sidecar make no sense; a bug."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"bug: a Locust worker and its sidecar do not understand: {problem}")


class LocustfileError(SentinelError):
    """Raised when a locustfile cannot be used for browser users; has the ``file``'s ``problem``."""

    def __init__(self, file: str, problem: str) -> None:
        self.file = file
        self.problem = problem
        super().__init__(f"{file}: {problem}")


class NotInSidecar(SentinelError, AttributeError):
    """Raised in a scenario that asks for what only Locust's own process has; ``what`` it asked."""

    def __init__(self, what: str, instead: str) -> None:
        self.what = what
        super().__init__(
            f"{what} belongs to Locust's process, and scenarios of a BrowserUser run in another"
            f" one: {instead}"
        )


class SidecarFailed(SentinelError):
    """Raised when the process that drives browsers for a Locust worker died or did not start.

    Attributes:
        problem: how it ended.
        log: the last lines that it wrote.
    """

    def __init__(self, problem: str, log: str = "") -> None:
        self.problem = problem
        self.log = log
        tail = f"\nLast lines of its output:\n{log}" if log else ""
        super().__init__(f"the sidecar {problem}{tail}")


class IterationLost(SentinelError):
    """Raised in a Locust task whose iteration was lost to a browser, a pool or a sidecar.

    Attributes:
        scenario: the task, as ``Class.task``.
        problem: what happened.
    """

    def __init__(self, scenario: str, problem: str) -> None:
        self.scenario = scenario
        self.problem = problem
        super().__init__(f"{scenario}: lost, and not the application's fault: {problem}")


class HeapSnapshotError(SentinelError):
    """Raised when a file or stream is no heap snapshot, or one that is damaged or cut short."""

    def __init__(self, source: str, problem: str) -> None:
        self.source = source
        self.problem = problem
        super().__init__(
            f"{source}: {problem}; expected a .heapsnapshot file as Chromium or Node.js writes it"
        )


class NotMeasurable(SentinelError):
    """Raised when something cannot be measured here; ``what`` it is, and in a few words ``why``."""

    def __init__(self, what: str, why: str) -> None:
        self.what = what
        self.why = why
        super().__init__(f"{what}: {why}")


class SentinelFailure(AssertionError):
    """Base of everything that means: the machinery works, the page or the test does not.

    Attributes:
        status: the word that stands for such a failure in pytest's output.
        letter: its letter in the progress line.
    """

    status = "FAILED"
    letter = "F"

    def in_brief(self) -> str:
        """Return it in one line."""
        return str(self).partition("\n")[0]


class SentinelFailures(ExceptionGroup[SentinelFailure]):
    """Raised when a test failed in more than one way at once."""


class ResourceLeak(SentinelFailure):
    """Raised when a test, or fixtures that ended with it, left something open.

    Attributes:
        leftovers: what, one sentence each, with the line that opened it.
    """

    status = "LEAKED"
    letter = "L"

    def __init__(self, leftovers: Sequence[str], who: str = "the test") -> None:
        self.leftovers = tuple(leftovers)
        rows = "\n  ".join(self.leftovers)
        super().__init__(
            f"{who} left {len(self.leftovers)} open:\n  {rows}\n"
            "Close it, or say why it may stay: @pytest.mark.allow_leak(KIND, reason=...)"
        )

    def in_brief(self) -> str:
        """Return the first leftover, and how many more there are."""
        hidden = len(self.leftovers) - 1
        return self.leftovers[0] + (f", and {hidden} more" if hidden else "")


class PageLeak(SentinelFailure):
    """Raised when a page keeps what a scenario should have given back.

    Attributes:
        report: the whole verdict, or None when one watched object refused to die.
    """

    status = "LEAKED"
    letter = "L"

    def __init__(self, message: str, report: object | None = None) -> None:
        self.report = report
        super().__init__(message)


class MemoryBudgetExceeded(SentinelFailure):
    """Raised when a page, a browser or the worker held more memory than a test allows.

    Attributes:
        promise: the marker or call that set the limit, such as ``limit_page_heap``.
        findings: each limit that was broken, as reading and limit.
        details: where the memory was, line by line.
    """

    status = "MEMORY"
    letter = "M"

    def __init__(self, promise: str, findings: Sequence[str], details: Sequence[str] = ()) -> None:
        self.promise = promise
        self.findings = tuple(findings)
        self.details = tuple(details)
        rows = "".join(f"\n  {line}" for line in self.details)
        super().__init__(f"{promise}: {'; '.join(self.findings)}{rows}")


class ScenarioFailed(SentinelFailure):
    """Raised when a browser user's scenario, or a step of it, failed.

    Attributes:
        kind: the class of the exception in the scenario.
        message: the first line of what it said.
        detail: all of it.
    """

    def __init__(self, kind: str, message: str, detail: str = "") -> None:
        self.kind = kind
        self.message = message
        self.detail = detail
        super().__init__(f"{kind}: {message}" if message else kind)


class ScenarioBlocked(SentinelFailure):
    """Raised in a scenario that does not let the event loop of its sidecar go on.

    Attributes:
        where: file, line and function.
        seconds: how long it has blocked the loop.
    """

    def __init__(self, where: str, seconds: float) -> None:
        self.where = where
        self.seconds = seconds
        super().__init__(
            f"blocked the event loop for {seconds:.0f} s, and all browser users with it: {where};"
            " await asyncio.sleep(), or asyncio.to_thread() for what is not async"
        )


class InconclusiveLeakCheck(UserWarning):
    """Warns that a leak check could not decide; its text says what disturbed it."""
