"""The pytest edge's front door: options, settings, and who is registered where.

Loaded in every pytest run of an environment that has the package, so it imports nothing but the
standard library, pytest and the two smallest modules of ours. What tests and results need is
registered in pytest_configure; until a browser is asked for, nothing is started.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sentinel import settings as settings_module
from pytest_sentinel.errors import SettingError
from pytest_sentinel.settings import OPTIONS, Settings, as_text, parse_bool

if TYPE_CHECKING:
    from pytest_sentinel.controlling import Controlling

_SETTINGS = pytest.StashKey[Settings]()
_HEADER = pytest.StashKey[list[str]]()
_ENVIRONMENT = pytest.StashKey[dict[str, str | None]]()

MARKERS = (
    "fresh_browser: give this test a browser that no other test has used",
    (
        "leak_check(*, iterations, budget, clock, settle, allow): run the test's body again and"
        " again, and fail if its page keeps something of each run"
    ),
    "allow_leak(kind, *, reason): let this test leave something of this kind open",
    (
        "limit_browser_memory(limit, growth=None): fail if the browser's processes hold more than"
        " this at their peak, or grow by more; PSS"
    ),
    "limit_page_heap(limit): fail if an open page holds more at the end, garbage collected",
    "limit_worker_memory(limit): fail if this Python process holds more at its peak; PSS",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare every option, ini key and the switch that turns it all off."""
    group = parser.getgroup("sentinel", "pytest-sentinel: pooled browsers, leaks, memory")
    group.addoption(
        "--no-sentinel",
        action="store_true",
        default=False,
        help="turn pytest-sentinel off for this run (also: PYTEST_SENTINEL=0, ini sentinel = off)",
    )
    parser.addini("sentinel", "pytest-sentinel on or off", default="on")
    for option in OPTIONS:
        text = f"{option.help} (default: {option.default}; ini {option.ini}, env {option.env})"
        if option.is_switch:
            group.addoption(
                option.flag, dest=option.ini, action="store_const", const="on", help=text
            )
        else:
            group.addoption(option.flag, dest=option.ini, metavar=option.metavar, help=text)
        parser.addini(option.ini, option.help, default=None)


def is_on(config: pytest.Config) -> bool:
    """Tell whether the plugin is on: by option, then environment, then ini."""
    if config.getoption("--no-sentinel"):
        return False
    for origin, text in (
        ("PYTEST_SENTINEL", os.environ.get("PYTEST_SENTINEL")),
        ("sentinel", _written(config, "sentinel")),
    ):
        if text not in (None, ""):
            try:
                return parse_bool(as_text(text))
            except ValueError as error:
                raise pytest.UsageError(f"{origin}: {text!r} {error}; write on or off") from None
    return True


def read_settings(config: pytest.Config) -> Settings:
    """Return the settings of this run; reads them once.

    Raises:
        pytest.UsageError: a value is bad; names the option and shows a good value.
    """
    found = config.stash.get(_SETTINGS, None)
    if found is not None:
        return found
    given: dict[str, tuple[str, str]] = {}
    try:
        for option in OPTIONS:
            sources = (
                (option.flag, config.getoption(option.ini, default=None)),
                (option.env, os.environ.get(option.env)),
                (_key(config, option.ini), _written(config, option.ini)),
            )
            for origin, value in sources:
                if value not in (None, "", []):
                    given[option.name] = (origin, _as_text(option, origin, value))
                    break
        settings = settings_module.build(given)
        if settings.pool is not None:
            from pytest_sentinel.pool.tokens import find_token

            find_token(settings.pool_token_file, "--sentinel-pool-token-file", os.environ)
        config.stash[_SETTINGS] = settings
    except SettingError as error:
        raise pytest.UsageError(str(error)) from None
    return config.stash[_SETTINGS]


def _written(config: pytest.Config, key: str) -> Any:
    """Return what a configuration file says, in its own type.

    pytest 9 keeps the types of a ``[tool.pytest]`` table, and takes none but texts for an option
    that is declared without one, as ini files and older versions need it.
    """
    kept = getattr(config, "_inicfg", None)
    kept = kept if kept is not None else vars(config).get("inicfg", {})
    value = getattr(kept.get(key), "value", kept.get(key))
    return config.getini(key) if value is None or isinstance(value, str) else value


def _key(config: pytest.Config, key: str) -> str:
    """Return a key as its user finds it: with the file, where there may be several keys of it."""
    file = config.inipath
    return f"{file.name}: {key}" if file is not None and file.suffix == ".toml" else key


