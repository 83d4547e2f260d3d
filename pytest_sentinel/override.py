"""The one override: ``launch_browser``, chained. Nothing else of pytest-playwright is touched.

Registered from pytest_configure, so that it beats pytest-playwright's fixture of the same name
and still loses to a conftest's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

# What does not make another browser of it.
_NOT_IN_KEY = ("timeout",)


@pytest.fixture(scope="session")
def launch_browser(
    launch_browser: Callable[..., Any],
    browser_type: Any,
    browser_type_launch_args: dict[str, Any],
    connect_options: dict[str, Any] | None,
    pytestconfig: pytest.Config,
) -> Callable[..., Any]:
    """Launch through pytest-playwright's own fixture, and watch what it returns."""
    if connect_options:
        return launch_browser
    running = pytestconfig.pluginmanager.getplugin("sentinel-running")

    def launch(**kwargs: Any) -> Any:
        __tracebackhide__ = True
        given = {**browser_type_launch_args, **kwargs}
        if "timeout" not in given:
            kwargs["timeout"] = running.settings.launch_timeout * 1000
        leasing = running.leasing()
        if leasing is not None:
            key = f"{browser_type.name} of {leasing}"
            return running.pool().open(
                key, lambda: leasing.open(browser_type, given, lambda: launch_browser(**kwargs))
            )
        key = launch_key(browser_type.name, given)
        return running.pool().open(key, lambda: launch_browser(**kwargs))

    return launch


def launch_key(engine: str, given: dict[str, Any]) -> str:
    """Return a readable name for browsers that are launched alike."""
    words = [engine]
    if given.get("channel"):
        words.append(str(given["channel"]))
    words.append("headed" if given.get("headless") is False else "headless")
    known = {"channel", "headless", *_NOT_IN_KEY}
    words += [f"{name}={given[name]!r}" for name in sorted(given) if name not in known]
    return " ".join(words)
