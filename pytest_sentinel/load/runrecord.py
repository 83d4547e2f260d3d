"""A load run as a run record, for all that reads one: gates after the fact, reports. Pure.

It has no attempts: what was measured are samples, those that are equal in one line. Durations come
out of histograms, and are known to 1 %.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pytest_sentinel.gates import Verdict
from pytest_sentinel.gating import lines_of as lines_of_gates
from pytest_sentinel.load.outcome import samples_of
from pytest_sentinel.load.tally import Tally
from pytest_sentinel.telemetry.record import End, Line, Run, Sample


def lines_of(run: Run, tally: Tally, verdicts: Iterable[Verdict], end: End) -> list[Line]:
    """Return the record of a run that came to ``tally``."""
    lines: list[Line] = [run]
    for metric, values in samples_of(tally).values.items():
        counts = Counter((value.value, tuple(sorted(value.labels.items()))) for value in values)
        lines += [
            Sample(metric, value, end.finished, dict(labels), count)
            for (value, labels), count in counts.items()
        ]
    return [*lines, *lines_of_gates(verdicts), end]
