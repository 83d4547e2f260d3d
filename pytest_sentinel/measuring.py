"""What the controller makes of its run besides the record: metrics, and verdicts of gates.

It is fed the record's lines. Exporters need prometheus-client; without it a run that asks for
nothing has no ``metrics.om``, and one that asks for more is refused before it begins.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pytest_sentinel.errors import GateError
from pytest_sentinel.settings import Settings
from pytest_sentinel.telemetry.record import End, GateVerdict, Line, Run

if TYPE_CHECKING:
    from pytest_sentinel.gates import Gate, Verdict
    from pytest_sentinel.telemetry.export import Exporter
    from pytest_sentinel.telemetry.samples import Samples

# What is promised, so that panels and alerts draw the same lines.
TARGETS: Final = {
    "acquire_wait_p95_seconds": 0.2,
    "error_ratio": 0.001,
    "utilisation_ratio": 0.8,
    "uptime_ratio": 0.999,
}


class Measuring:
    """The metrics and gates of one run.

    Args:
        directory: where pytest was started; names of files are relative to it.
        complain: called with a sentence for each transport that fails.

    Raises:
        pytest.UsageError: a gate makes no sense, or something that is asked for is not installed.
    """

    def __init__(
        self, settings: Settings, directory: Path, complain: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._complain = complain
        self._exporter: Exporter | None = None
        self._open: Callable[[], Exporter] | None = None
        self.verdicts: list[Verdict] = []
        asked = (settings.metrics, settings.push, settings.textfile)
        self._can_export = importlib.util.find_spec("prometheus_client") is not None
        if any(asked) and not self._can_export:
            raise pytest.UsageError(
                "--sentinel-metrics, -push and -textfile need prometheus-client:"
                " pip install 'pytest-sentinel[metrics]'"
            )
        self._gates: tuple[Gate, ...] = ()
        self._samples: Samples | None = None
        if settings.gates:
            self._read_gates(settings.gates, directory)

    def _read_gates(self, text: str, directory: Path) -> None:
        from pytest_sentinel.gates import needed
        from pytest_sentinel.gating import read_gates
        from pytest_sentinel.telemetry.samples import Samples

        try:
            self._gates = read_gates(text, directory)
        except GateError as error:
            raise pytest.UsageError(f"--sentinel-gates: {error}") from None
        self._samples = Samples(only=needed(self._gates))

    def begin(self, run: Run, directory: Path | None) -> str:
        """Take the run's first line; return the address of the live port, if there is one.

        Without that port nobody sees metrics before there are some, and what makes them is
        imported with the first result: by then xdist's workers are starting, and wait for nothing.
        """
        if self._samples is not None:
            self._samples.add(run)
        settings = self._settings
        asked = (directory, settings.metrics, settings.push, settings.textfile)
        if not self._can_export or not any(asked):
            return ""
        self._open = lambda: self._new_exporter(run, directory)
        return self._begun().address if settings.metrics is not None else ""

    def _begun(self) -> Exporter:
        if self._exporter is None:
            assert self._open is not None
            self._exporter = self._open()
            self._exporter.start()
        return self._exporter

    def _new_exporter(self, run: Run, directory: Path | None) -> Exporter:
        from pytest_sentinel.telemetry.export import Exporter, Wanted
        from pytest_sentinel.telemetry.measures import Measures

        settings = self._settings
        textfile = self._directory / settings.textfile if settings.textfile else None
        wanted = Wanted(
            directory=directory,
            port=settings.metrics,
            linger=settings.metrics_linger or 0.0,
            push=settings.push,
            textfile=textfile,
            grouping=(("suite", run.suite), ("branch_class", run.branch_class)),
        )
        exporter = Exporter(Measures(settings.worker_memory, TARGETS), wanted, self._complain)
        exporter.add(run)
        return exporter

    def add(self, line: Line) -> None:
        """Take a further line of the record."""
        if self._samples is not None:
            self._samples.add(line)
        if self._open is not None:
            self._begun().add(line)

    def judge(self, end: End) -> Iterator[GateVerdict]:
        """Yield what each gate says of a run that ends so, as lines of the record."""
        if self._samples is None:
            return
        from pytest_sentinel.gates import evaluate
        from pytest_sentinel.gating import lines_of, take_coverage

        self._samples.add(end)
        self._samples.settle()
        path = self._settings.coverage_file
        try:
            take_coverage(self._samples, self._directory / path if path else None)
        except GateError as error:
            self._complain(str(error))
        self.verdicts = evaluate(self._gates, self._samples)
        yield from lines_of(self.verdicts)

    def exit_status(self) -> int:
        """Return what the gates make of a run that went well."""
        if not self.verdicts:
            return 0
        from pytest_sentinel.gates import exit_status

        return exit_status(self.verdicts)

    def finish(self) -> dict[str, int]:
        """Send everything off; return how often which transport failed."""
        return self._begun().finish() if self._open is not None else {}

    def close(self) -> None:
        """Wait for a last scrape, if somebody may come, and close."""
        if self._exporter is not None:
            try:
                self._exporter.linger()
            finally:
                self._exporter.close()
