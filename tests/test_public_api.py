"""What users import and name stays: the names of the package, its fixtures, markers and options."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import pytest_sentinel
from pytest_sentinel import cli, errors, plugin
from pytest_sentinel.settings import OPTIONS
from tests.test_docs import fixtures, markers


def test_no_public_name_has_gone() -> None:
    """Everything that could be imported from the package still can."""
    held = {
        *("BreakerOpen", "BrowserLaunchFailed", "PageLeak", "ResourceLeak"),
        *("SentinelError", "SentinelFailure"),
        *("Leak", "LeakReport", "check_leaks"),
    }

    assert held - set(pytest_sentinel.__all__) == set()


@pytest.mark.parametrize("name", pytest_sentinel.__all__)
def test_every_public_name_leads_somewhere(name: str) -> None:
    """Each name of ``__all__`` can be imported, and is what it is called."""
    assert getattr(pytest_sentinel, name).__name__ == name


def test_public_names_are_sorted_and_told_once() -> None:
    """``__all__`` is in order, and names nothing twice."""
    assert sorted(set(pytest_sentinel.__all__)) == list(pytest_sentinel.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A name that the package does not have is refused as by any module."""
    with pytest.raises(AttributeError, match="has no attribute 'Sentry'"):
        pytest_sentinel.Sentry  # noqa: B018


def test_markers_and_fixtures_stay() -> None:
    """Suites rely on these names."""
    assert {"fresh_browser", "allow_leak", "leak_check"} <= set(markers())
    assert {"limit_browser_memory", "limit_page_heap", "limit_worker_memory"} <= set(markers())
    assert {"browser_pool", "launch_browser", "leaks", "memory"} <= set(fixtures())


def test_options_stay() -> None:
    """Command lines and ini files rely on these names."""
    held = {
        *("crash_retries", "recycle_after", "max_browser_age", "max_browser_memory"),
        *("probe_timeout", "launch_timeout", "close_timeout"),
        *("worker_memory", "workers_by_memory", "record", "leaks", "top"),
        *("leak_baseline", "leak_baseline_update"),
    }

    assert held - {option.name for option in OPTIONS} == set()


def test_commands_stay() -> None:
    """Scripts rely on these names."""
    assert {"doctor", "heap", "install-browser"} <= set(cli.main.commands)


def test_the_leak_check_takes_what_is_documented() -> None:
    """``check_leaks`` keeps its parameters, all but the first two by name only."""
    parameters = inspect.signature(pytest_sentinel.check_leaks).parameters

    assert list(parameters) == [
        *("page", "scenario"),
        *("iterations", "budget", "clock", "settle", "watch", "allow", "snapshots"),
    ]
    kinds = [parameter.kind for parameter in parameters.values()]
    assert (
        kinds
        == [inspect.Parameter.POSITIONAL_OR_KEYWORD] * 2 + [inspect.Parameter.KEYWORD_ONLY] * 7
    )
    assert parameters["iterations"].default == "auto"
    assert parameters["snapshots"].default == "on-suspicion"


def test_failures_are_assertions_and_errors_are_not() -> None:
    """A verdict on the test can be told from a failure of the machinery by its base."""
    assert issubclass(errors.SentinelFailure, AssertionError)
    assert not issubclass(errors.SentinelError, AssertionError)
    assert issubclass(errors.PageLeak, errors.SentinelFailure)
    assert issubclass(errors.BreakerOpen, errors.SentinelError)


def test_loading_the_plugin_loads_nothing_heavy() -> None:
    """A run without browsers pays for the standard library, pytest and little else."""
    heavy = ("playwright", "numpy", "psutil", "msgspec", "click", "rich", "locust")
    script = (
        "import sys, pytest_sentinel.plugin\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )

    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )

    assert told.stdout.strip() == "[]"


def test_every_marker_explains_itself() -> None:
    """``pytest --markers`` shows a signature, a colon and a sentence for each."""
    assert all(line.count(": ") >= 1 for line in plugin.MARKERS)
