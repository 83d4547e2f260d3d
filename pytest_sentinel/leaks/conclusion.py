"""From what a check has read to its report: the verdict, and a reason in one sentence.

However the check ended. No page and no clock here.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_sentinel.leaks.growth import Growth
from pytest_sentinel.leaks.plan import FEWEST_LEAK
from pytest_sentinel.leaks.runaway import Point, Runaway, speeding
from pytest_sentinel.leaks.suspicion import KIND_OF_COUNT, growing_lately, proven, suspects
from pytest_sentinel.leaks.verdict import Finding, Leak, LeakReport, Rate, Sample, Verdict
from pytest_sentinel.units import format_duration

_MINOR = 16  # times as many bytes has the largest leak of a page that runs away
_FOR_SNAPSHOTS = 10.0  # seconds of a budget, beside those of the iterations


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What was read, and how to judge it.

    Attributes:
        samples: every reading, in order.
        audit: what might have disturbed the measurement.
        points: one for each iteration, as far as growth was watched that closely.
        ignored: names of counters that the caller does not want judged.
        allow: patterns of owners, kinds or fingerprints that may grow.
        raw: the heap snapshots that owners were read from.
        hint: what would have to be installed to name owners; "" if nothing.
    """

    samples: tuple[Sample, ...]
    audit: tuple[Finding, ...] = ()
    points: tuple[Point, ...] = ()
    ignored: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    raw: tuple[bytes, ...] = ()
    hint: str = ""

    def judge(self, found: Sequence[Leak], weak: bool, how: str = "") -> LeakReport:
        """Weigh proven leaks against what is allowed, and against what disturbed the check."""
        allowed = [leak for leak in found if self._is_allowed(leak)]
        leaks = [leak for leak in found if leak not in allowed]
        doubts = [finding for finding in self.audit if finding.doubt]
        if not leaks:
            if weak and not allowed:
                return self.report("INCONCLUSIVE", "something grew, but not with every iteration")
            return self.report("CLEAN", "what grew at first stopped growing", allowed=allowed)
        if doubts:
            reason = f"growth was found, but {doubts[0].text}"
            return self.report("INCONCLUSIVE", reason, leaks, allowed)
        worst = leaks[0]
        how = how or "grows with every iteration"
        return self.report("LEAK", f"{worst.owner or worst.kind} {how}", leaks, allowed)

    def by_counters(self, moving: Sequence[Growth], grown: int) -> LeakReport:
        """Judge without snapshots: exact counters may accuse, bytes only raise a question."""
        leaks = proven(self.samples, self.ignored)
        if leaks:
            return self.judge(leaks, weak=False)
        names = {growth.name for growth in moving}
        growing = growing_lately(self.samples, self.ignored)
        if grown or any(growth.name in names for growth in growing):
            return self.report("INCONCLUSIVE", "bytes grew and no snapshot was taken")
        return self.report("CLEAN", "what grew at first stopped growing")

    def runaway(self, leaks: Sequence[Leak] = ()) -> LeakReport:
        """Report growth that speeds up and is certain, with its owners as far as they are known."""
        surest = speeding(self.points, self.ignored)[0]
        how = (
            f"grows faster and faster: each iteration adds {surest.factor:.2g} times what the one "
            "before added"
        )
        # Two iterations leave much else that is young; what runs away outweighs it.
        most = max((leak.retained_bytes for leak in leaks), default=0)
        leaks = [leak for leak in leaks if leak.retained_bytes * _MINOR >= most]
        return self.judge(leaks or [_unnamed(surest)], weak=False, how=how)

    def too_few(
        self, ran: int, moving: Sequence[Growth], enough: int, in_any_case: int = 0
    ) -> LeakReport:
        """Say that nothing can be said of so few iterations, and how many would do."""
        what = f"{_names(moving)} grew, but" if moving else "nothing grew, but"
        would = f"iterations={enough} would do"
        if in_any_case:
            would += f", or {in_any_case} if something grows"
        reason = f"{what} {ran} iteration{'s' * (ran != 1)} are too few to judge by; {would}"
        return self.report("INCONCLUSIVE", reason.replace("1 iteration are", "1 iteration is"))

    def out_of_time(self, ran: int, seconds: float, pace: float) -> LeakReport:
        """Judge what was read when the budget was used up."""
        needed = FEWEST_LEAK * pace + _FOR_SNAPSHOTS
        needed = max(2 * seconds, round(needed + 5, -1))
        return self.so_far(
            f"the budget of {format_duration(seconds)} was used up after {ran} iterations",
            f"; budget={needed:.0f} would do",
        )

    def so_far(self, end: str, advice: str = "") -> LeakReport:
        """Judge what was read until the check ended early."""
        found = speeding(self.points, self.ignored)
        if found and found[0].is_certain:
            return self.runaway()
        ran = self.samples[-1].iterations if self.samples else 0
        leaks = proven(self.samples, self.ignored) if ran >= FEWEST_LEAK else []
        if leaks:
            return self.judge(leaks, weak=False)
        moving = suspects(self.samples, self.ignored) if len(self.samples) > 1 else []
        what = "too little was seen"
        if len(self.samples) > 1:
            what = f"{_names(moving)} grew until then" if moving else "nothing grew until then"
        return self.report("INCONCLUSIVE", f"{end}; {what}{advice}")

    def report(
        self,
        verdict: Verdict,
        reason: str,
        leaks: Sequence[Leak] = (),
        allowed: Sequence[Leak] = (),
    ) -> LeakReport:
        """Return the report with this verdict; without owners, the reason says what names them."""
        if self.hint and verdict != "CLEAN" and not any(leak.owner for leak in leaks):
            reason = f"{reason}; {self.hint}"
        return LeakReport(
            verdict,
            tuple(leaks),
            self.samples,
            self.audit,
            reason=reason,
            allowed=tuple(allowed),
            snapshots=self.raw if verdict != "CLEAN" else (),
        )

    def _is_allowed(self, leak: Leak) -> bool:
        names = (leak.owner, leak.kind, leak.fingerprint)
        return any(fnmatch.fnmatchcase(name, glob) for glob in self.allow for name in names)


def _unnamed(runaway: Runaway) -> Leak:
    kind = KIND_OF_COUNT.get(runaway.name, "heap")
    is_bytes = runaway.name in ("heap", "buffers")
    return Leak(
        kind=kind,
        owner="",
        constructor="" if is_bytes else runaway.name,
        per_iteration=Rate(0, runaway.last) if is_bytes else Rate(runaway.last, 0),
        evidence=f"{runaway.steps + 1} increments, each {runaway.factor:.2g} times the one before",
    )


def _names(moving: Sequence[Growth]) -> str:
    names = [growth.name for growth in moving]
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
