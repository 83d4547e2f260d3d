"""The ``playwright`` fixture and what lives by it: the driver's start, its death, the next one.

While the driver starts it is given a log for its browsers and a temporary directory of its own, so
that nothing a killed browser leaves lies anywhere else. When it dies, the fixture is ended, and
with it every fixture built on it, user's own too; the next test sets all of them up anew. What was
kept beside the fixtures, in a global for example, stays void.
"""

from __future__ import annotations

import gc
import os
import time
import warnings
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sentinel.settings import Settings

if TYPE_CHECKING:
    from pytest_sentinel.pool.deaths import Death
    from pytest_sentinel.pool.driverprocess import DriverProcess, Drivers
    from pytest_sentinel.pool.reaper import Reaper
    from pytest_sentinel.pool.scratch import Scratch
    from pytest_sentinel.pool.seats import Happening

# What Playwright says of an object whose driver is gone.
_VOID = ("connection closed", "Event loop is closed", "browser has been closed")
_STOP_WITHIN = 5.0  # the driver needs milliseconds once its browsers are closed
# Room for what Chromium adds: a socket's path has 107 bytes.
_LONGEST_DIRECTORY = 107 - len("/org.chromium.Chromium.123456/SingletonSocket")


class DriverLife:
    """Playwright's driver in one pytest process, from the fixture that starts it to its end.

    Args:
        settings: this run's.
        directory: returns where this run's files go; None when no record is kept.
        worker: names this process.
    """

    def __init__(
        self, settings: Settings, directory: Callable[[], Path | None], worker: str
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._worker = worker
        self._fixtures: list[tuple[Any, Any]] = []  # a conftest's own may be built on upstream's
        self._started = 0
        self._scratch: Scratch | None = None
        self._reaper: Reaper | None = None
        self._drivers: Drivers | None = None
        self._driver: DriverProcess | None = None
        self._noted: list[Death] = []
        self._happenings: list[Happening] = []
        self.log_file: Path | None = None

    @property
    def reaper(self) -> Reaper:
        """What ends the driver and the browsers if this process is killed."""
        if self._reaper is None:
            from pytest_sentinel.pool.reaper import Reaper

            self._reaper = Reaper()
        return self._reaper

    @property
    def drivers(self) -> Drivers:
        """Every driver that is known here."""
        if self._drivers is None:
            from pytest_sentinel.pool.driverprocess import Drivers

            self._drivers = Drivers()
        return self._drivers

    def own_pids(self) -> set[int]:
        """Return the processes that are ours and not Playwright's."""
        pid = self._reaper.pid if self._reaper is not None else None
        return {pid} if pid is not None else set()

    # Its start

    def set_up(self, fixturedef: Any, request: Any) -> Generator[None, object, object]:
        """Let the ``playwright`` fixture start the driver, and take care of what it starts."""
        __tracebackhide__ = True
        if fixturedef.func.__module__.startswith("_pytest."):
            return (yield)  # a parameter of a test that has the name
        added = self._environment()
        before = {name: os.environ.get(name) for name in added}
        # Only while it starts: DEBUG means something else to most of the programs a test starts.
        os.environ.update(added)
        try:
            result = yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
        if type(result).__name__ != "Playwright":
            return result
        self._fixtures.append((fixturedef, request))
        driver = self.drivers.of(result)
        if driver is not self._driver:
            self._take(driver, result)
        return result

    def _environment(self) -> dict[str, str]:
        from pytest_sentinel.pool.launcher import driver_log
        from pytest_sentinel.pool.scratch import Scratch, remove_leftovers

        self._started += 1
        # Each of its own: Playwright begins the file anew.
        name = self._worker + (f"-{self._started}" if self._started > 1 else "")
        kept = self._directory()
        self.log_file = kept / f"browsers-{name}.log" if kept is not None else None
        added = driver_log(os.environ, self.log_file) if self.log_file is not None else {}
        if not added:
            self.log_file = None
        if self._scratch is None:
            with suppress(OSError):
                remove_leftovers()
                self._scratch = Scratch()
        if self._scratch is not None:
            directory = os.fspath(self._scratch.directory)
            if len(directory) <= _LONGEST_DIRECTORY:
                added["TMPDIR"] = directory
        return added

    def _take(self, driver: DriverProcess, playwright: object) -> None:
        self._driver = driver
        if driver.process is not None:
            directory = self._scratch.directory if self._scratch is not None else None
            self.reaper.adopt(driver.process, os.fspath(directory) if directory else None)
            if self._scratch is not None:
                self._scratch.note(driver.process)
        if hasattr(playwright, "stop"):
            driver.watch(self._settings.probe_timeout)
            driver.bound_stop(playwright, min(_STOP_WITHIN, self._settings.close_timeout))

    # Its death

    def death(self) -> Death | None:
        """Return how the driver of the fixture died; None while it lives, or none runs."""
        driver = self._driver
        if driver is None or not driver.is_gone():
            return None
        death = driver.death()
        if death is not None:
            self.note(death)
        return death

    def note(self, death: Death) -> None:
        """Write the death of a driver down, once."""
        from pytest_sentinel.pool.seats import Happening

        if not any(death is old for old in self._noted):
            self._noted.append(death)
            died = Happening("driver-died", "driver", 0, time.time(), str(death))
            self._happenings.append(died)

    def explain(self, call: pytest.CallInfo[None], report: pytest.TestReport) -> bool:
        """Say on a report that it failed on what a dead driver had given out; tell if it did."""
        error = str(call.excinfo.value) if call.excinfo is not None else ""
        if not self._noted or not any(words in error for words in _VOID):
            return False
        why = (
            f"{self._noted[-1]} earlier in this run. The test used an object of Playwright from"
            " before that; it is void. Get such objects from fixtures, which were set up anew."
        )
        report.sections.append(("sentinel: Playwright's driver", why))
        return True

    def take_happenings(self) -> list[Happening]:
        """Return what happened since the last call."""
        taken, self._happenings = self._happenings, []
        return taken

    def rebuild(self) -> bool:
        """End the fixture of a dead driver; tell whether the next test will start another."""
        if self.death() is None:
            return False
        with warnings.catch_warnings():
            # What was waiting for the driver is dropped; the next test is not to be blamed for it.
            warnings.simplefilter("ignore")
            for fixturedef, request in list(self._fixtures):
                try:
                    # Teardowns talk to what is gone; what they say of that is no news.
                    with suppress(Exception, pytest.fail.Exception, pytest.skip.Exception):
                        _finish(fixturedef, request)
                finally:
                    self.ended(fixturedef)
            gc.collect()
        return True

    def ended(self, fixturedef: Any) -> None:
        """Note that a ``playwright`` fixture has ended; with the last one, the driver has."""
        if not any(held is fixturedef for held, _ in self._fixtures):
            return
        self._fixtures = [entry for entry in self._fixtures if entry[0] is not fixturedef]
        driver = self._driver
        if self._fixtures or driver is None:
            return
        self._driver = None
        # The reaper keeps it, gone as it may be: with it the directory, of which nobody else is
        # left to think when Ctrl-C has ended the driver, and xdist then kills this process.
        self.drivers.forget(driver)

    def close(self) -> None:
        """End what is left, and remove the directory."""
        if self._reaper is not None:
            self._reaper.close()
        if self._scratch is not None:
            self._scratch.close()
            self._scratch = None


def _finish(fixturedef: Any, request: Any) -> None:
    try:
        fixturedef.finish(request)
    except pytest.exit.Exception as error:  # an Exception, though it is to end the run
        raise KeyboardInterrupt(str(error)) from error
