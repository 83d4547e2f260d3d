"""Our options of Locust: what they are, and what is wrong with a value, said as it is parsed.

A bad value is one line and exit status 2, as for Locust's own options.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, Final

from pytest_sentinel import gates
from pytest_sentinel.addresses import parse_address
from pytest_sentinel.errors import GateError, SentinelError, SettingError
from pytest_sentinel.load.plan import check_pool
from pytest_sentinel.pool.tokens import TOKEN_FILE, read_token_file

_SENT: Final = (str, int, float, bool, type(None))


def add_options(parser: Any, **_: Any) -> None:
    """Add our options to Locust's."""

    def add(flag: str, help_text: str, **how: Any) -> None:
        shown = {"include_in_web_ui": False, "env_var": flag[2:].replace("-", "_").upper()}
        parser.add_argument(flag, help=help_text, **{**shown, **how})

    add(
        "--sentinel-pool",
        "Where browsers come from: auto, or ws://HOST:PORT of a service.",
        type=_checked(check_pool),
        default="",
    )
    add(
        "--sentinel-slots",
        "Iterations at once on a worker's own browsers (default: by cores and memory).",
        type=_count,
        default=0,
    )
    add("--sentinel-owner", "Whose leases these are, for a service.", default="locust")
    add(
        "--sentinel-token-file",
        "A file with the token of the service.",
        type=_checked(lambda path: read_token_file(path, "--sentinel-token-file")),
        default="",
        env_var=TOKEN_FILE,
    )
    add("--sentinel-artifacts", "The directory for what failures leave.", default="sentinel-load")
    add("--sentinel-headed", "Browsers have windows.", action="store_true", default=False)
    add(
        "--sentinel-launch-arg",
        "An argument for the browsers' command line; may be given again.",
        action="append",
        default=[],
    )
    add(
        "--sentinel-gate",
        "A threshold, such as 'load_requests: p(95) < 2s'; may be given again, and stands in "
        "place of those in the file.",
        type=_checked(gates.parse),
        action="append",
        default=[],
    )
    add("--sentinel-report", "Write what the run came to as JSON into this file.", default="")
    add("--sentinel-summary", "Write figures by endpoint as JSON into this file, to compare runs "
        "by.", default="")  # fmt: skip
    add("--sentinel-record", "Write a run record into this file, for sentinel gate and report.",
        default="")  # fmt: skip
    add("--sentinel-metrics", "Serve Prometheus metrics of the whole run at HOST:PORT (not on "
        "workers).", type=_checked(check_metrics), default="")  # fmt: skip
    add("--sentinel-roles", "Keep browser users and others apart: this many workers, the first "
        "ones, are for browser users alone.", type=_count, default=0)  # fmt: skip


def option(environment: Any, name: str, default: Any = None) -> Any:
    """Return the value of one of our options; the default where Locust has parsed none."""
    parsed = environment.parsed_options
    return default if parsed is None else getattr(parsed, f"sentinel_{name}", default)


def check_metrics(place: str) -> None:
    """Refuse what is no place to listen at.

    Raises:
        SettingError: it is not HOST:PORT.
    """
    problem = ""
    try:
        # A port is left out by mistake only: nobody would find one that the system has chosen.
        if parse_address(place, 0).port == 0 and not place.endswith(":0"):
            problem = "has no port"
    except ValueError as error:
        problem = str(error)
    if problem:
        raise SettingError("--sentinel-metrics", place, problem, "127.0.0.1:9325")


def check_host(host: str | None) -> None:
    """Refuse what no browser can open.

    Raises:
        SettingError: it is no URL of a web site.
    """
    if host is None or host == "":
        return
    scheme, found, rest = str(host).partition("://")
    if not found or scheme not in ("http", "https", "file") or not rest.strip("/"):
        good = "http://127.0.0.1:8000"
        raise SettingError("host", host, "is no URL that a browser can open", good)


def to_send(parsed: Any) -> dict[str, Any]:
    """Return the options that scenarios may see, those that are plain values."""
    found = {} if parsed is None else dict(vars(parsed))
    found.pop("sentinel_token_file", None)
    return {name: value for name, value in found.items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(isinstance(one, _SENT) for one in value)
    return isinstance(value, _SENT)


def _checked(check: Callable[[str], Any]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text:
            try:
                check(text)
            except (SettingError, GateError, SentinelError) as error:
                raise argparse.ArgumentTypeError(str(error)) from None
        return text

    return parse


def _count(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0")
    return number
