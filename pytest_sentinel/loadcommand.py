"""`sentinel load`: run a locustfile with browser users, look at one user, or only look at the file.

A run is a run of Locust in this process's place; its own options follow after ``--``.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import click

from pytest_sentinel.errors import SentinelError
from pytest_sentinel.units import parse_duration

_EXAMPLES = """\b
Examples:
  sentinel load run loadtests/browser.py --users 8 --time '60 s'
  sentinel load run loadtests/browser.py --users 1 --headed --inline
  sentinel load run loadtests/browser.py --dry-run
  sentinel load run loadtests/mixed.py --users 12 --pool ws://127.0.0.1:9323 -- --csv out
"""


class _Duration(click.ParamType):  # type: ignore[type-arg] # click has it since 8.4
    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the seconds that a word names."""
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error))


@click.group()
def load() -> None:
    """Load-test an application with real browsers and Locust."""


@load.command(epilog=_EXAMPLES)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--users", type=click.IntRange(1), default=1, show_default=True, help="Number of users."
)
@click.option(
    "--spawn-rate", type=float, default=1.0, show_default=True, help="Users started per second."
)
@click.option(
    "--time", "seconds", type=_Duration(), help="Duration of the run (default: until Ctrl-C)."
)
@click.option("--host", help="Base URL of the application, such as http://127.0.0.1:8000.")
@click.option("--class", "classes", multiple=True, help="User class to run; can be repeated.")
@click.option("--pool", default="", help="auto, or the ws://HOST:PORT of a service.")
@click.option("--slots", type=click.IntRange(1), help="Concurrent iterations on local browsers.")
@click.option("--processes", type=click.IntRange(1), help="Number of Locust worker processes.")
@click.option("--gate", "gates", multiple=True, help="Threshold to check; can be repeated.")
@click.option("--report", help="Write the results of the run to this file as JSON.")
@click.option("--record", help="Write a run record to this file, for sentinel gate and report.")
@click.option("--summary", help="Write statistics by endpoint to this file, for comparing runs.")
@click.option("--artifacts", default="sentinel-load", show_default=True,
              help="Directory for artifacts of failures.")  # fmt: skip
@click.option("--headed", is_flag=True, help="Show the browser windows.")
@click.option(
    "--web-ui", is_flag=True, help="Start Locust's web interface and wait for a start from there."
)
@click.option("--inline", is_flag=True, help="Run one user in this process, for debugging.")
@click.option("--iterations", type=click.IntRange(1), help="With --inline: number of iterations.")
@click.option(
    "--dry-run", is_flag=True, help="Import the file and list its users, tasks and gates."
)
@click.argument("rest", nargs=-1, type=click.UNPROCESSED)
def run(
    *,
    file: Path,
    users: int,
    spawn_rate: float,
    seconds: float | None,
    classes: tuple[str, ...],
    web_ui: bool,
    inline: bool,
    iterations: int | None,
    dry_run: bool,
    rest: tuple[str, ...],
    **told: Any,
) -> None:
    """Run FILE, a locustfile with users of pytest_sentinel.load.BrowserUser.

    The exit status is Locust's. With gates it is 0 when all pass, 99 when one fails, and 98 when
    there is no data or the figures are unreliable.
    """
    if importlib.util.find_spec("locust") is None:
        raise click.ClickException("Locust is not installed: pip install 'pytest-sentinel[load]'")
    try:
        if dry_run:
            click.echo("\n".join(_listing(file)))
        elif inline:
            if users != 1:
                raise click.UsageError("--inline is for one user")
            sys.exit(_inline(file, classes, iterations, seconds, told))
        else:
            command = [*_command(file, users, spawn_rate, seconds, told), *rest, *classes]
            if not web_ui:
                command.append("--headless")
            sys.stdout.flush()
            os.execv(sys.executable, command)  # noqa: S606 - no shell
    except SentinelError as error:
        raise click.ClickException(str(error)) from error


def _command(
    file: Path, users: int, spawn_rate: float, seconds: float | None, told: dict[str, Any]
) -> list[str]:
    command = [sys.executable, "-m", "locust", "-f", str(file)]
    command += ["--users", str(users), "--spawn-rate", f"{spawn_rate:g}"]
    if seconds is not None:
        command += ["--run-time", f"{max(1, round(seconds))}s"]
    pairs = [("--host", told["host"]), ("--processes", told["processes"])]
    told_by_name = ("pool", "slots", "report", "record", "summary")
    pairs += [(f"--sentinel-{name}", told[name]) for name in told_by_name]
    pairs += [("--sentinel-artifacts", told["artifacts"])]
    for flag, value in pairs:
        if value:
            command += [flag, str(value)]
    for gate in told["gates"]:
        command += ["--sentinel-gate", gate]
    return command + (["--sentinel-headed"] if told["headed"] else [])


def _import(file: Path) -> Any:
    from pytest_sentinel.load.locustfile import UNPATCHED, import_file

    os.environ[UNPATCHED] = "1"
    return import_file(file)


def _listing(file: Path) -> list[str]:
    """Return the users, tasks and steps of a file."""
    from pytest_sentinel.load.locustfile import classes_in, scenarios_of
    from pytest_sentinel.load.plan import steps_in

    lines = []
    for cls in classes_in([_import(file)]):
        scenarios = scenarios_of(cls)
        total = sum(found.weight for found in scenarios) or 1
        pool = getattr(cls, "pool", "auto")
        lines.append(f"{cls.__name__}: pool {pool}, isolation {getattr(cls, 'isolation', '')}")
        for found in scenarios:
            lines.append(f"  {found.task.__name__} ({found.weight / total:.0%})")
            lines += [f"    {step}" for step in steps_in(found.task.scenario)]
    return lines or [f"{file}: no class of browser users"]


def _inline(
    file: Path,
    names: tuple[str, ...],
    iterations: int | None,
    seconds: float | None,
    told: dict[str, Any],
) -> int:
    from pytest_sentinel.browsers import prepare
    from pytest_sentinel.errors import LocustfileError
    from pytest_sentinel.load.inline import run_one_user
    from pytest_sentinel.load.locustfile import classes_in, scenarios_of
    from pytest_sentinel.load.plan import check_pool

    classes = [c for c in classes_in([_import(file)]) if not names or c.__name__ in names]
    if not classes:
        raise LocustfileError(str(file), "has no such class of browser users")
    prepare(os.environ)
    pool = check_pool(told["pool"] or getattr(classes[0], "pool", "auto"))
    work = run_one_user(
        scenarios_of(classes[0]),
        click.echo,
        host=told["host"],
        pool=pool,
        headed=told["headed"],
        iterations=iterations,
        seconds=seconds,
        artifacts=Path(told["artifacts"]),
    )
    try:
        bad = asyncio.run(work)
    except KeyboardInterrupt:
        return 130
    return 1 if bad else 0
