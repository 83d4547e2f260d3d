"""The pytest edge where tests run: a worker, or the one process of a run without xdist.

It watches the borders of tests and fixtures, asks the pool to put things right there, runs a
test again whose browser died, and sends what was measured along on the test's own reports.
It keeps no results: those belong to the controller's side.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sentinel import attempts, protocols, verdicts
from pytest_sentinel.attempts import Test
from pytest_sentinel.driverlife import DriverLife
from pytest_sentinel.facts import load
from pytest_sentinel.recovery import Recovery
from pytest_sentinel.settings import Settings
from pytest_sentinel.telemetry.relay import pack_happenings
from pytest_sentinel.verdicts import Guarding
from pytest_sentinel.widecontexts import WideContexts

if TYPE_CHECKING:
    from pytest_sentinel.leaks.resources import Leftover
    from pytest_sentinel.leasing import Leasing
    from pytest_sentinel.memory.sampler import Sampler
    from pytest_sentinel.pagewatch import PageWatch
    from pytest_sentinel.pool.ledger import Statistics
    from pytest_sentinel.pool.worker import WorkerPool


class Running:
    """Everything the plugin does where tests run."""

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        directory: Callable[[], Path | None],
        is_replacement: bool = False,
        run_id: str = "",
    ) -> None:
        self._config = config
        self.settings = settings
        self._directory = directory
        self._is_replacement = is_replacement
        self._run_id = run_id
        self._sampler: Sampler | None = None
        self._pool: WorkerPool | None = None
        self._leasing: Leasing | None = None
        self._test: Test | None = None
        workerinput: dict[str, Any] = getattr(config, "workerinput", {})
        self._worker = str(workerinput.get("workerid", "main"))
        self._driver = DriverLife(settings, directory, self._worker)
        self.guarding = Guarding()
        self.leaks: list[Leftover] = []
        self._pages: PageWatch | None = None
        self._wide = WideContexts(self._open_contexts)
        self._recovery = Recovery(lambda: self._test, self._notice_death)
        self._needs = protocols.Needs()
        self._sending = verdicts.Sending(config, self, lambda: self._test)

    @property
    def directory(self) -> Path | None:
        """Where this run's files go; None when no record is kept."""
        return self._directory()

    # The pool, made with the first browser

    def pool(self) -> WorkerPool:
        """Return the pool of this process; the first call makes it."""
        if self._pool is None:
            from pytest_sentinel.pool.worker import WorkerPool

            driver = self._driver
            self._pool = WorkerPool(
                self.settings, self.sampler(), driver.log_file, driver.reaper, driver.drivers
            )
            self._pool.on_launching = self._announce_launch
            self._pool.on_driver_death = driver.note
            if hasattr(self._config, "workerinput") and self.directory is not None:
                from pytest_sentinel.telemetry.journal import note_unsent

                note = note_unsent(self.directory, self._worker)
                self._pool.diary.on_happening = note
            manager = self._config.pluginmanager
            manager.register(self._recovery, "sentinel-recovery")
            manager.register(self._recovery.inner, "sentinel-recovery-inner")
        return self._pool

    def leasing(self) -> Leasing | None:
        """Return the way to the services of ``--sentinel-pool``; None without that option."""
        if self._leasing is None and self.settings.pool is not None:
            from pytest_sentinel.leasing import Leasing

            owner = f"{self._run_id or 'pytest'}/{self._worker}"
            self._leasing = Leasing(self._config, self.settings, owner)
            self.pool().leased = self._leasing.hold
        return self._leasing

    def sampler(self) -> Sampler:
        """Return what watches the memory of this process; the first call starts it."""
        if self._sampler is None:
            from pytest_sentinel.memory.sampler import Sampler

            self._sampler = Sampler()
            self._sampler.watch("worker", os.getpid(), recursive=False)
        return self._sampler

    def pages(self) -> PageWatch:
        """Return what watches the pages of tests; the first call makes it."""
        if self._pages is None:
            from pytest_sentinel.pagewatch import PageWatch

            self._pages = PageWatch()
        return self._pages

    def own_pids(self) -> set[int]:
        """Return the children of this process that the plugin itself started."""
        return self._driver.own_pids()

    @property
    def item(self) -> pytest.Item | None:
        """The test that runs, or ran last."""
        return self._test.item if self._test is not None else None

    def is_repeating(self) -> bool:
        """Tell whether this attempt is lost to the death of a browser, and will be repeated."""
        return self._test is not None and self._test.retry

    def outlives_the_test(self, context: Any) -> bool:
        """Tell whether a context is not the running test's own."""
        return self._wide.holds(context)

    def statistics(self) -> Statistics:
        """Return an immutable snapshot of the pool."""
        return self.pool().statistics()

    # Fixtures

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: Any, request: Any
    ) -> Generator[None, object, object]:
        """Have a wider fixture watched; let the test begin with the first that is its own."""
        __tracebackhide__ = True
        if fixturedef.scope == "function" and fixturedef.argname != "playwright":
            self.guarding.begin(request.node)
            return (yield)
        steps = self._set_up(fixturedef, request)
        return (yield from self.guarding.around(fixturedef, request, steps))

    def _set_up(self, fixturedef: Any, request: Any) -> Generator[None, object, object]:
        """Note which fixture opened the contexts that outlive a test."""
        __tracebackhide__ = True
        if fixturedef.argname == "playwright":
            result = yield from self._driver.set_up(fixturedef, request)
            if self._pool is not None:
                self._pool.log_file = self._driver.log_file
            return result
        if fixturedef.argname == "delete_output_dir" and self._is_replacement:
            return (yield from attempts.with_output_kept(self._config.option))
        result = yield from self._wide.watch(fixturedef, request)
        if self.settings.page_metrics != "off" and attempts.is_browser(result):
            self.pages().follow(result)
        return result

    def pytest_fixture_post_finalizer(self, fixturedef: Any) -> None:
        """Look at what a wider fixture leaves; note the end of the one that holds the driver."""
        if fixturedef.scope != "function":
            self.guarding.ended(fixturedef)
        if fixturedef.argname == "playwright":
            self._driver.ended(fixturedef)

    def _open_contexts(self) -> list[tuple[int, Any]]:
        return list(self._pool.contexts()) if self._pool is not None else []

    # Tests

    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> object | None:
        """Run the test, and again while its browser died under it and retries are left."""
        self._sending.asked = item
        if not self._runs(item):
            return None
        if protocols.run_by_another(item, nextitem, self):
            return True
        test: Test | None = None
        number = 0
        while test is None or test.retry:
            number += 1
            may_retry = number <= self.settings.crash_retries
            earlier = test.death if test is not None else None
            test = self._test = Test(
                item, number, may_retry=may_retry, earlier=earlier, is_ours=True
            )
            test.may_break = self.settings.leaks == "error"
            # Whoever keeps a result for each attempt needs to see where one begins and ends.
            item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
            if attempts.run_phases(test, nextitem):
                self._mend()
            item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _runs(self, item: pytest.Item) -> bool:
        """Tell whether there is a reason to run the test here and not leave it to pytest."""
        may_repeat = self.settings.crash_retries > 0 and self._needs.browser(item)
        may_break = self.settings.leaks == "error"
        return (may_repeat or may_break) and not protocols.is_shown(self._config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Put the pool right before a test that uses browsers."""
        test = self._test
        if test is None or test.item is not item or test.has_ended:
            # Another plugin runs the protocol, and repeats tests as it sees fit.
            number = test.attempt + 1 if test is not None and test.item is item else 1
            test = self._test = Test(
                item,
                getattr(item, "execution_count", number) or number,
                sends_at_once=self._sending.is_at_once(item),
            )
        test.uses_browser = "browser" in getattr(item, "fixturenames", ())
        if self._pool is None and self._driver.death() is not None:
            self._mend()
        if self._pool is not None:
            if test.uses_browser and self._pool.had_trouble:
                attempts.forget_lost_fixtures(item)
            self._begin_test(test, self._pool)
        elif self._sampler is not None:
            self._sampler.mark()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Let the test begin with its body, if it has no fixture of its own."""
        self.guarding.called(item)

    def _begin_test(self, test: Test, pool: WorkerPool) -> None:
        pool.test = test.item.nodeid
        dead = pool.deaths()
        if dead or self._driver.death() is not None:
            self._mend()
        is_right = False
        try:
            if test.uses_browser:
                fresh = test.item.get_closest_marker("fresh_browser") is not None
                pool.begin_test(fresh=fresh)
                is_right = not dead
            else:
                # It may still ask for one by getfixturevalue, and will then see what is wrong.
                with suppress(Exception):
                    pool.begin_test(renew=False)
        finally:
            self._wide.begin_test()
            # Where none was dead and nothing went wrong there is none now: looking costs time.
            test.found_dead = [] if is_right else pool.deaths()
            if self._pages is not None:
                self._pages.refresh()
                # A page whose leaks are looked for is left to itself.
                self._pages.paused = attempts.is_quiet(test.item)

    def _mend(self) -> None:
        """End the fixtures that hold what is dead: the tests that need them set them up anew."""
        self._driver.rebuild()
        if self._pool is not None:
            self._pool.forget_orphans()
            self._wide.rebuild(self._pool.dead_slots())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Look for a dead browser behind a failure; load the last report with what was measured."""
        try:
            report = yield
        except Exception as error:
            report = self._recovery.report_despite(error)
        test = self._test
        if test is None or test.item is not item:
            return report
        pool, when, failed = self._pool, report.when, report.failed
        if when == "call":
            test.passed = report.passed
            if pool is not None:
                self._look_at_pages(pool)
        # Under xfail a teardown that fails counts as one more expected failure.
        if failed or when == "teardown":
            if self._may_lose(test):
                if report.failed or call.excinfo is not None:
                    self._blame(test, call, report)
                else:
                    self._notice_death(test)
            if report.failed:
                self._explain(test, call, report)
        if test.retry and when != "teardown":
            attempts.mark_repeated(report)  # also where only a subtest was lost
        if test.is_ours and (test.retry or test.attempt > 1):
            attempts.number(report, test.attempt)
        if when == "teardown":
            self._load(test, report)
        elif pool is not None:
            # The worker may not live to the end of the test.
            attempts.send_happenings(report, pool.take_happenings())
        verdicts.take(test, report, call)
        return report

    def _look_at_pages(self, pool: WorkerPool) -> None:
        """Look at pages and browsers while the test's own are still open."""
        if self._pages is not None and self.settings.page_metrics == "heap":
            self._pages.measure(
                context for _, context in self._open_contexts() if not self._wide.holds(context)
            )
        pool.poke()

    def _explain(self, test: Test, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        """Find whose fault a failure is, and say what is known of it."""
        test.launch_failed = test.launch_failed or attempts.is_launch_failure(call)
        test.fault = attempts.fault_of(call)
        if test.death is None and self._driver.explain(call, report):
            test.fault = "infrastructure"
        attempts.name_failure(call, report)

    def _may_lose(self, test: Test) -> bool:
        """Tell whether the death of a browser, or of the driver, could spoil this test."""
        if test.uses_browser or (self._pool is not None and self._pool.was_used()):
            return self._pool is not None
        return "playwright" in getattr(test.item, "fixturenames", ())

    def _blame(self, test: Test, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        """Decide whether a failed phase is the browser's fault, and say so on the report."""
        if not self._notice_death(test, thoroughly=True):
            return
        assert test.death is not None
        if report.when == "setup":
            attempts.mark_lost(call)
        text = "\n".join([f"{test.death} during {report.when}", *test.death.tail])
        report.sections.append(("sentinel: browser crash", text))
        if report.when == "teardown":
            if attempts.is_playwright_error(call):
                # Nothing could be closed any more; that is the crash once more, not a second fault.
                report.outcome = "passed"
                vars(report).pop("wasxfail", None)
        elif test.may_retry and not (test.item.session.shouldfail or test.item.session.shouldstop):
            test.retry = True

    def _notice_death(self, test: Test, *, thoroughly: bool = False) -> bool:
        """Tell whether a browser is dead that was not when the test began; note how it died."""
        found = self._pool.deaths(thoroughly=thoroughly) if self._pool is not None else []
        for death in [*found, self._driver.death()]:
            if death is not None and not any(death is old for old in test.found_dead):
                test.death = test.death or death
                return True
        return False

    def _load(self, test: Test, report: pytest.TestReport) -> None:
        """Put the attempt's facts on its last report."""
        leaks, self.leaks = self.leaks, []
        load(
            report,
            test,
            leaks,
            self._driver.take_happenings(),
            pool=self._pool,
            sampler=self._sampler,
            pages=self._pages,
        )

    # Beginning and end

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Send the last happenings home."""
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output["sentinel"] = self.last_words()

    def last_words(self) -> dict[str, Any]:
        """Return what no report carried: late happenings and the sampler's own cost."""
        happenings = self._driver.take_happenings()
        happenings += self._pool.take_happenings() if self._pool is not None else []
        cost = self._sampler.cost().cpu_seconds if self._sampler is not None else 0.0
        return {"events": pack_happenings(happenings), "sampler_seconds": cost}

    def pytest_unconfigure(self) -> None:
        """Leave nothing behind."""
        if self._pool is not None:
            self._pool.close()
        self._driver.close()
        if self._sampler is not None:
            self._sampler.close()

    def _announce_launch(self, key: str) -> Callable[[], None]:
        from pytest_sentinel.waiting import say_if_slow

        return say_if_slow(self._config, f"sentinel: waiting for {key} to start")
