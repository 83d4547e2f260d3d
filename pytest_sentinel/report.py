"""Turn a digest into text for a terminal: the closing section. Writes nothing itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sentinel.telemetry.catalogue import FAILURES
from pytest_sentinel.telemetry.digest import Digest, growth
from pytest_sentinel.telemetry.record import Attempt
from pytest_sentinel.telemetry.unfinished import in_short
from pytest_sentinel.units import MIB, format_duration, format_size

if TYPE_CHECKING:
    from pytest_sentinel.gates import Verdict

_WIDEST_NAME = 90
_MOST_CRASHES = 5
_MOST_LEAKS = 8
_MOST_CAUSES = 2
_NOTABLE_GROWTH = 64 * MIB  # any page costs some 40 MiB; that is no appetite


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the closing section; ``tone`` is good, bad or plain."""

    text: str
    tone: str = "plain"


def closing_section(
    digest: Digest,
    *,
    worker_limit: int,
    top: int,
    record: str,
    verdicts: Sequence[Verdict] = (),
) -> Iterator[Row]:
    """Yield the closing section, most important first, never more than a screen.

    Args:
        digest: what happened.
        worker_limit: bytes of PSS that a worker should stay below.
        top: how many slowest and hungriest tests to name.
        record: where the run record is; empty when none is kept.
        verdicts: what gates say.
    """
    yield from _gates(verdicts)
    yield from _faults(digest)
    yield from _crashes(digest)
    yield from _workers(digest)
    yield from _unfinished(digest)
    yield from _launch_failures(digest)
    yield from _leaks(digest)
    if digest.launched or digest.launch_failures or not digest.leaks:
        yield Row(_browsers(digest))
    yield from _memory(digest, worker_limit)
    if top:
        yield from _ranking("slowest", digest.slowest(top), lambda a: format_duration(a.seconds))
        hungry = [line for line in digest.hungriest(top) if growth(line) >= _NOTABLE_GROWTH]
        yield from _ranking("hungriest", hungry, lambda a: f"+{format_size(growth(a))}")
    if record:
        yield Row(f"record     {record}")


def one_line(digest: Digest, verdicts: Sequence[Verdict] = ()) -> Row | None:
    """Return the one line that is worth breaking the silence of ``-q``, or None."""
    parts = []
    dead = digest.dead_workers()
    if any((dead, digest.crashes, digest.launch_failures, digest.driver_deaths)):
        parts.append(_browsers(digest).removeprefix("browsers").strip())
    if dead:
        parts.append(f"{'worker' if len(dead) == 1 else 'workers'} {in_short(dead)} died")
    if digest.leaks:
        parts.append(f"{digest.leaks.total()} left open")
    parts += [f"gate {row.gate.name}: {row.state.value}" for row in verdicts if _is_bad(row)]
    return Row(f"sentinel: {', '.join(parts)}", "bad") if parts else None


def _gates(verdicts: Sequence[Verdict]) -> Iterator[Row]:
    if not verdicts:
        return
    from pytest_sentinel.gatereport import as_rows  # most runs have no gates

    for state, name, reason in as_rows([row for row in verdicts if _is_bad(row)]):
        yield Row(f"gate       {state:<9} {name}: {reason}", "bad")
    good = sum(not _is_bad(row) for row in verdicts)
    if good:
        yield Row(f"gates      {good} of {len(verdicts)} pass", "good")


def _is_bad(verdict: Verdict) -> bool:
    return verdict.state.value != "pass"


def _faults(digest: Digest) -> Iterator[Row]:
    """Whose fault failures were, where not all of them are the product's."""
    if digest.failures.keys() - {"product"}:
        told = ", ".join(f"{digest.failures[kind]} {kind}" for kind in FAILURES)
        yield Row(f"failures   {told}", "bad")


