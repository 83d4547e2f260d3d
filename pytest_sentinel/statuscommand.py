"""`sentinel status`, `health`, `restart`, `drain` and `resize`: talk to a running service.

Each asks its control port one thing, and says the answer to a person, or as JSON. They know the
service by its answers alone.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pytest_sentinel.addresses import CONTROL_PORT, Address, parse_control
from pytest_sentinel.errors import SentinelError, SettingError
from pytest_sentinel.pool.asking import ask, ask_for_facts
from pytest_sentinel.units import format_duration, format_size

_PLAIN_WIDTH: Final = 120
_WATCH_EVERY: Final = 1.0
_LONGEST_WORDS: Final = 2000  # of a refusal
_TONES: Final = {"ok": "green", "degraded": "yellow", "failing": "red", "ready": "green"}


class Place(click.ParamType):  # type: ignore[type-arg] # click has it since 8.4
    """The address of a control port."""

    name = "HOST:PORT"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Address:
        """Return the address that the text names."""
        if isinstance(value, Address):
            return value
        try:
            return parse_control(value)
        except ValueError as error:
            self.fail(f"{value!r} {error}; write it like 127.0.0.1:{CONTROL_PORT}", param, ctx)


def _to_service(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say where the service is."""
    command = click.option(
        "--timeout",
        type=click.FloatRange(0.1, 3600),
        default=5.0,
        show_default=True,
        metavar="SECONDS",
        help="Timeout for the answer.",
    )(command)
    command = click.option(
        "--token-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        envvar="SENTINEL_TOKEN_FILE",
        show_envvar=True,
        help="File with the service's token.",
    )(command)
    return click.option(
        "--control",
        type=Place(),
        default=f"127.0.0.1:{CONTROL_PORT}",
        show_default=True,
        envvar="SENTINEL_CONTROL",
        show_envvar=True,
        help="The control port of the service.",
    )(command)


def _token(path: Path | None) -> str | None:
    """Return the token of a service.

    Raises:
        click.UsageError: the file holds none.
    """
    from pytest_sentinel.pool.tokens import read_token_file

    try:
        return None if path is None else read_token_file(path, "--token-file")
    except SettingError as error:
        raise click.UsageError(str(error)) from None


def _told(status: int, text: str) -> str:
    """Return a good answer.

    Raises:
        click.ClickException: it is a refusal.
    """
    if status >= 400:
        words = text.strip().removeprefix("sentinel: ")[:_LONGEST_WORDS]
        raise click.ClickException(words or f"status {status}")
    return text


@contextmanager
def _of_service(control: Address) -> Iterator[None]:
    """Turn an answer that no service of this version gives, or none at all, into one sentence."""
    try:
        yield
    except SentinelError as error:
        raise click.ClickException(str(error)) from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        problem = f"the server at {control} is not a sentinel service of this version"
        raise click.ClickException(problem) from error


def _command(control: Address, path: str, **how: Any) -> dict[str, Any]:
    """Have the service do something; return what it says."""
    with _of_service(control):
        found = json.loads(_told(*ask(control, path, method="POST", **how)))
        return dict(found.items())


@click.command(epilog="Example: sentinel status --watch")
@_to_service
@click.option("--watch", is_flag=True, help="Refresh every second until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print the full answer as JSON.")
def status(
    *, control: Address, token_file: Path | None, timeout: float, watch: bool, as_json: bool
) -> None:
    """Show the browsers, leases and queue of a running service.

    The exit status is 1 when the service cannot be reached or rejects the token.
    """

    def read() -> dict[str, Any]:
        answer = ask(control, "/status", token=_token(token_file), timeout=timeout)
        return dict(json.loads(_told(*answer)).items())

    def table() -> RenderableType:
        with _of_service(control):
            return picture(read())

    if as_json:
        with _of_service(control):
            click.echo(json.dumps(read(), indent=2))
        return
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
    if watch:
        _keep_showing(console, table)
    else:
        console.print(table())


def _keep_showing(console: Console, table: Callable[[], RenderableType]) -> None:
    """Show the table every second: in its place on a terminal, else one below the other."""
    pause = threading.Event()
    try:
        if not console.is_terminal:
            while True:
                console.print(table())
                pause.wait(_WATCH_EVERY)
        with Live(table(), console=console, auto_refresh=False, screen=True) as live:
            while not pause.wait(_WATCH_EVERY):
                live.update(table(), refresh=True)
    except KeyboardInterrupt:
        return


