"""One frozen Settings, validated at birth, and the table of options it is made from.

The table is the only place that names an option: the pytest options, ini keys, environment
variables, help texts and the reference page all come from it. Nothing here reads a command line,
an environment or an ini file; the edges do, and hand in text with the name its user wrote.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

from pytest_sentinel.addresses import METRICS_PORT, Address, parse_address, parse_services
from pytest_sentinel.errors import SettingError
from pytest_sentinel.units import MIB, parse_duration, parse_size

_LONGEST = 366 * 86400.0  # seconds; far beyond it, clocks and timers fail
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


def parse_bool(text: str) -> bool:
    """Return the truth that ``text`` names: 1, true, yes, on or 0, false, no, off.

    Raises:
        ValueError: the text is neither.
    """
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("is neither on nor off")


def as_text(value: object, separator: str = "") -> str:
    """Return a value of a TOML file as the text that would stand in an ini file.

    Args:
        value: a text, boolean or number, or a list of them.
        separator: what parts several values in an ini file; without one, a list is refused.

    Raises:
        ValueError: the value is of no such type.
    """
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str | int | float):
        return str(value)
    if not isinstance(value, list):
        raise ValueError(f"is a {type(value).__name__}, not a text or a number")  # noqa: TRY004
    if not separator:
        raise ValueError("is a list, and one value is wanted")
    return f"{separator} ".join(as_text(one) for one in value)


def _or_off(parse: Callable[[str], object]) -> Callable[[str], object]:
    return lambda text: None if text.strip().lower() in _FALSE else parse(text)


def _count(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise ValueError("is not a whole number") from None
        if number < least:
            raise ValueError(f"is less than {least}")
        return number

    return parse


def _size(text: str) -> int:
    try:
        size = parse_size(text)
    except ValueError:
        raise ValueError("is not a size") from None
    if size < MIB:
        raise ValueError("is less than 1 MB")
    return size


def _duration(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError:
        raise ValueError("is not a duration") from None
    if seconds <= 0:
        raise ValueError("is not more than zero")
    if seconds > _LONGEST:
        raise ValueError("is more than a year")
    return seconds


def _choice(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.strip().lower() not in words:
            raise ValueError(f"is none of {', '.join(words)}")
        return text.strip().lower()

    return parse


def _path(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    if "\0" in text:
        raise ValueError("has a null character")
    return text


def _text(text: str) -> str:
    return text.strip()


def _listening(text: str) -> Address:
    return parse_address(text.removeprefix("http://").rstrip("/"), METRICS_PORT)


def _http_url(text: str) -> str:
    if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", text.strip()):
        raise ValueError("is no http:// or https:// address")
    return text.strip()


@dataclass(frozen=True, slots=True)
class Option:
    """One setting as its users see it.

    Attributes:
        name: the field of Settings; ``recycle_after`` is ``--sentinel-recycle-after``, ini
            ``sentinel_recycle_after`` and environment ``PYTEST_SENTINEL_RECYCLE_AFTER``.
        default: the text that stands when nobody says anything.
        is_switch: whether the bare flag switches it on.
        separator: what parts several values, where there may be several.
    """

    name: str
    parse: Callable[[str], object]
    default: str
    metavar: str
    help: str
    good: str
    is_switch: bool = False
    separator: str = ""

    @property
    def flag(self) -> str:
        """The command-line spelling."""
        return "--sentinel-" + self.name.replace("_", "-")

    @property
    def ini(self) -> str:
        """The ini spelling."""
        return "sentinel_" + self.name

    @property
    def env(self) -> str:
        """The environment spelling."""
        return "PYTEST_SENTINEL_" + self.name.upper()


OPTIONS: tuple[Option, ...] = (
    Option(
        "crash_retries", _count(0), "1", "N",
        "re-run a test up to N times when its browser died (never for another failure)",
        "1",
    ),
    Option(
        "recycle_after", _or_off(_count(1)), "500", "TESTS",
        "replace a browser after about TESTS tests, or off",
        "200",
    ),
    Option(
        "max_browser_age", _or_off(_duration), "1 h", "DURATION",
        "replace a browser when it is older than this, or off",
        "'30 m'",
    ),
    Option(
        "max_browser_memory", _or_off(_size), "1 GB", "SIZE",
        "replace a browser whose process tree reached SIZE of memory (PSS), or off",
        "'500 MB'",
    ),
    Option(
        "probe_timeout", _duration, "10 s", "DURATION",
        "replace a browser that has not answered for this long",
        "'10 s'",
    ),
    Option(
        "launch_timeout", _duration, "30 s", "DURATION",
        "how long a browser may take to start, unless the launch arguments set a timeout",
        "'30 s'",
    ),
    Option(
        "close_timeout", _duration, "30 s", "DURATION",
        "how long a context or browser may take to close before its processes are killed",
        "'30 s'",
    ),
    Option(
        "worker_memory", _size, "512 MB", "SIZE",
        "the memory (PSS) one worker with its driver and browsers should stay below",
        "'512 MB'",
    ),
    Option(
        "workers_by_memory", parse_bool, "off", "on|off",
        "limit -n auto to the number of workers that fit into free memory, at"
        " --sentinel-worker-memory each",
        "on",
        is_switch=True,
    ),
    Option(
        "record", _or_off(_path), ".sentinel", "DIR",
        "directory of the run records (DIR/runs/...), or off",
        ".sentinel",
    ),
    Option(
        "keep_runs", _or_off(_count(0)), "50", "N",
        "how many runs' records to keep in the directory of --sentinel-record; the oldest beyond"
        " that are removed; 0 keeps all",
        "50",
    ),
    Option(
        "leaks", _choice("error", "warn", "off"), "warn", "error|warn|off",
        "when a test leaves something open: fail it, list what was left in the closing section, or"
        " do not check",
        "error",
    ),
    Option(
        "leak_baseline", _or_off(_path), "off", "FILE",
        "file of known page leaks; they are reported, and only new leaks fail a test",
        "leaks.json",
    ),
    Option(
        "leak_budget", _duration, "30 s", "DURATION",
        "how long one leak check of a page may take; then it ends with a verdict from what it has"
        " read",
        "'1 m'",
    ),
    Option(
        "leak_baseline_update", parse_bool, "off", "on|off",
        "add every page leak found to the file of --sentinel-leak-baseline",
        "on",
        is_switch=True,
    ),
    Option(
        "pool", _or_off(parse_services), "off", "WS_URL",
        "use the browsers of one or more services (`sentinel serve`), or off; comma-separated;"
        " the least busy one is used",
        "ws://127.0.0.1:9323",
        separator=",",
    ),
    Option(
        "pool_fallback", parse_bool, "off", "on|off",
        "launch a local browser when no service of --sentinel-pool provides one",
        "on",
        is_switch=True,
    ),
    Option(
        "pool_token_file", _or_off(_path), "off", "FILE",
        "file with the token for the services of --sentinel-pool",
        "token",
    ),
    Option(
        "suite", _text, "auto", "NAME",
        "name of this suite in metrics; auto uses the name of its root directory",
        "checkout",
    ),
    Option(
        "branch_class", _choice("auto", "main", "release", "pr", "local"), "auto",
        "main|release|pr|local",
        "kind of branch, for metrics; auto reads the CI's environment variables",
        "main",
    ),
    Option(
        "page_metrics", _choice("on", "off", "heap"), "off", "on|off|heap",
        "record web vitals, console errors and failed requests of each test's pages; heap: also"
        " heap size and DOM nodes at the end, at the cost of a garbage collection per test",
        "on",
    ),
    Option(
        "gates", _or_off(_path), "off", "GATES",
        "gates to check at the end of the run: a file, a preset, or gates separated by semicolons;"
        " a passing run exits with 99 when a gate fails, and 98 when one has no data",
        "'leaks: count == 0'",
        separator=";",
    ),
    Option(
        "coverage_file", _or_off(_path), "off", "FILE",
        "coverage report that coverage gates read: coverage.json or coverage.xml",
        "coverage.json",
    ),
    Option(
        "metrics", _or_off(_listening), "off", "HOST:PORT",
        "serve live metrics for Prometheus at this address during the run, or off",
        f"127.0.0.1:{METRICS_PORT}",
    ),
    Option(
        "metrics_linger", _or_off(_duration), "15 s", "DURATION",
        "how long to wait at the end of a run with live metrics for a last scrape, or off",
        "'15 s'",
    ),
    Option(
        "push", _or_off(_http_url), "off", "URL",
        "push the run's results to this Pushgateway at its end, or off",
        "http://127.0.0.1:9091",
    ),
    Option(
        "textfile", _or_off(_path), "off", "PATH",
        "write the run's results to this .prom file or directory for node_exporter, or off",
        "/var/lib/node_exporter",
    ),
    Option(
        "top", _count(0), "3", "N",
        "number of slowest and most memory-hungry tests listed in the closing section",
        "3",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a run can be told. Sizes are bytes, durations seconds; None means off."""

    crash_retries: int
    recycle_after: int | None
    max_browser_age: float | None
    max_browser_memory: int | None
    probe_timeout: float
    launch_timeout: float
    close_timeout: float
    worker_memory: int
    workers_by_memory: bool
    record: str | None
    keep_runs: int | None
    leaks: str
    leak_baseline: str | None
    leak_budget: float
    leak_baseline_update: bool
    pool: tuple[Address, ...] | None
    pool_fallback: bool
    pool_token_file: str | None
    suite: str
    branch_class: str
    page_metrics: str
    gates: str | None
    coverage_file: str | None
    metrics: Address | None
    metrics_linger: float | None
    push: str | None
    textfile: str | None
    top: int


def build(given: Mapping[str, tuple[str, str]] | None = None) -> Settings:
    """Return the Settings that ``given`` and the defaults make.

    Args:
        given: option name to (name as its user wrote it, text); names not in it take the default.

    Raises:
        SettingError: a value is bad; says which, and shows a good one.
    """
    given = given or {}
    values: dict[str, object] = {}
    for option in OPTIONS:
        origin, text = given.get(option.name, (option.flag, option.default))
        try:
            values[option.name] = option.parse(text)
        except ValueError as error:
            raise SettingError(origin, text, str(error), option.good) from None
    return Settings(**values)  # type: ignore[arg-type]


def _names_agree() -> bool:
    return [option.name for option in OPTIONS] == [field.name for field in fields(Settings)]


assert _names_agree(), "bug: OPTIONS and Settings name different things"
