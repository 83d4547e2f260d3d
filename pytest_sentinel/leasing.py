"""Browsers from ``--sentinel-pool`` for the tests of one process, or from here if that is allowed.

It says once, in the summary, that browsers come from elsewhere than was asked for. Which service
gives one is pool/remote.py's to choose.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

from pytest_sentinel.complaints import complain
from pytest_sentinel.errors import PoolUnavailable, SettingError
from pytest_sentinel.pool.leased import LeasedBrowser
from pytest_sentinel.pool.remote import RemotePool
from pytest_sentinel.pool.samehost import machine_identity
from pytest_sentinel.pool.tokens import find_token
from pytest_sentinel.settings import Settings

# What a launch may be told that a lease can honour, or need not.
_HARMLESS = ("timeout", "slow_mo")


class Leasing:
    """The way to the services, and which of the browsers here came from them."""

    def __init__(self, config: pytest.Config, settings: Settings, owner: str) -> None:
        assert settings.pool is not None
        self._config = config
        self._fallback = settings.pool_fallback
        self._close_timeout = settings.close_timeout
        option = "--sentinel-pool-token-file"
        token = find_token(settings.pool_token_file, option, os.environ)
        # A browser of one's own is there at once.
        tell = None if self._fallback else self._tell
        self._remote = RemotePool(settings.pool, owner, token, settings.launch_timeout, tell)
        self._machine = machine_identity()
        self._near: dict[int, bool] = {}  # by the id of a browser that is about to be held
        self._has_fallen_back = False

    def __str__(self) -> str:
        return str(self._remote)

    def open(self, browser_type: Any, given: dict[str, Any], launch: Callable[[], Any]) -> Any:
        """Return a browser of a service; where that is allowed and none gives one, ``launch`` it.

        Raises:
            PoolUnavailable: no service gives one.
            SettingError: the launch arguments ask for what a lease cannot have.
        """
        __tracebackhide__ = True
        asked = sorted(name for name in given if name not in _HARMLESS)
        if given.get("headless") is True:
            asked.remove("headless")
        if asked:
            if self._fallback:
                self._say(f"launch arguments ({', '.join(asked)}) cannot be had from the pool")
                return launch()
            raise SettingError(
                "browser_type_launch_args",
                ", ".join(asked),
                "cannot be had from a pool, whose browsers are launched already",
                "none: tell `sentinel serve` how to launch, or add --sentinel-pool-fallback",
            )
        slow_mo = {"slow_mo": given["slow_mo"]} if "slow_mo" in given else {}
        try:
            browser, standing = self._remote.connect(browser_type, **slow_mo)
        except PoolUnavailable as error:
            if not self._fallback:
                raise
            self._say(str(error).partition("\n")[0])
            return launch()
        self._near[id(browser)] = bool(self._machine) and standing.machine == self._machine
        return browser

    def hold(self, browser: Any) -> LeasedBrowser | None:
        """Return a lease as the pool of this process holds it; None for a browser of its own."""
        near = self._near.pop(id(browser), None)
        if near is None:
            return None
        return LeasedBrowser(browser, self._close_timeout, near=near)

    def _tell(self, sentence: str) -> None:
        """Say it at once where there is a terminal, else in the summary."""
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is None:
            complain(self._config, sentence)
            return
        capture = self._config.pluginmanager.get_plugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            terminal.ensure_newline()
            terminal.write_line(f"sentinel: {sentence}")

    def _say(self, why: str) -> None:
        """Warn once; it is never raised, even where warnings are errors."""
        if self._has_fallen_back:
            return
        self._has_fallen_back = True
        complain(self._config, f"a browser was launched here instead: {why}")