@click.command(epilog="Example: sentinel health || sentinel status")
@_to_service
@click.option("--json", "as_json", is_flag=True, help="Print the full answer as JSON.")
@click.option("--ready", is_flag=True, help="Check instead whether a lease would be granted now.")
def health(
    *, control: Address, token_file: Path | None, timeout: float, as_json: bool, ready: bool
) -> None:
    """Check the health of a running service.

    The exit status is 0 for ok and degraded (it serves; the output names the problem), and 1 for
    failing and for a service that does not answer.
    """
    path = "/ready" if ready else "/health"
    with _of_service(control):
        answered, facts = ask_for_facts(control, path, token=_token(token_file), timeout=timeout)
        if as_json:
            click.echo(json.dumps(facts, indent=2))
        elif ready:
            click.echo("ready" if facts["ready"] else f"not ready: {facts['reason']}")
        else:
            click.echo(facts["status"])
            for part in facts["components"]:
                if part["status"] != "ok":
                    click.echo(f"  {part['name']}: {part['status']}: {part['detail']}")
    sys.exit(0 if answered == 200 else 1)


@click.command(epilog="Example: sentinel restart && sentinel status --watch")
@_to_service
def restart(*, control: Address, token_file: Path | None, timeout: float) -> None:
    """Replace every browser of a running service, one at a time, without losing a lease."""
    facts = _command(control, "/restart", token=_token(token_file), timeout=timeout)
    generation = facts.get("generation")
    click.echo(f"browsers are being replaced; this is generation {generation}")


@click.command(epilog="Example: sentinel drain --wait 60")
@_to_service
@click.option(
    "--wait",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="Wait for the service to stop; fail after SECONDS.",
)
def drain(*, control: Address, token_file: Path | None, timeout: float, wait: float | None) -> None:
    """Stop a running service: no new leases, wait for current ones, then exit."""
    _command(control, "/drain", token=_token(token_file), timeout=timeout)
    if wait is None:
        click.echo("draining; the service stops when all leases have ended")
        return
    pause = threading.Event()
    left = wait
    while left > 0:
        try:
            ask(control, "/ready", timeout=timeout)
        except SentinelError:
            click.echo("the service has stopped")
            return
        pause.wait(min(0.2, left))
        left -= 0.2
    raise click.ClickException(f"the service has not stopped within {format_duration(wait)}")


@click.command(epilog="Example: sentinel resize 8")
@_to_service
@click.argument("maximum", type=click.IntRange(1))
def resize(*, control: Address, token_file: Path | None, timeout: float, maximum: int) -> None:
    """Change the maximum number of browsers of a running service.

    A smaller MAXIMUM takes effect as leases end: none is cut off.
    """
    body = {"maximum": maximum}
    facts = _command(control, "/resize", token=_token(token_file), timeout=timeout, body=body)
    click.echo(f"at most {facts.get('maximum')} browsers")


def picture(facts: dict[str, Any]) -> RenderableType:
    """Return the answer of /status as tables."""
    pool, ready = facts["pool"], facts["readiness"]
    state = "ready" if ready["ready"] else f"not ready ({ready['reason']})"
    memory = pool["memory"]
    budget = f" of {format_size(memory['budget'])}" if memory["budget"] is not None else ""
    waiting = f"{ready['waiting']} waiting"
    if ready.get("held_back"):
        waiting += f" (and {ready['held_back']} for their owner's quota)"
    head = Text()
    head.append(facts["health"], _TONES.get(facts["health"], ""))
    head.append(f", {state}, up {format_duration(facts['uptime'])}, version {facts['version']}\n")
    head.append(
        f"{ready['leased']} of {ready['slots']} slots leased, {waiting},"
        f" {len(pool['browsers'])} of {pool['maximum']} browsers,"
        f" memory {format_size(memory['used'])}{budget}, generation {pool['generation']}"
    )
    return Group(head, *_notes(pool), _browsers(pool["browsers"]), *_leases(pool["leases"]))


def _notes(pool: dict[str, Any]) -> Iterator[RenderableType]:
    if pool["memory"]["paused"]:
        yield Text(f"nothing new is admitted: {pool['memory']['paused']}", "yellow")
    for breaker in pool["breakers"]:
        if breaker["state"] != "closed":
            yield Text(f"breaker of {breaker['key']} {breaker['state']}: {breaker['cause']}", "red")


def _browsers(rows: list[dict[str, Any]]) -> Table:
    table = Table("browser", "engine", "state", "leases", "served", "memory", "age", "probe")
    for row in rows:
        ago = row["last_probe_ago"]
        word = {None: "none yet", True: "ok", False: "failed"}[row["last_probe_ok"]]
        table.add_row(
            row["name"],
            row["engine"],
            Text(row["state"], _TONES.get(row["state"], "")),
            str(row["leases"]),
            str(row["served"]),
            format_size(row["pss"]) if row["pss"] else "",
            format_duration(row["age"]),
            word if ago is None else f"{word}, {format_duration(ago)} ago",
        )
    return table


def _leases(rows: list[dict[str, Any]]) -> Iterator[Table]:
    if not rows:
        return
    table = Table("lease", "owner", "engine", "browser", "age")
    for row in sorted(rows, key=lambda row: -row["age"]):
        table.add_row(
            row["id"], row["owner"], row["engine"], row["browser"], format_duration(row["age"])
        )
    yield table