def _as_text(option: settings_module.Option, origin: str, value: object) -> str:
    try:
        text = settings_module.as_text(value, option.separator)
        if not isinstance(value, str):
            option.parse(text)  # here, where its own type can still be shown
        return text
    except ValueError as error:
        raise SettingError(origin, value, str(error), option.good) from None


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> Generator[None, int, int]:
    """Cap ``-n auto`` by memory, if asked to."""
    workers = yield
    explicit = os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS")
    if not is_on(config) or explicit or not read_settings(config).workers_by_memory:
        return workers
    from pytest_sentinel.memory.host import available_memory
    from pytest_sentinel.units import format_size

    each = read_settings(config).worker_memory
    free = available_memory()
    fitting = max(1, free // each)
    if fitting < workers:
        _header(config).append(
            f"sentinel: {fitting} of {workers} workers: {format_size(free)} of memory are free,"
            f" {format_size(each)} allowed for each"
        )
    return min(workers, fitting)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the parts that this process needs."""
    for line in MARKERS:
        config.addinivalue_line("markers", line)
    if not is_on(config):
        return
    settings = read_settings(config)
    manager = config.pluginmanager
    workerinput: dict[str, Any] = getattr(config, "workerinput", {}).get("sentinel", {})
    controlling: Controlling | None = None
    if not hasattr(config, "workerinput"):
        from pytest_sentinel.controlling import Controlling

        if settings.leak_baseline is not None or settings.leak_baseline_update:
            _check_baseline(config, settings)
        browser = _prepare_browser(config)
        controlling = Controlling(config, settings, secrets.token_hex(4), browser)
        manager.register(controlling, "sentinel-controlling")
    elif workerinput.get("controller"):
        _die_with(workerinput["controller"])

    from pytest_sentinel import fixtures, memoryfixture, override, pageleaks
    from pytest_sentinel.markers import MarkerChecks
    from pytest_sentinel.memorymarkers import MemoryMarkers
    from pytest_sentinel.running import Running

    told = Path(workerinput["directory"]) if workerinput.get("directory") else None

    def directory() -> Path | None:
        return controlling.directory if controlling is not None else told

    replacement = bool(workerinput.get("replacement"))
    run_id = controlling.run_id if controlling is not None else str(workerinput.get("run", ""))
    running = Running(config, settings, directory, replacement, run_id)
    manager.register(running, "sentinel-running")
    manager.register(fixtures, "sentinel-fixtures")
    manager.register(pageleaks, "sentinel-page-leaks")
    manager.register(memoryfixture, "sentinel-memory")
    manager.register(MarkerChecks(), "sentinel-markers")
    guards = running.guarding.guards
    guards += [MemoryMarkers(running), pageleaks.LeakCheckMarker(manager)]
    if _sync_playwright_is_loaded(manager):
        manager.register(override, "sentinel-override")
    if settings.leaks != "off" and _runs_tests(config):
        from pytest_sentinel.resourceguard import LateLeaks, ResourceGuard

        guard = ResourceGuard(running, settings.leaks)
        manager.register(guard, "sentinel-resources")
        guards.append(guard)
        if settings.leaks == "error":
            manager.register(LateLeaks(running, guard), "sentinel-late-leaks")


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say in a line how browsers come about in this run."""
    return _header(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give the environment back as it was."""
    for name, value in config.stash.get(_ENVIRONMENT, {}).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _header(config: pytest.Config) -> list[str]:
    return config.stash.setdefault(_HEADER, [])


def _prepare_browser(config: pytest.Config) -> str:
    """Have Playwright find browsers even where its own are missing; return which run, and why."""
    if not any(
        config.pluginmanager.hasplugin(name) for name in ("playwright", "playwright-asyncio")
    ):
        return ""
    from pytest_sentinel.browsers import prepare

    name = "PLAYWRIGHT_BROWSERS_PATH"
    config.stash[_ENVIRONMENT] = {name: os.environ.get(name)}
    choice = prepare(os.environ)
    services = read_settings(config).pool
    if services is not None:
        if any(address.tls for address in services):
            from pytest_sentinel.trust import share_authorities

            share_authorities(os.environ)  # before Playwright's driver starts, here or in a worker
        places = ", ".join(address.ws for address in services)
        _header(config).append(f"sentinel: browsers of the pool at {places}")
        return f"leased from {places}"
    named = choice.of_run(
        config.getoption("browser", None) or (),
        config.getoption("browser_channel", None),
        headed=bool(config.getoption("headed", None)),
    )
    _header(config).append(f"sentinel: each worker its own browsers; {named}")
    return named


def _check_baseline(config: pytest.Config, settings: Settings) -> None:
    from pytest_sentinel.complaints import complain
    from pytest_sentinel.leaks.baseline import check_baseline

    if settings.leak_baseline is None:
        raise pytest.UsageError(
            "--sentinel-leak-baseline-update: there is no file to write to; name one, such as"
            " --sentinel-leak-baseline=leaks.json"
        )
    path = config.invocation_params.dir / settings.leak_baseline
    try:
        told = check_baseline(path, is_updated=settings.leak_baseline_update)
    except SettingError as error:
        raise pytest.UsageError(str(error)) from None
    if told:
        complain(config, told)


def _runs_tests(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput") or not getattr(config.option, "tx", None)


def _sync_playwright_is_loaded(manager: pytest.PytestPluginManager) -> bool:
    module = sys.modules.get("pytest_playwright.pytest_playwright")
    return module is not None and manager.is_registered(module)


def _die_with(controller: int) -> None:
    """Have the kernel kill this worker when its controller dies, however that happens (Linux)."""
    if not sys.platform.startswith("linux") or os.getppid() != controller:
        return
    import ctypes
    import signal

    pr_set_pdeathsig = 1
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != controller:
        os.kill(os.getpid(), signal.SIGKILL)  # it died in between
