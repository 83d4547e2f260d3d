"""What a leak check found: samples, leaks and the report, and how a terminal shows them.

Plain frozen values. Nothing here measures or decides; ``growth`` and ``cohorts`` judge,
``repeat`` fills the report in.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pytest_sentinel.units import format_size

Verdict = Literal["LEAK", "CLEAN", "INCONCLUSIVE"]

SHOWN_LEAKS = 5
SHOWN_SAMPLES = 8


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of the page after garbage collection.

    Attributes:
        iterations: how often the scenario had run before this reading.
        counts: exact integer counters by name, such as ``nodes`` and ``listeners``.
        sizes: bytes by name, such as ``heap``, ``buffers`` and ``native``.
        settled: False when the page was still busy at the time limit.
    """

    iterations: int
    counts: Mapping[str, int]
    sizes: Mapping[str, int] = field(default_factory=dict)
    settled: bool = True


@dataclass(frozen=True, slots=True)
class Rate:
    """Growth per iteration: objects and bytes."""

    count: float
    bytes: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that might have disturbed the measurement, or is worth knowing about it.

    Attributes:
        text: one plain sentence.
        doubt: True when a LEAK cannot be trusted because of it.
    """

    text: str
    doubt: bool = False

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Leak:
    """One growing thing, named after the topmost object that owns the growth.

    Attributes:
        kind: heap, dom, detached-dom, listeners, collection, closure, timer, string,
            array-buffer, document, worker, observer, native.
        owner: readable path from a root, such as ``window.app.cache``; empty if unknown.
        retainer_path: the hops from the root to one leaked object.
        constructor: class of the leaked objects.
        per_iteration: how much each run of the scenario adds.
        retained_bytes: what would be freed if the owner let go.
        location: ``script:line:column`` (1-based) of the code V8 ties to it, or None.
        evidence: how the growth was proven, such as ``5 of 5, then 7 of 7 survivors``.
        retainers: independent owners of the leaked objects; above 1, cutting one frees nothing.
    """

    kind: str
    owner: str
    retainer_path: tuple[str, ...] = ()
    constructor: str = ""
    per_iteration: Rate = Rate(0, 0)
    retained_bytes: int = 0
    location: str | None = None
    evidence: str = ""
    retainers: int = 1

    @property
    def fingerprint(self) -> str:
        """Name this leak in a way that survives a rerun: owner path and class without numbers."""
        steady = [re.sub(r"\d+", "#", part) for part in (self.kind, self.owner, self.constructor)]
        return hashlib.sha256("\n".join(steady).encode()).hexdigest()[:12]

    def __str__(self) -> str:
        count = f"{self.per_iteration.count:g}" if self.per_iteration.count else "growth"
        size = _signed_size(self.per_iteration.bytes) if self.per_iteration.bytes else ""
        what = self.constructor or self.kind
        lines = [f"+{count} {what}{f' ({size})' if size else ''} per iteration  {self.kind}"]
        if self.evidence:
            lines[0] += f"  [{self.evidence}]"
        where = f"  {self.location}" if self.location else ""
        lines.append(f"  owner     {self.owner or 'unknown'}{where}")
        if self.retainer_path:
            lines.append(f"  path      {' -> '.join(self.retainer_path)}")
        if self.retained_bytes:
            hold = "1 owner: cut it and they are free"
            if self.retainers > 1:
                hold = f"{self.retainers} independent owners: cutting one frees nothing"
            lines.append(f"  retained  {format_size(self.retained_bytes)}; {hold}")
        lines.append(f"  id        {self.fingerprint}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class LeakReport:
    """The verdict on a scenario, and everything it rests on.

    Attributes:
        verdict: LEAK, CLEAN or INCONCLUSIVE.
        leaks: what grows, worst first; empty unless something was accused or suspected.
        samples: every reading, in order.
        audit: what might have disturbed the measurement.
        seconds: wall time of the whole check.
        reason: one sentence that explains the verdict.
        allowed: growth that the caller declared to be fine.
        snapshots: the raw V8 snapshots the owners were read from, oldest first.
        ran: how often the scenario ran, when that was more often than the last sample knows.
    """

    verdict: Verdict
    leaks: tuple[Leak, ...] = ()
    samples: tuple[Sample, ...] = ()
    audit: tuple[Finding, ...] = ()
    seconds: float = 0.0
    reason: str = ""
    allowed: tuple[Leak, ...] = ()
    snapshots: tuple[bytes, ...] = field(default=(), repr=False, compare=False)
    ran: int = 0

    @property
    def iterations(self) -> int:
        """Say how often the scenario ran."""
        return max(self.ran, self.samples[-1].iterations if self.samples else 0)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values, without the snapshots."""
        plain = asdict(self)
        del plain["snapshots"]
        for key in ("leaks", "allowed"):
            for entry, leak in zip(plain[key], getattr(self, key), strict=True):
                entry["fingerprint"] = leak.fingerprint
        return plain

    def __str__(self) -> str:
        head = f"{self.verdict}  {self.reason}".rstrip()
        lines = [f"{head}  ({self.iterations} iterations, {self.seconds:.1f} s)"]
        lines.extend(_indent(str(leak)) for leak in self.leaks[:SHOWN_LEAKS])
        if len(self.leaks) > SHOWN_LEAKS:
            lines.append(f"  and {len(self.leaks) - SHOWN_LEAKS} more")
        lines.extend(f"  allowed     {leak.owner or leak.kind}" for leak in self.allowed)
        lines.extend(f"  {line}" for line in sample_lines(self.samples))
        lines.extend(f"  audit       {finding.text}" for finding in self.audit)
        return "\n".join(lines)


def sample_lines(samples: Sequence[Sample]) -> list[str]:
    """Lay out what moved between the samples, and name what stayed flat."""
    if len(samples) < 2:
        return []
    shown = samples[-SHOWN_SAMPLES:]
    lines = [_row("iteration", [str(sample.iterations) for sample in shown])]
    flat = []
    for name in samples[-1].counts:
        values = [sample.counts.get(name, 0) for sample in shown]
        if len(set(values)) == 1:
            flat.append(name)
        else:
            lines.append(_row(name, [str(value) for value in values]))
    for name in samples[-1].sizes:
        sizes = [sample.sizes.get(name, 0) for sample in shown]
        if len(set(sizes)) == 1:
            flat.append(name)
        else:
            steps = [_signed_size(new - old) for old, new in itertools.pairwise(sizes)]
            lines.append(_row(name, [format_size(sizes[0]), *steps]))
    if flat:
        lines.append(_row("flat", [", ".join(flat)]))
    return lines


def _row(name: str, cells: Sequence[str]) -> str:
    return f"{name:<11} {'  '.join(cells)}"


def _signed_size(size: float) -> str:
    return f"{'-' if size < 0 else '+'}{format_size(round(abs(size)))}"


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
