"""What the reports of an attempt come to: one outcome, and seconds by phase. Pure.

Reports are others' as much as pytest's: a plugin may send any ``outcome`` and any ``when``, a
duration that is no number, a report for a test that never ran, or the same report twice. What a
report holds is taken as it is; an outcome that is not pytest's is a class of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

CRASHED: Final = "crashed"
_RANKS: Final = {
    "passed": 0,
    "xpassed": 1,
    "xfailed": 2,
    "skipped": 3,
    # 4: whatever another plugin made up.
    CRASHED: 5,
    "failed": 6,
    "error": 7,
}
_FOREIGN: Final = 4


class Ended(NamedTuple):
    """An attempt of which nothing more is expected.

    Attributes:
        facts: what the worker measured, as it was packed; None if it sent nothing.
        before: how many attempts another plugin made of this one, before it.
    """

    nodeid: str
    worker: str
    outcome: str
    phases: dict[str, float]
    facts: dict[str, Any] | None = None
    before: int = 0


class _Open:
    """An attempt that is going on; ``foreign`` are the phases that ended in a made-up outcome."""

    __slots__ = ("before", "foreign", "outcome", "phases")

    def __init__(self, before: int = 0) -> None:
        self.outcome = "passed"
        self.phases: dict[str, float] = {}
        self.foreign: tuple[str, ...] = ()
        self.before = before

    def take(self, when: str, outcome: str, seconds: float) -> None:
        # The longest, not the sum: subtests report parts of a call that is reported itself.
        if seconds > self.phases.get(when, -1.0):
            self.phases[when] = seconds
        if outcome == "passed":
            return  # nothing is better
        self.outcome = worse(self.outcome, outcome)
        if outcome not in _RANKS:
            self.foreign += (when,)


class Folding:
    """Folds reports, in the order in which they arrive, into attempts."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], _Open] = {}
        self._last: tuple[str, str, object, object] | None = None

    def take(self, report: Any, worker: str, facts: dict[str, Any] | None) -> Sequence[Ended]:
        """Take one report; return the attempts that it ends.

        Args:
            report: anything with the attributes of a report of pytest, or some of them.
            worker: where it comes from.
            facts: what was measured, if this is the last report of its attempt.
        """
        nodeid, when = getattr(report, "nodeid", ""), getattr(report, "when", "")
        if type(nodeid) is not str or type(when) is not str:
            nodeid, when = _text(nodeid), _text(when)
        if facts is not None:
            # A report that is sent twice tells of one attempt.
            this = (nodeid, worker, facts["attempt"], facts["started"])
            if this == self._last:
                return ()
            self._last = this
        outcome, seconds = getattr(report, "outcome", ""), getattr(report, "duration", None)
        # Nearly all have passed, and each call costs a trivial test a thousandth of its time.
        if outcome != "passed" or hasattr(report, "wasxfail") or is_repeated(report):
            outcome = outcome_of(report)
        if type(seconds) is not float or not 0.0 <= seconds < math.inf:
            seconds = seconds_of(report)
        key = nodeid, worker
        attempt = self._open.get(key)
        ended: tuple[Ended, ...] = ()
        if attempt is None:
            attempt = self._open[key] = _Open()
        elif when in attempt.foreign and not hasattr(report, "context"):
            # Its phase has been run again, by whoever made that outcome up.
            ended = (Ended(nodeid, worker, attempt.outcome, attempt.phases, None, attempt.before),)
            attempt = self._open[key] = _Open(before=attempt.before + 1)
        attempt.take(when, outcome, seconds)
        if facts is None:
            return ended
        del self._open[key]
        # What another plugin kept to itself, as flaky does with the failure that it repeats.
        for phase, (seen, seconds) in facts.get("phases", {}).items():
            if phase not in attempt.phases and not attempt.before:
                attempt.take(phase, seen, seconds)
        if outcome == CRASHED:
            attempt.outcome = CRASHED
        last = Ended(nodeid, worker, attempt.outcome, attempt.phases, facts, attempt.before)
        return (*ended, last)

    def has_open(self) -> bool:
        """Tell whether any attempt is going on."""
        return bool(self._open)

    def finish(self, nodeid: str) -> Iterator[Ended]:
        """Yield the attempts of a test that is over and whose facts nobody sent."""
        for key in [key for key in self._open if key[0] == nodeid]:
            attempt = self._open.pop(key)
            yield Ended(*key, attempt.outcome, attempt.phases, None, attempt.before)

    def drop(self, nodeid: str, worker: str) -> None:
        """Forget an attempt: its worker is dead."""
        self._open.pop((nodeid, worker), None)


def outcome_of(report: Any) -> str:
    """Return what one report says, in the words of the record."""
    outcome = _text(getattr(report, "outcome", ""))
    if is_repeated(report):
        return CRASHED
    if hasattr(report, "wasxfail") and outcome in ("passed", "skipped", "failed"):
        return "xfailed" if outcome == "skipped" else "xpassed"
    if outcome == "failed" and getattr(report, "when", "") in ("setup", "teardown"):
        return "error"
    # A failed attempt that pytest-rerunfailures repeats.
    return "failed" if outcome == "rerun" else outcome


def is_repeated(report: Any) -> bool:
    """Tell whether the report is of an attempt that we repeat, for its browser died."""
    return bool(getattr(report, "sentinel_repeated", False))


def worse(one: str, other: str) -> str:
    """Return the worse of two outcomes; of equally bad ones the second."""
    bad = _RANKS.get(one, _FOREIGN) > _RANKS.get(other, _FOREIGN)
    return one if bad else other


def seconds_of(report: Any) -> float:
    """Return the duration of a report; 0 if it has none that is a length of time."""
    try:
        seconds = float(getattr(report, "duration", None) or 0.0)
    except (TypeError, ValueError):
        return 0.0
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0


def fault_of_exit(code: int | None) -> str:
    """Return whose fault it is that a worker's process ended; negative codes are signals.

    Only code that a process runs can end it with an exit code, such as ``os._exit`` in a test or
    pytest-timeout in its method ``thread``.
    """
    return "infrastructure" if code is None or code < 0 else "product"


def _text(value: object) -> str:
    # Of an enum that is a string too, the string.
    return str.__str__(value) if isinstance(value, str) else str(value)
