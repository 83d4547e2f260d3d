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

from pytest_sentinel.errors import SentinelError, SettingError
from pytest_sentinel.units import parse_duration

_DEFAULT = "locustfile.py"
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
@click.argument("file", required=False)
@click.option("--users", type=click.IntRange(1), help="Number of users (default: Locust's, 1).")
@click.option("--spawn-rate", type=float, help="Users started per second (default: Locust's, 1).")
@click.option(
    "--time", "seconds", type=_Duration(), help="Duration of the run (default: until Ctrl-C)."
)
@click.option("--host", help="Base URL of the application, such as http://127.0.0.1:8000.")
@click.option("--class", "classes", multiple=True, help="User class to run; can be repeated.")
@click.option("--pool", default="", help="auto, or the ws://HOST:PORT of a service.")
@click.option(
    "--token-file",
    envvar="SENTINEL_TOKEN_FILE",
    show_envvar=True,
    help="File with the token of the service.",
)
@click.option("--slots", type=click.IntRange(1), help="Concurrent iterations on local browsers.")
@click.option("--processes", type=click.IntRange(1), help="Number of Locust worker processes.")
@click.option("--gate", "gates", multiple=True, help="Threshold to check; can be repeated.")
@click.option("--report", help="Write the results of the run to this file as JSON.")
@click.option("--record", help="Write a run record to this file, for sentinel gate and report.")
@click.option("--summary", help="Write statistics by endpoint to this file, for comparing runs.")
@click.option("--artifacts", help="Directory for artifacts of failures (default: sentinel-load).")
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
    file: str | None,
    users: int | None,
    spawn_rate: float | None,
    seconds: float | None,
    classes: tuple[str, ...],
    web_ui: bool,
    inline: bool,
    iterations: int | None,
    dry_run: bool,
    rest: tuple[str, ...],
    **told: Any,
) -> None:
    """Run FILE, a locustfile, with browser users or without.

    FILE may be a directory, or several files with commas between; by default it is what Locust's
    own configuration names, else locustfile.py. What is not given here is up to locust.conf and the
    LOCUST_* environment variables. The exit status is Locust's. With gates it is 0 when all pass,
    99 when one fails, and 98 when there is no data or the figures are unreliable.
    """
    if importlib.util.find_spec("locust") is None:
        raise click.ClickException("Locust is not installed: pip install 'pytest-sentinel[load]'")
    while file is not None and rest and rest[0].endswith(".py"):
        file, rest = f"{file},{rest[0]}", rest[1:]
    try:
        if dry_run:
            click.echo("\n".join(_listing(file or _DEFAULT)))
        elif inline:
            if users not in (None, 1):
                raise click.UsageError("--inline is for one user")
            sys.exit(_inline(file or _DEFAULT, classes, iterations, seconds, told))
        else:
            if file is not None and "://" not in file and file != "-":
                from pytest_sentinel.load.locustfile import check_syntax, files_of

                for path in files_of(file):
                    check_syntax(path)
            command = [*_command(file, users, spawn_rate, seconds, told), *rest, *classes]
            if not web_ui:
                command.insert(3, "headless")
            sys.stdout.flush()
            os.execv(sys.executable, command)  # noqa: S606 - no shell
    except SettingError as error:
        raise click.UsageError(str(error)) from error
    except SentinelError as error:
        raise click.ClickException(str(error)) from error


def _command(
    file: str | None,
    users: int | None,
    spawn_rate: float | None,
    seconds: float | None,
    told: dict[str, Any],
) -> list[str]:
    command = [sys.executable, "-m", "pytest_sentinel.load"]
    if seconds is not None:
        command += ["--run-time", f"{max(1, round(seconds))}s"]
    pairs = [("--locustfile", file), ("--users", users), ("--host", told["host"])]
    pairs += [("--spawn-rate", None if spawn_rate is None else f"{spawn_rate:g}")]
    pairs += [("--processes", told["processes"]), ("--sentinel-token-file", told["token_file"])]
    told_by_name = ("pool", "slots", "report", "record", "summary", "artifacts")
    pairs += [(f"--sentinel-{name}", told[name]) for name in told_by_name]
    for flag, value in pairs:
        if value:
            command += [flag, str(value)]
    for gate in told["gates"]:
        command += ["--sentinel-gate", gate]
    return command + (["--sentinel-headed"] if told["headed"] else [])


def _import(files: str) -> list[Any]:
    from pytest_sentinel.load.locustfile import UNPATCHED, files_of, import_file

    os.environ[UNPATCHED] = "1"
    return [import_file(file) for file in files_of(files)]


def _listing(files: str) -> list[str]:
    """Return the users, tasks and steps of locustfiles."""
    from pytest_sentinel.load.locustfile import classes_in, scenarios_of

    lines = []
    for cls in classes_in(_import(files)):
        by_holder: dict[type, list[Any]] = {}
        for found in scenarios_of(cls):
            by_holder.setdefault(found.holder, []).append(found)
        pool = getattr(cls, "pool", "auto")
        lines.append(f"{cls.__name__}: pool {pool}, isolation {getattr(cls, 'isolation', '')}")
        lines += _tasks(cls, by_holder, "  ", ())
    return lines or [f"{files}: no class of browser users"]


def _tasks(
    holder: Any, by_holder: dict[type, list[Any]], indent: str, above: tuple[type, ...]
) -> list[str]:
    """Return the tasks of a class with their shares, and those of the sets of tasks in it."""
    from pytest_sentinel.load.plan import steps_in

    lines = []
    scenarios = by_holder.get(holder, [])
    total = len(holder.tasks) or 1
    for found in scenarios:
        share = found.task.hook if hasattr(found.task, "hook") else f"{found.weight / total:.0%}"
        lines.append(f"{indent}{found.task.__name__} ({share})")
        lines += [f"{indent}  {step}" for step in steps_in(found.task.scenario)]
    for entry in dict.fromkeys(one for one in holder.tasks if isinstance(one, type)):
        lines.append(f"{indent}{entry.__name__} ({holder.tasks.count(entry) / total:.0%})")
        if entry not in above:
            lines += _tasks(entry, by_holder, indent + "  ", (*above, holder))
    return lines


def _inline(
    files: str,
    names: tuple[str, ...],
    iterations: int | None,
    seconds: float | None,
    told: dict[str, Any],
) -> int:
    from pytest_sentinel.browsers import prepare
    from pytest_sentinel.errors import LocustfileError
    from pytest_sentinel.load.inline import run_one_user
    from pytest_sentinel.load.locustfile import classes_in
    from pytest_sentinel.load.plan import check_pool
    from pytest_sentinel.pool.tokens import read_token_file

    classes = [c for c in classes_in(_import(files)) if not names or c.__name__ in names]
    if not classes:
        raise LocustfileError(files, "has no such class of browser users")
    prepare(os.environ)
    token = told["token_file"]
    work = run_one_user(
        classes[0],
        click.echo,
        host=told["host"],
        pool=check_pool(told["pool"] or getattr(classes[0], "pool", "auto")),
        token=read_token_file(token, "--token-file") if token else None,
        headed=told["headed"],
        iterations=iterations,
        seconds=seconds,
        artifacts=Path(told["artifacts"] or "sentinel-load"),
    )
    try:
        bad = asyncio.run(work)
    except KeyboardInterrupt:
        return 130
    return 1 if bad else 0
