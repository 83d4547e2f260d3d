"""`sentinel report`: the record of a finished run as HTML, JUnit or CTRF."""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import click

from pytest_sentinel import comparereport, comparing
from pytest_sentinel.gates import WITHOUT_DATA
from pytest_sentinel.reportdata import as_ctrf, as_junit, tell
from pytest_sentinel.telemetry.journal import find_record, iterate_record

_LATEST = Path(".sentinel/runs/latest")


class Share(click.ParamType):  # type: ignore[type-arg] # click has it since 8.4
    """A share, written ``10%`` or ``0.1``."""

    name = "share"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the share as a number."""
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = -1.0
        if not 0 <= share < 10:
            self.fail(f"{value!r} is no share; write it like 10% or 0.1", param, ctx)
        return share


@click.command(epilog="Example: sentinel report --html report.html && xdg-open report.html")
@click.argument("record", required=False, type=click.Path(path_type=Path))
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Output path.  [default: report.html beside the record]",
)  # fmt: skip
@click.option(
    "--junit", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write JUnit XML instead of HTML (or besides it, with --html).",
)  # fmt: skip
@click.option(
    "--ctrf", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write CTRF JSON instead of HTML (or besides it, with --html).",
)  # fmt: skip
@click.option(
    "--compare", "baseline", type=click.Path(exists=True, path_type=Path), metavar="BASELINE",
    help="Compare with another run instead: a record, or the summary of a load run (JSON).",
)  # fmt: skip
@click.option(
    "--threshold", type=Share(), default="10%", show_default=True,
    help="With --compare: treat smaller changes as the same.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(list(comparereport.FORMATS)), default="table",
    show_default=True, help="With --compare: output format.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="With --compare: the same as --format json.")
@click.option(
    "--fail-on", type=click.Choice([comparing.WORSE]),
    help="With --compare: exit with 1 if anything is worse, and with 98 if a run is unreliable.",
)  # fmt: skip
def report(
    *,
    record: Path | None,
    html: Path | None,
    junit: Path | None,
    ctrf: Path | None,
    baseline: Path | None,
    threshold: float,
    form: str,
    as_json: bool,
    fail_on: str | None,
) -> None:
    """Render RECORD (a file or directory) as a self-contained HTML report.

    RECORD defaults to the last run of this directory. Killed runs are reported up to the last
    finished test. With --compare, RECORD can also be the summary of a load run; a difference within
    noise is never called worse.
    """
    path = (record or _LATEST).resolve()
    if baseline is not None:
        _compare(baseline, path, threshold, "json" if as_json else form, fail_on)
        return
    try:
        file = find_record(path).resolve()
        directory = file.parent
        story = tell(iterate_record(file), directory)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"no readable record: {error}") from None
    for target, write in ((junit, as_junit), (ctrf, as_ctrf)):
        if target is not None:
            target.write_text(write(story))
            click.echo(target)
    if html is None and (junit or ctrf):
        return
    if not all(map(importlib.util.find_spec, ("jinja2", "plotly"))):
        raise click.ClickException(
            "the HTML report needs jinja2 and plotly: pip install 'pytest-sentinel[report]'"
        )
    from pytest_sentinel.htmlreport import write_html

    target = html or directory / "report.html"
    target.write_text(write_html(story))
    click.echo(target)


def _compare(before: Path, after: Path, threshold: float, form: str, fail_on: str | None) -> None:
    one, two = _read(before), _read(after)
    lines = comparing.compare(one, two, threshold)
    doubts = one.doubts + two.doubts
    click.echo(comparereport.FORMATS[form](lines, doubts), nl=False)
    if fail_on is not None and doubts:
        sys.exit(WITHOUT_DATA)
    sys.exit(1 if fail_on is not None and comparing.is_worse(lines) else 0)


def _read(path: Path) -> comparing.Told:
    """Return what a run tells: a record has many lines of JSON, a summary is one value."""
    try:
        if path.is_file():
            summary = _summary(path)
            if summary is not None:
                return comparing.read_summary(summary)
        lines = iterate_record(path)
        first = next(lines, None)
        if first is not None:
            return comparing.read_lines(itertools.chain([first], lines))
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{path}: {error}") from None
    raise click.ClickException(f"{path} is neither a record nor the summary of a load run")


def _summary(path: Path) -> dict[str, Any] | None:
    """Return the summary in a file; None if it is a record, which may be long."""
    with path.open() as file:
        try:
            is_record = "kind" in json.loads(file.readline())
        except (ValueError, TypeError):
            is_record = False
        if is_record:
            return None
        file.seek(0)
        try:
            found = json.load(file)
        except ValueError:
            return None
    return found if isinstance(found, dict) and "kind" not in found else None
