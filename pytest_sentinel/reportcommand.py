"""`sentinel report`: the record of a finished run as HTML, JUnit or CTRF."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import click

from pytest_sentinel.reportdata import as_ctrf, as_junit, tell
from pytest_sentinel.telemetry.journal import read_record

_LATEST = Path(".sentinel/runs/latest")


@click.command(epilog="Example: sentinel report --html report.html && xdg-open report.html")
@click.argument("record", required=False, type=click.Path(path_type=Path))
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Where the page goes.  [default: report.html beside the record]",
)  # fmt: skip
@click.option(
    "--junit", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write JUnit XML instead; with --html, too.",
)  # fmt: skip
@click.option(
    "--ctrf", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write CTRF JSON instead; with --html, too.",
)  # fmt: skip
def report(
    *, record: Path | None, html: Path | None, junit: Path | None, ctrf: Path | None
) -> None:
    """Tell the run in RECORD (a file or directory) in one HTML file that needs no network.

    Without RECORD it is the last run of this directory. A run that was killed is told as far as it
    came.
    """
    path = (record or _LATEST).resolve()
    directory = path if path.is_dir() else path.parent
    try:
        story = tell(read_record(path), directory)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"there is no record to tell: {error}") from None
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
