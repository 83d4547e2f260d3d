"""`sentinel gate`: hold the records of finished runs to thresholds, and exit by the verdict."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pytest_sentinel import gatereport
from pytest_sentinel.errors import GateError
from pytest_sentinel.gates import PRESETS, evaluate, exit_status, needed
from pytest_sentinel.gating import read_gates, take_coverage
from pytest_sentinel.telemetry.journal import iterate_record
from pytest_sentinel.telemetry.samples import MEASURED, from_lines
from pytest_sentinel.telemetry.unfinished import Unfinished

_LATEST = Path(".sentinel/runs/latest")


def _explain(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if not asked:
        return
    for name, measured in MEASURED.items():
        unit = f", {measured.unit}" if measured.unit else ""
        click.echo(f"{name:<20} {measured.shape}{unit}: {measured.help}")
    context.exit()


@click.command(
    epilog="Example: sentinel gate -g 'browser_tests: p(95) < 2s' -g 'leaks: count == 0'"
)
@click.argument("records", metavar="[RECORD]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--gate", "-g", "given", multiple=True, metavar="GATE",
    help="A gate, or a file of gates; can be repeated.",
)  # fmt: skip
@click.option("--preset", type=click.Choice(list(PRESETS)), help="Gates that come along.")
@click.option(
    "--coverage", type=click.Path(path_type=Path), metavar="FILE",
    help="Coverage report that coverage gates read: coverage.json or coverage.xml.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(list(gatereport.FORMATS)), default="table",
    show_default=True, help="Output format.",
)  # fmt: skip
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write the result to FILE as well as printing the table.",
)  # fmt: skip
@click.option(
    "--metrics", is_flag=True, is_eager=True, expose_value=False, callback=_explain,
    help="List the metrics that gates can use, and exit.",
)  # fmt: skip
def gate(
    *,
    records: tuple[Path, ...],
    given: tuple[str, ...],
    preset: str | None,
    coverage: Path | None,
    form: str,
    output: Path | None,
) -> None:
    """Check gates against the runs in RECORD (files or directories), taken together.

    RECORD defaults to the last run of this directory. The exit status is 0 when every gate passes,
    99 when one fails, 98 when one has no data, and 2 when a gate is invalid.
    """
    here = Path.cwd()
    try:
        wanted = [read_gates(text, here) for text in ([preset] if preset else []) + list(given)]
        gates = [gate for some in wanted for gate in some]
        if not gates:
            raise click.UsageError("name a gate with --gate, or a --preset")
        unfinished = Unfinished()
        lines = (line for path in records or (_LATEST,) for line in iterate_record(path))
        samples = from_lines(unfinished.follow(lines), needed(gates))
        take_coverage(samples, coverage)
    except (GateError, OSError, ValueError) as error:
        raise click.UsageError(str(error)) from None
    verdicts, doubts = evaluate(gates, samples), unfinished.notes()
    if output is not None:
        output.write_text(gatereport.FORMATS[form](verdicts, doubts))
        form = "table"
    click.echo(gatereport.FORMATS[form](verdicts, doubts), nl=False)
    sys.exit(exit_status(verdicts))
