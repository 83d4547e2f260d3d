"""`sentinel serve`: options in, a running service, an exit code out.

What the options mean stands in pool/options.py and pool/servesettings.py; what a service needs is
imported when one is started.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from pytest_sentinel.addresses import CONTROL_PORT, LEASE_PORT, Address, parse_address
from pytest_sentinel.errors import SentinelError, SettingError
from pytest_sentinel.pool.options import ENGINES, PoolOptions
from pytest_sentinel.pool.servesettings import ServeSettings, read_token
from pytest_sentinel.units import format_size, parse_duration, parse_size

_OFF: Final = ("off", "none")
_DEFAULTS: Final = PoolOptions()


class Word(click.ParamType):  # type: ignore[type-arg] # click has it since 8.4
    """A value that is written as a word: a size, a duration, an address, or off."""

    def __init__(self, name: str, parse: Callable[[str], object], good: str, *words: str) -> None:
        self.name = name
        self._parse = parse
        self._good = good
        self._words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return what the word means: a plain word itself, and None for off."""
        if not isinstance(value, str):
            return value
        text = value.strip().lower()
        if text in self._words:
            return None if text in _OFF else text
        try:
            return self._parse(value)
        except ValueError:
            also = f" or {' or '.join(self._words[:1])}" if self._words else ""
            self.fail(f"{value!r} is no {self.name.lower()}; write it like {self._good}{also}")


DURATION: Final = Word("DURATION", parse_duration, "'30 s'")
DURATION_OR_OFF: Final = Word("DURATION", parse_duration, "'10 m'", *_OFF)
SIZE_OR_OFF: Final = Word("SIZE", parse_size, "'1 GB'", *_OFF)
BUDGET: Final = Word("SIZE", parse_size, "'4 GB'", "auto", *_OFF)
COUNT: Final = Word("NUMBER", int, "4")
COUNT_OR_OFF: Final = Word("NUMBER", int, "500", *_OFF)


def address(default_port: int) -> Word:
    """Return the type of an option that takes an address."""
    return Word("HOST:PORT", lambda text: parse_address(text, default_port), "127.0.0.1:9323")


_EXAMPLES = """\b
Examples:
  sentinel serve --max 4 --min 1
  sentinel serve --listen :9323 --control :9324 --token-file token --log json
  sentinel serve --browser chromium --browser firefox --memory-budget '4 GB'
\b
Then, in any language that Playwright has:
  playwright.chromium.connect("ws://127.0.0.1:9323/chromium?owner=me&wait=30s")
  pytest --sentinel-pool=ws://127.0.0.1:9323
"""


# Flag, its name in PoolOptions or ServeSettings, type, default and help.
_TABLE: Final[tuple[tuple[str, str, click.ParamType[Any], object, str], ...]] = (
    ("--listen", "listen", address(LEASE_PORT), f"127.0.0.1:{LEASE_PORT}",
     "Address that Playwright clients connect to. Other than loopback needs --token-file."),
    ("--control", "control", address(CONTROL_PORT), f"127.0.0.1:{CONTROL_PORT}",
     "Address of health, metrics and commands."),
    ("--browser", "engines", click.Choice(ENGINES), _DEFAULTS.engines,
     "Browser to serve; can be repeated."),
    ("--min", "minimum", COUNT, _DEFAULTS.minimum, "Browsers of each engine to keep warm."),
    ("--max", "maximum", COUNT, _DEFAULTS.maximum,
     "Most browsers, of all engines; one being replaced may run as well."),
    ("--contexts-per-browser", "contexts_per_browser", COUNT, _DEFAULTS.contexts_per_browser,
     "Concurrent leases per browser."),
    ("--max-waiting", "max_waiting", COUNT, _DEFAULTS.max_waiting,
     "Clients that may wait; beyond that, the owner with most of them loses its newest."),
    ("--acquire-timeout", "acquire_timeout", DURATION, _DEFAULTS.acquire_timeout,
     "How long a client waits unless it asks for another time."),
    ("--max-lease", "max_lease", DURATION_OR_OFF, _DEFAULTS.max_lease,
     "Longest duration of a lease."),
    ("--per-owner", "per_owner", COUNT_OR_OFF, _DEFAULTS.per_owner,
     "Concurrent leases per owner; further clients of an owner wait."),
    ("--memory-budget", "memory_budget", BUDGET, _DEFAULTS.memory_budget,
     "Memory (PSS) of all browsers; auto is what the container or machine has left."),
    ("--recycle-after", "recycle_after", COUNT_OR_OFF, _DEFAULTS.recycle_after,
     "Replace a browser after this many leases."),
    ("--max-browser-age", "max_browser_age", DURATION_OR_OFF, _DEFAULTS.max_browser_age,
     "Replace a browser when it is older than this."),
    ("--max-browser-memory", "max_browser_memory", SIZE_OR_OFF, _DEFAULTS.max_browser_memory,
     "Replace a browser that uses more memory (PSS) than this."),
    ("--probe-interval", "probe_interval", DURATION, _DEFAULTS.probe_interval,
     "How often to open and close a page in each browser."),
    ("--probe-timeout", "probe_timeout", DURATION, _DEFAULTS.probe_timeout,
     "Treat a browser as hung when that takes longer."),
    ("--ping-interval", "ping_interval", DURATION_OR_OFF, _DEFAULTS.ping_interval,
     "How often an idle connection is pinged, so that no proxy takes it for dead."),
    ("--launch-timeout", "launch_timeout", DURATION, _DEFAULTS.launch_timeout,
     "How long a browser may take to start."),
    ("--close-timeout", "close_timeout", DURATION, _DEFAULTS.close_timeout,
     "How long a browser may take to close before it is killed."),
    ("--drain-timeout", "drain_timeout", DURATION, 60.0,
     "How long leases may continue after SIGTERM."),
    ("--channel", "channel", click.STRING, None, "Browser channel, such as chrome or msedge."),
    ("--launch-arg", "launch_args", click.STRING, (),
     "Command-line argument for the browser; can be repeated."),
    ("--upstream", "upstream", click.STRING, (),
     "Use browsers of this Playwright server (ws://...) instead of launching them."),
)  # fmt: skip


