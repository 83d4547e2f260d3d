"""The `sentinel` command: options in, exit code out.

Each subcommand's work lives in a module of its own; what that needs is imported when it runs.
"""

from __future__ import annotations

import os
import sys

import click
from rich.console import Console

from pytest_sentinel.errors import SentinelError
from pytest_sentinel.gatecommand import gate
from pytest_sentinel.heapcommand import heap
from pytest_sentinel.loadcommand import load
from pytest_sentinel.reportcommand import report
from pytest_sentinel.servecommand import serve
from pytest_sentinel.statuscommand import drain, health, resize, restart, status
from pytest_sentinel.version import __version__


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: sentinel doctor || sentinel install-browser",
)
@click.version_option(__version__, prog_name="sentinel")
def main() -> None:
    """Tools for the browsers of a pytest-playwright suite."""


@main.command(epilog="Example: sentinel doctor --json > doctor.json")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option("--no-launch", is_flag=True, help="Do not launch the browser.")
def doctor(*, as_json: bool, no_launch: bool) -> None:
    """Check that browser tests can run here; print a fix for each problem.

    The exit status is 1 when something would make tests fail, else 0.
    """
    from pytest_sentinel import doctor as work

    with Console(stderr=True).status("looking around"):
        findings = list(work.examine(launch=not no_launch))
    if as_json:
        click.echo(work.as_json(findings))
    else:
        Console().print(work.table(findings))
    sys.exit(0 if work.is_healthy(findings) else 1)


@main.command("install-browser", epilog="Example: sentinel install-browser && pytest")
@click.option(
    "--engine",
    type=click.Choice(["chromium", "firefox", "webkit"]),
    default="chromium",
    show_default=True,
    help="Browser engine to install.",
)
@click.option(
    "--system",
    is_flag=True,
    help="Use the system's packages (apt) instead of Playwright's download.",
)
def install_browser(*, engine: str, system: bool) -> None:
    """Install a browser and ffmpeg, with `playwright install` or else with apt.

    Does nothing where both are usable. The exit status is 1 when neither way worked.
    """
    from pytest_sentinel import install as work

    try:
        click.echo(work.install(engine, os.environ, click.echo, system=system))
    except SentinelError as error:
        raise click.ClickException(str(error)) from error


for command in (gate, heap, load, report, serve, status, health, restart, drain, resize):
    main.add_command(command)


if __name__ == "__main__":
    main(prog_name="sentinel")