def _browsers(digest: Digest) -> str:
    # What a worker that died did after its last report is lost where nobody could look.
    least = "at least " if any(line.partial for line in digest.worker_deaths) else ""
    parts = [f"{least}{digest.launched} launched"]
    recycled = sum(digest.recycled.values())
    if recycled:
        reasons = ", ".join(f"{reason} {n}" for reason, n in digest.recycled.most_common())
        parts.append(f"{recycled} recycled ({reasons})")
    if digest.replaced:
        parts.append(f"{digest.replaced} replaced after a crash")
    if digest.deferred:
        parts.append(f"{digest.deferred} kept although worn (contexts stayed open)")
    if digest.launch_failures:
        failed = sum(digest.launch_failures.values())
        parts.append(f"{failed} {'launch' if failed == 1 else 'launches'} failed")
    if digest.driver_deaths:
        parts.append(f"Playwright's driver died {digest.driver_deaths} x")
    crashes = len(digest.crashes)
    if crashes:
        parts.append(f"{crashes} crashed, {digest.survived} survived")
    return f"browsers   {', '.join(parts)}"


def _crashes(digest: Digest) -> Iterator[Row]:
    for line in digest.crashes[:_MOST_CRASHES]:
        assert line.crash is not None
        memory = f", {format_size(line.crash.memory)}" if line.crash.memory else ""
        fate = "run again" if line.outcome == "crashed" else line.outcome
        yield Row(
            f"crashed    {_short(line.nodeid)}: {line.crash.what}{memory} [attempt {line.attempt}:"
            f" {fate}]",
            "bad",
        )
    yield from _hidden(len(digest.crashes) - _MOST_CRASHES, "crash", "crashes")


def _workers(digest: Digest) -> Iterator[Row]:
    dead = digest.dead_workers()
    for worker, test in list(dead.items())[:_MOST_CRASHES]:
        during = f"while running {_short(test)}" if test else "while it ran no test"
        yield Row(f"worker     {worker} died {during}", "bad")
    yield from _hidden(len(dead) - _MOST_CRASHES, "worker", "workers")


def _unfinished(digest: Digest) -> Iterator[Row]:
    tests = digest.unfinished.tests()
    if tests:
        word = "test was" if len(tests) == 1 else "tests were"
        yield Row(
            f"unfinished {len(tests)} {word} interrupted: {in_short(map(_short, tests))}", "bad"
        )


def _launch_failures(digest: Digest) -> Iterator[Row]:
    for cause, count in digest.launch_failures.most_common(_MOST_CAUSES):
        yield Row(f"launch     failed {count} x: {cause}", "bad")
    yield from _hidden(len(digest.launch_failures) - _MOST_CAUSES, "cause", "causes")


def _hidden(count: int, one: str, several: str) -> Iterator[Row]:
    if count > 0:
        yield Row(f"           and {count} more {one if count == 1 else several}", "bad")


def _leaks(digest: Digest) -> Iterator[Row]:
    for (kind, where), count in digest.leaks.most_common(_MOST_LEAKS):
        times = f"{count} x " if count > 1 else ""
        what = f"page keeps {where}" if kind == "page-leak" else f"{kind} opened at {where}"
        yield Row(f"leaked     {times}{what}", "bad")
    hidden = len(digest.leaks) - _MOST_LEAKS
    if hidden > 0:
        places = "place" if hidden == 1 else "places"
        yield Row(f"           and from {hidden} more {places}, see the record", "bad")


def _memory(digest: Digest, limit: int) -> Iterator[Row]:
    if not digest.peaks:
        return
    worker, peak = max(digest.peaks.items(), key=lambda entry: entry[1])
    where = f" in {worker}" if len(digest.peaks) > 1 else ""
    # Nobody knows what a worker held that died under its test.
    least = "at least " if digest.dead_workers() else ""
    text = f"memory     worker peak {least}{format_size(peak)} of {format_size(limit)}{where}"
    parts = "Python + driver + browsers, PSS"
    yield Row(f"{text} ({parts})", "bad" if peak > limit else "good")


def _ranking(title: str, lines: list[Attempt], value: object) -> Iterator[Row]:
    assert callable(value)
    for index, line in enumerate(lines):
        yield Row(f"{title if index == 0 else '':<10} {value(line):>9}  {_short(line.nodeid)}")


def _short(nodeid: str) -> str:
    return nodeid if len(nodeid) <= _WIDEST_NAME else f"...{nodeid[-_WIDEST_NAME:]}"
