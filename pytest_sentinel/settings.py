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
    """

    name: str
    parse: Callable[[str], object]
    default: str
    metavar: str
    help: str
    good: str
    is_switch: bool = False

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
        "run a test again, up to N times, if the browser died under it (for no other failure)",
        "1",
    ),
    Option(
        "recycle_after", _or_off(_count(1)), "500", "TESTS",
        "renew a browser after it has served about TESTS tests, or off",
        "200",
    ),
    Option(
        "max_browser_age", _or_off(_duration), "1 h", "DURATION",
        "renew a browser when it is older than this, or off",
        "'30 m'",
    ),
    Option(
        "max_browser_memory", _or_off(_size), "1 GB", "SIZE",
        "renew a browser whose process tree reached SIZE of memory (PSS), or off",
        "'500 MB'",
    ),
    Option(
        "probe_timeout", _duration, "10 s", "DURATION",
        "a browser that does not answer for this long counts as hung and is replaced",
        "'10 s'",
    ),
    Option(
        "launch_timeout", _duration, "30 s", "DURATION",
        "how long a browser may take to start, unless the launch arguments say it",
        "'30 s'",
    ),
    Option(
        "close_timeout", _duration, "30 s", "DURATION",
        "how long closing a context or a browser may take before its processes are ended",
        "'30 s'",
    ),
    Option(
        "worker_memory", _size, "512 MB", "SIZE",
        "the memory (PSS) one worker with its driver and browsers should stay below",
        "'512 MB'",
    ),
    Option(
        "workers_by_memory", parse_bool, "off", "on|off",
        "let -n auto start no more workers than fit into the free memory, at the memory that"
        " --sentinel-worker-memory allows each",
        "on",
        is_switch=True,
    ),
    Option(
        "record", _or_off(_path), ".sentinel", "DIR",
        "where the run record is kept (DIR/runs/...), or off",
        ".sentinel",
    ),
    Option(
        "leaks", _choice("error", "warn", "off"), "warn", "error|warn|off",
        "what a test left open: fail the test, name it in the closing section, or do not look",
        "error",
    ),
    Option(
        "leak_baseline", _or_off(_path), "off", "FILE",
        "page leaks that are known: reported, but only new ones fail a test",
        "leaks.json",
    ),
    Option(
        "leak_baseline_update", parse_bool, "off", "on|off",
        "add every page leak that is found to the file of --sentinel-leak-baseline",
        "on",
        is_switch=True,
    ),
    Option(
        "pool", _or_off(parse_services), "off", "WS_URL",
        "take browsers from services that run elsewhere (`sentinel serve`), or off; of several,"
        " parted by commas, the least pressed",
        "ws://127.0.0.1:9323",
    ),
    Option(
        "pool_fallback", parse_bool, "off", "on|off",
        "launch browsers here when no service of --sentinel-pool gives one",
        "on",
        is_switch=True,
    ),
    Option(
        "pool_token_file", _or_off(_path), "off", "FILE",
        "the file with the word that the services of --sentinel-pool want to see",
        "token",
    ),
    Option(
        "suite", _text, "auto", "NAME",
        "what this suite is called in metrics; auto is the name of its root directory",
        "checkout",
    ),
    Option(
        "branch_class", _choice("auto", "main", "release", "pr", "local"), "auto",
        "main|release|pr|local",
        "which kind of branch this run is of, for metrics; auto asks the environment of the CI",
        "main",
    ),
    Option(
        "page_metrics", _choice("on", "off", "heap"), "off", "on|off|heap",
        "note web vitals, console errors and failed requests of each test's pages; heap: also"
        " their heap and nodes at the end, which takes a garbage collection a test",
        "on",
    ),
    Option(
        "gates", _or_off(_path), "off", "GATES",
        "hold the run to these: a file of gates, a preset, or gates parted by semicolons; a run"
        " that went well ends with 99 when one is broken, 98 when one has no data",
        "'leaks: count == 0'",
    ),
    Option(
        "coverage_file", _or_off(_path), "off", "FILE",
        "what gates on coverage look at: coverage.json or coverage.xml",
        "coverage.json",
    ),
    Option(
        "metrics", _or_off(_listening), "off", "HOST:PORT",
        "serve live metrics for Prometheus there while the run lasts, or off",
        f"127.0.0.1:{METRICS_PORT}",
    ),
    Option(
        "metrics_linger", _or_off(_duration), "15 s", "DURATION",
        "how long to wait at the end of a run with live metrics for a last scrape, or off",
        "'15 s'",
    ),
    Option(
        "push", _or_off(_http_url), "off", "URL",
        "push what the run came to, at its end, to this Pushgateway, or off",
        "http://127.0.0.1:9091",
    ),
    Option(
        "textfile", _or_off(_path), "off", "PATH",
        "write the same to this .prom file or directory, for node_exporter, or off",
        "/var/lib/node_exporter",
    ),
    Option(
        "top", _count(0), "3", "N",
        "how many of the slowest and hungriest tests the closing section names",
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
    leaks: str
    leak_baseline: str | None
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