def _shown(kind: object, default: object) -> object:
    """Return a default as one would write it."""
    if isinstance(default, float):
        unit, seconds = next(
            ((name, size) for name, size in (("h", 3600), ("m", 60)) if default % size == 0),
            ("s", 1),
        )
        return f"{default / seconds:g} {unit}"
    if kind is SIZE_OR_OFF and isinstance(default, int):
        return format_size(default)
    return "off" if default is None and isinstance(kind, Word) else default


def _from_table(command: Callable[..., None]) -> Callable[..., None]:
    for flag, name, kind, default, told in reversed(_TABLE):
        shown = _shown(kind, default)
        command = click.option(
            flag,
            name,
            type=kind,
            default=shown,
            show_default=shown not in (None, ()),
            multiple=isinstance(default, tuple),
            help=told,
        )(command)
    return command


@click.command(epilog=_EXAMPLES)
@_from_table
@click.option("--headed", is_flag=True, help="Show the browser windows.")
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar="SENTINEL_TOKEN_FILE",
    show_envvar=True,
    help="File with the token that clients must send.",
)
@click.option(
    "--log",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Format of the event log on standard output, one event per line.",
)
def serve(
    *,
    listen: Address,
    control: Address,
    token_file: Path | None,
    log: str,
    drain_timeout: float,
    headed: bool,
    **told: Any,
) -> None:
    """Lease browsers to any Playwright client: one connection is one lease.

    On SIGTERM (or Ctrl-C) the service grants no new leases, waits for current leases to end and
    stops; a second signal stops it at once. On SIGHUP it reads the token file again, and goes on; a
    service without a token file stops. The exit status is 0 when every lease ended by itself,
    1 when some were cut off or the service could not start, and 2 for a bad option.
    """

    def read() -> bytes:
        assert token_file is not None
        return read_token(token_file.read_text(), str(token_file))

    try:
        token = None if token_file is None else read()
        settings = ServeSettings(listen, control, token, log, drain_timeout)
        options = PoolOptions(headless=not headed, **told)
        _check_token_file(token_file)
    except SettingError as error:
        raise click.UsageError(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"--token-file: {error}") from error
    try:
        sys.exit(_run(settings, options, None if token_file is None else read))
    except ModuleNotFoundError as error:
        if error.name not in ("aiohttp", "h11", "prometheus_client"):
            raise
        raise click.ClickException(
            f"serving needs {error.name}: pip install 'pytest-sentinel[serve]'"
        ) from error
    except SettingError as error:
        raise click.UsageError(str(error)) from error
    except SentinelError as error:
        raise click.ClickException(str(error)) from error


def _check_token_file(path: Path | None) -> None:
    """Say that others can read the token; it may be meant so, as a secret mounted read-only."""
    if path is not None and path.stat().st_mode & 0o004:
        click.echo(f"sentinel: every user of this machine can read {path}", err=True)


def _run(
    settings: ServeSettings, options: PoolOptions, read_token: Callable[[], bytes] | None
) -> int:
    from pytest_sentinel.browsers import prepare
    from pytest_sentinel.pool.eventlog import FORMATS, EventLog
    from pytest_sentinel.pool.serving import Serving

    if not options.upstream:
        prepare(os.environ)
    log = EventLog(sys.stdout, FORMATS[settings.log])

    async def run() -> int:
        return await Serving(settings, options, log, read_token).run()

    try:
        return asyncio.run(run())
    finally:
        log.close()
