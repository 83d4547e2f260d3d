"""The pytest edge where results meet: the xdist controller, or the one process without xdist.

It turns reports into the run record as they arrive, tells workers what they need to know, and
writes the header and the closing section. It never touches a browser.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sentinel.attempts import EVENTS_ATTRIBUTE, REPORT_ATTRIBUTE, STATUS_ATTRIBUTE
from pytest_sentinel.complaints import complain
from pytest_sentinel.deadworkers import exit_code_of, is_of_dead_worker
from pytest_sentinel.measuring import Measuring
from pytest_sentinel.settings import Settings
from pytest_sentinel.telemetry.branches import branch_class
from pytest_sentinel.telemetry.digest import Digest
from pytest_sentinel.telemetry.journal import Journal, take_unsent
from pytest_sentinel.telemetry.outcomes import CRASHED, Ended, Folding, fault_of_exit, is_repeated
from pytest_sentinel.telemetry.record import Attempt, Begun, End, Run, WorkerDeath
from pytest_sentinel.telemetry.relay import unpack_attempt, unpack_events
from pytest_sentinel.telemetry.scrub import scrub

if TYPE_CHECKING:
    from pytest_sentinel.probing import Probing


class Controlling:
    """Everything the plugin does where results meet."""

    def __init__(
        self, config: pytest.Config, settings: Settings, run_id: str, browser: str
    ) -> None:
        self._config = config
        self._settings = settings
        self._browser = browser
        self._digest = Digest(keep=max(10, settings.top))
        self._folding = Folding()
        self._running: Counter[str] = Counter()
        self._events: dict[str, set[tuple[str, str, float]]] = {}
        self._repeated: list[pytest.TestReport] = []
        self._sampler_seconds = 0.0
        self._workers_planned = 0
        self._run_id = run_id
        self._journal: Any = None
        self._measuring: Measuring | None = None
        self._live = ""
        self._has_words = False
        self._probing: Probing | None = None
        if not config.option.collectonly:
            self._measuring = Measuring(settings, config.invocation_params.dir, self._complain)
        if settings.record is not None:
            directory = config.invocation_params.dir / settings.record
            self._journal = Journal(directory, run_id, self._complain, settings.keep_runs)

    @property
    def run_id(self) -> str:
        """What this run is called in its record, and by those who share a pool with it."""
        return self._run_id

    @property
    def directory(self) -> Path | None:
        """Where this run's files go; None when no record is kept."""
        if self._journal is None or not self._journal.is_open:
            return None
        path: Path = self._journal.directory
        return path

    # Beginning

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Write the first line of the record."""
        if self._journal is not None:
            self._journal.open()
        settings = {
            name: _plain(getattr(self._settings, name))
            for name in self._settings.__dataclass_fields__
        }
        suite, branch = self._settings.suite, self._settings.branch_class
        run = Run(
            id=self._run_id,
            started=time.time(),
            workers=len(getattr(self._config.option, "tx", None) or ()),
            browser=self._browser,
            versions=_versions(),
            settings=settings,
            suite=self._config.rootpath.name if suite == "auto" else suite,
            branch_class=branch_class(os.environ) if branch == "auto" else branch,
            slots=self._slots(),
        )
        if self._measuring is not None:
            self._live = self._measuring.begin(run, self.directory)
        self._keep(run)
        if self._settings.pool is not None and not self._config.option.collectonly:
            from pytest_sentinel.probing import Probing

            self._probing = Probing(self._settings.pool)

    def _slots(self) -> int:
        """Return for how many browsers there is room; 0 where they are on other machines."""
        from pytest_sentinel.load.plan import SLOTS_PER_CORE

        elsewhere = [tx for tx in self._config.getoption("tx", None) or () if "popen" not in tx]
        if self._settings.pool is not None or elsewhere:
            return 0
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        return cores * SLOTS_PER_CORE

    def pytest_report_collectionfinish(self) -> str | list[str]:
        """Say where the live metrics are."""
        return f"sentinel: metrics at http://{self._live}/metrics" if self._live else []

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, config: pytest.Config, specs: list[Any]) -> None:
        """Note how many workers there are at first: any later one replaces a dead one."""
        self._workers_planned = len(specs)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker who its controller is, where the run's files go, and whom it replaces."""
        self._workers_planned -= 1
        directory = self.directory
        node.workerinput["sentinel"] = {
            "controller": os.getpid() if getattr(node.gateway.spec, "popen", False) else 0,
            "host": platform.node(),
            "directory": os.fspath(directory) if directory is not None else "",
            "replacement": self._workers_planned < 0,
            "run": self._run_id,
        }

    # Reports

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note that a test begins: a run that is killed has no other chance to say so."""
        self._running[nodeid] += 1
        self._keep(Begun(nodeid, time.time()))

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Note that a test has ended; append what others reported without running it as pytest."""
        self._running[nodeid] -= 1
        # With --dist each the same test may still run in another worker.
        if self._folding.has_open() and self._config.getoption("dist", "no") != "each":
            for ended in self._folding.finish(nodeid):
                self._append_attempt(ended)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Fold one report in; when it is the last of its attempt, append the attempt."""
        # Of xdist; what another plugin calls a report's node is no worker.
        gateway: Any = getattr(getattr(report, "node", None), "gateway", None)
        worker = str(getattr(report, "worker_id", None) or getattr(gateway, "id", "main"))
        rows = getattr(report, EVENTS_ATTRIBUTE, None)
        if rows:
            self._take_events(rows, worker)
        if gateway is not None and is_of_dead_worker(report):
            self._worker_crashed(report, worker)
            return
        if is_repeated(report):
            self._show_by_own_words()
            if not hasattr(report, "context"):  # a subtest's is no attempt
                self._repeated.append(report)
        elif hasattr(report, STATUS_ATTRIBUTE):
            self._show_by_own_words()
        for ended in self._folding.take(report, worker, getattr(report, REPORT_ATTRIBUTE, None)):
            self._append_attempt(ended)

    def _show_by_own_words(self) -> None:
        """Name results of ours, from the first on: who shows reports asks for a word for each."""
        if not self._has_words:
            self._has_words = True
            self._config.pluginmanager.register(_Words(), "sentinel-words")

    def _append_attempt(self, ended: Ended) -> None:
        if self._probing is not None:
            self._write_probes()
        packed, is_bad = ended.facts, ended.outcome in ("failed", "error", CRASHED)
        told: dict[str, Any] = {
            "nodeid": ended.nodeid,
            "outcome": ended.outcome,
            "worker": ended.worker,
            "phases": ended.phases,
        }
        if packed is None:
            self._write(
                Attempt(
                    **told,
                    attempt=ended.before + 1,
                    finished=time.time(),
                    failure="product" if is_bad else None,
                )
            )
            return
        lost = "crash" in packed or "launch_failed" in packed
        fault = "infrastructure" if lost else packed.get("fault", "product")
        self._take_events(packed.get("events", ()), ended.worker)
        if ended.before:
            packed = {**packed, "attempt": packed["attempt"] + ended.before}
        self._write(unpack_attempt(packed, **told, failure=fault if is_bad else None))

    def _take_events(self, rows: Iterable[Mapping[str, Any]], worker: str) -> None:
        """Write what happened to browsers, once, by whichever way it came first."""
        if not rows:
            return
        known = self._events.setdefault(worker, set())
        for event in unpack_events(rows, worker):
            key = (event.browser, event.event, event.at)
            if key not in known:
                known.add(key)
                self._write(event)

    def _write_probes(self) -> None:
        for sample in self._probing.take() if self._probing is not None else ():
            self._write(sample)

    def _worker_crashed(self, report: pytest.TestReport, worker: str) -> None:
        self._folding.drop(report.nodeid, worker)
        self._write(
            Attempt(
                nodeid=report.nodeid,
                outcome="worker-crashed",
                worker=worker,
                finished=time.time(),
                failure=fault_of_exit(exit_code_of(report)),
            )
        )

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Take the last words of a worker; of one that died, what it has left on the disk."""
        worker = str(node.gateway.id)
        output = getattr(node, "workeroutput", None) or {}
        # xdist calls twice for a worker that was interrupted.
        words = output.pop("sentinel", None)
        unsent = self._unsent(node)
        if words is not None:
            self.take_last_words(words, worker)
        elif error is not None and str(error) != "keyboard-interrupt":
            self._take_events(unsent or (), worker)
            detail = scrub(str(error)).strip().rpartition("\n")[2]
            self._write(WorkerDeath(worker, time.time(), detail, partial=unsent is None))

    def _unsent(self, node: Any) -> list[dict[str, Any]] | None:
        """Return what a worker noted of its browsers as it happened; None if that is unknown."""
        if self.directory is None or not getattr(node.gateway.spec, "popen", False):
            return None
        return take_unsent(self.directory, str(node.gateway.id))

    def take_last_words(self, words: dict[str, Any], worker: str) -> None:
        """Write what happened after the last report."""
        self._sampler_seconds += words["sampler_seconds"]
        self._take_events(words["events"], worker)

    # End

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(
        self, session: pytest.Session, exitstatus: int
    ) -> Generator[None, object, object]:
        """Write the last lines of the record, even if the last fixtures fail to end."""
        try:
            return (yield)
        finally:
            running = self._config.pluginmanager.getplugin("sentinel-running")
            if running is not None:
                self.take_last_words(running.last_words(), "main")
            self._end(session, exitstatus)

    def _end(self, session: pytest.Session, exitstatus: int) -> None:
        from msgspec.structs import replace

        if self._probing is not None:
            self._probing.close()
            self._write_probes()
        # Another plugin's protocol may repeat a test, or leave out a report; both have ended.
        cut = [name for name in self._digest.unfinished.tests() if self._running[name] > 0]
        seconds = self._sampler_seconds
        end = End(time.time(), int(exitstatus), seconds, interrupted=tuple(cut))
        if self._measuring is not None:
            for verdict in self._measuring.judge(end):
                self._write(verdict)
            # Failing tests are the greater news.
            if exitstatus == pytest.ExitCode.OK and self._measuring.exit_status():
                end = replace(end, exit_status=self._measuring.exit_status())
                session.exitstatus = end.exit_status
            self._measuring.add(end)
            end = replace(end, export_failures=self._measuring.finish())
        self._keep(end)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Write the closing section; under ``-q`` only what is wrong."""
        from pytest_sentinel.report import closing_section, one_line

        counted = terminalreporter.stats.get("rerun", [])
        repeated = [report for report in self._repeated if report not in counted]
        if repeated:
            terminalreporter.stats["rerun"] = [*counted, *repeated]
        digest = self._digest
        busy = digest.launched or digest.launch_failures or digest.dead_workers()
        verdicts = self._measuring.verdicts if self._measuring is not None else []
        if not (busy or digest.leaks or verdicts):
            return
        if self._config.get_verbosity() < 0:
            row = one_line(digest, verdicts)
            if row is not None:
                terminalreporter.write_line(row.text, yellow=True)
            return
        terminalreporter.write_sep("=", "sentinel")
        record = ""
        if self.directory is not None:
            record = os.path.relpath(
                self.directory / "run.jsonl", self._config.invocation_params.dir
            )
        for row in closing_section(
            digest,
            worker_limit=self._settings.worker_memory,
            top=self._settings.top,
            record=record,
            verdicts=verdicts,
        ):
            tone = {"bad": {"yellow": True}, "good": {"green": True}}.get(row.tone, {})
            terminalreporter.write_line(row.text, **tone)

    def pytest_unconfigure(self) -> None:
        """Close the record, and what serves metrics or looks at services."""
        if self._probing is not None:
            self._probing.close()
        if self._measuring is not None:
            self._measuring.close()
        if self._journal is not None:
            self._journal.close()

    def _complain(self, sentence: str) -> None:
        complain(self._config, sentence)

    def _write(self, line: Any) -> None:
        if self._measuring is not None:
            self._measuring.add(line)
        self._keep(line)

    def _keep(self, line: Any) -> None:
        self._digest.add(line)
        if self._journal is not None:
            self._journal.append(line)


class _Words:
    """Says how reports of ours are shown; registered with the first of them."""

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, Any] | None:
        """Give an attempt that was lost to a crash its own letter and word."""
        if is_repeated(report):
            # Without a column: who asks for one takes the test's result from it, which is still to
            # come. What the terminal counts is added at its end.
            return "", "C", ("CRASHED", {"yellow": True})
        named = getattr(report, STATUS_ATTRIBUTE, None)
        if named is not None and (report.failed or report.passed):
            letter, word = named
            # What is found at the teardown of a test that has failed already is not counted again.
            return ("failed" if report.failed else "", letter, word)
        return None


def _plain(value: Any) -> Any:
    """Return a setting as the record has it: plain, and without secrets."""
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    return value if isinstance(value, int | float | None) else scrub(str(value))


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version(), "platform": sys.platform}
    for name in ("pytest-sentinel", "pytest", "pytest-playwright", "playwright", "pytest-xdist"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
