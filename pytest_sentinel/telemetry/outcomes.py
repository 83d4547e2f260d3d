"""What the reports of an attempt come to: one outcome, and seconds by phase. Pure.

Reports are others' as much as pytest's: a plugin may send any ``outcome`` and any ``when``, a
duration that is no number, a report for a test that never ran, or the same report twice. What a
report holds is taken as it is; an outcome that is not pytest's is a class of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

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


@dataclass(frozen=True, slots=True)
class Ended:
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


@dataclass(slots=True)
class _Open:
    """An attempt that is going on; ``foreign`` are the phases that ended in a made-up outcome."""

    outcome: str = "passed"
    phases: dict[str, float] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    before: int = 0

    def take(self, when: str, outcome: str, seconds: float) -> None:
        self.outcome = worse(self.outcome, outcome)
        # The longest, not the sum: subtests report parts of a call that is reported itself.
        self.phases[when] = max(self.phases.get(when, 0.0), seconds)
        if outcome not in _RANKS:
            self.foreign.add(when)


class Folding:
    """Folds reports, in the order in which they arrive, into attempts."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], _Open] = {}
        self._last: tuple[str, str, object, object] | None = None

    def take(self, report: Any, worker: str, facts: dict[str, Any] | None) -> Iterator[Ended]:
        """Take one report; yield the attempts that it ends.

        Args:
            report: anything with the attributes of a report of pytest, or some of them.
            worker: where it comes from.
            facts: what was measured, if this is the last report of its attempt.
        """
        nodeid = _text(getattr(report, "nodeid", ""))
        when, outcome = _text(getattr(report, "when", "")), outcome_of(report)
        if facts is not None:
            # A report that is sent twice tells of one attempt.
            this = (nodeid, worker, facts["attempt"], facts["started"])
            if this == self._last:
                return
            self._last = this
        key = nodeid, worker
        attempt = self._open.get(key)
        if attempt is None:
            attempt = self._open[key] = _Open()
        elif when in attempt.foreign and not hasattr(report, "context"):
            # Its phase has been run again, by whoever made that outcome up.
            yield Ended(nodeid, worker, attempt.outcome, attempt.phases, None, attempt.before)
            attempt = self._open[key] = _Open(before=attempt.before + 1)
        attempt.take(when, outcome, seconds_of(report))
        if facts is not None:
            del self._open[key]
            # What another plugin kept to itself, as flaky does with the failure that it repeats.
            for phase, (seen, seconds) in facts.get("phases", {}).items():
                if phase not in attempt.phases and not attempt.before:
                    attempt.take(phase, seen, seconds)
            if is_repeated(report):
                attempt.outcome = CRASHED
            yield Ended(nodeid, worker, attempt.outcome, attempt.phases, facts, attempt.before)

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
    outcome, when = _text(getattr(report, "outcome", "")), getattr(report, "when", "")
    if is_repeated(report):
        return CRASHED
    if outcome == "passed" and not hasattr(report, "wasxfail"):
        return outcome  # nearly all are
    if hasattr(report, "wasxfail") and outcome in ("passed", "skipped", "failed"):
        return "xfailed" if outcome == "skipped" else "xpassed"
    if outcome == "failed" and when in ("setup", "teardown"):
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
    if type(value) is str:
        return value
    # Of an enum that is a string too, the string.
    return str.__str__(value) if isinstance(value, str) else str(value)
