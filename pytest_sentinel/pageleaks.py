"""The pytest edge of page leaks: the fixture ``leaks`` and the marker ``leak_check``.

Runs ``check_leaks``, turns its verdict into a failure or a warning, compares with the baseline of
known leaks, and keeps the evidence with the run record.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

import pytest

from pytest_sentinel.errors import InconclusiveLeakCheck, PageLeak
from pytest_sentinel.running import Running
from pytest_sentinel.verdicts import Guard

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from pytest_sentinel.leaks.verdict import LeakReport
    from pytest_sentinel.leaks.watch import Watch


class CheckOptions(TypedDict, total=False):
    """The options of ``check_leaks``, which explains them."""

    iterations: int | Literal["auto"]
    budget: float | str
    clock: float | str | None
    settle: float | None
    watch: Sequence[str]
    allow: Sequence[str]
    snapshots: Literal["on-suspicion", "always", "never"]


class Leaks:
    """Leak checks on pages, as a test's promises."""

    def __init__(self, running: Running, nodeid: str, baseline: Path | None, update: bool) -> None:
        self._running = running
        self._nodeid = nodeid
        self._baseline = baseline
        self._update = update

    def repeat(
        self,
        page: Page,
        scenario: Callable[[], object] | tuple[Callable[[], object], Callable[[], object]],
        **options: Unpack[CheckOptions],
    ) -> LeakReport:
        """Run ``scenario`` again and again, and fail if the page keeps something of each run.

        Takes the options of ``pytest_sentinel.check_leaks`` and returns its report.

        Raises:
            PageLeak: the verdict is LEAK, and not all of it is in the baseline.
        """
        __tracebackhide__ = True
        from pytest_sentinel.leaks.repeat import check_leaks

        options.setdefault("budget", self._running.settings.leak_budget)
        report = check_leaks(page, scenario, **options)
        if report.verdict == "INCONCLUSIVE":
            warnings.warn(InconclusiveLeakCheck(f"{self._nodeid}: {report}"), stacklevel=2)
        if report.verdict == "LEAK":
            self._judge(report)
        return report

    def watch(self, page: Page, expression: str, name: str) -> Watch:
        """Remember the object that ``expression`` gives now, without keeping it alive.

        ``expect_collected()`` on the result fails with PageLeak while it still lives.
        """
        from pytest_sentinel.leaks.watch import watch

        return watch(page, expression, name)

    def _judge(self, report: LeakReport) -> None:
        __tracebackhide__ = True
        from pytest_sentinel.leaks.baseline import add_to_baseline, read_baseline
        from pytest_sentinel.leaks.resources import Leftover

        known = set(read_baseline(self._baseline)) if self._baseline is not None else set()
        fresh = [leak for leak in report.leaks if leak.fingerprint not in known]
        if fresh and self._update and self._baseline is not None:
            add_to_baseline(self._baseline, fresh, self._nodeid)
            fresh = []
        for leak in report.leaks:
            note = "" if leak in fresh else " (known)"
            owner = leak.owner or f"an unknown owner{_how_to_name()}"
            where = " ".join(filter(None, (owner, leak.location)))
            what = f"{leak.constructor or leak.kind}{note}"
            self._running.leaks.append(Leftover("page-leak", what, where))
        if fresh:
            evidence = self._keep_evidence(report)
            kept = f"\n  evidence  {evidence}" if evidence is not None else ""
            raise PageLeak(f"{report}{kept}", report)

    def _keep_evidence(self, report: LeakReport) -> Path | None:
        """Write the verdict and its snapshots under the run's directory."""
        directory = self._running.directory
        if directory is None:
            return None
        from pytest_sentinel.leaks.evidence import keep_evidence

        try:
            folder = keep_evidence(report, directory / "leaks", self._nodeid)
        except OSError as error:
            warnings.warn(
                pytest.PytestWarning(f"sentinel: no evidence kept: {error}"), stacklevel=2
            )
            return None
        try:
            return folder.relative_to(Path.cwd())
        except ValueError:
            return folder


def _how_to_name() -> str:
    """Return what to install, if it is for want of it that an owner has no name."""
    if importlib.util.find_spec("numpy") is None:
        return " (pip install 'pytest-sentinel[heap]' names it)"
    return ""


@pytest.fixture
def leaks(request: pytest.FixtureRequest) -> Leaks:
    """Leak checks on a page: ``leaks.repeat(page, scenario)`` and ``leaks.watch(...)``."""
    return _leaks_for(request.config, request.node.nodeid)


def _leaks_for(config: pytest.Config, nodeid: str) -> Leaks:
    running = config.pluginmanager.getplugin("sentinel-running")
    settings = running.settings
    baseline = None
    if settings.leak_baseline is not None:
        baseline = config.invocation_params.dir / settings.leak_baseline
    return Leaks(running, nodeid, baseline, settings.leak_baseline_update)


class LeakCheckMarker(Guard):
    """Has the marker ``leak_check`` heeded, from the first test on that has it."""

    def __init__(self, manager: pytest.PytestPluginManager) -> None:
        self._manager = manager
        self._is_heeded = False

    def called(self, item: pytest.Item) -> None:
        """Have the bodies of tests looked at, if this one is marked."""
        if not self._is_heeded and item.get_closest_marker("leak_check") is not None:
            self._is_heeded = True
            self._manager.register(_Scenarios(), "sentinel-leak-check")


class _Scenarios:
    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> object | None:
        """Run the body of a test that is marked ``leak_check`` as the scenario."""
        marker = pyfuncitem.get_closest_marker("leak_check")
        if marker is None:
            return None
        names = pyfuncitem._fixtureinfo.argnames
        arguments = {name: pyfuncitem.funcargs[name] for name in names}
        checks = _leaks_for(pyfuncitem.config, pyfuncitem.nodeid)
        function: Callable[..., object] = pyfuncitem.obj
        page: Any = pyfuncitem.funcargs["page"]
        checks.repeat(page, lambda: function(**arguments), **marker.kwargs)
        return True
