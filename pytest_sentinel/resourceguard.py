"""The pytest edge of resource leaks: whose a resource is, what may stay, and what a leak costs.

Tells ``leaks.origins`` which fixture is being set up, so that what a session fixture opens is the
session's; has ``leaks.resources`` compare when a test's own fixtures are gone, and when a wider
fixture ends.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import _pytest
import pytest

from pytest_sentinel.attempts import kept_by
from pytest_sentinel.errors import ResourceLeak, SentinelFailure
from pytest_sentinel.running import Running
from pytest_sentinel.verdicts import Guard

if TYPE_CHECKING:
    from pytest_sentinel.leaks.acquisitions import Acquisitions
    from pytest_sentinel.leaks.leftovers import Leftover
    from pytest_sentinel.leaks.resources import Before, Resources

_WIDE = ("class", "module", "package", "session")
# What is open on these when they end goes with them.
_OF_THE_BROWSER = ("browser", "playwright", "launch_browser")


class ResourceGuard(Guard):
    """Finds what tests leave open; ``error`` mode fails them for it."""

    def __init__(self, running: Running, mode: str) -> None:
        self._running = running
        self._mode = mode
        self._notes: Acquisitions | None = None
        self._resources: Resources | None = None
        self._before: Before | None = None
        self._living: dict[Any, Any] = {}
        self._late: list[Leftover] = []
        self._session: pytest.Session | None = None
        self._item: pytest.Item | None = None

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Begin to note where things are opened."""
        from pytest_sentinel.leaks.acquisitions import Acquisitions
        from pytest_sentinel.leaks.origins import Origins
        from pytest_sentinel.leaks.resources import Resources

        self._session = session
        runner = os.path.dirname(_pytest.__file__)
        ends = [os.path.join(runner, f"{name}.py") for name in ("python", "fixtures", "unittest")]
        self._notes = Acquisitions(Origins(ends))
        self._notes.watch()
        self._resources = Resources(
            self._notes, self._running.own_pids, self._wide_values, self._kept_for_users
        )

    def around(
        self, fixturedef: Any, request: Any, steps: Generator[None, object, object]
    ) -> Generator[None, object, object]:
        """Have what the fixture opens count as its scope's."""
        __tracebackhide__ = True
        scope = fixturedef.scope
        # Nothing wider is being set up around a test's own fixture: pytest does not allow it.
        if self._notes is None or self._resources is None or scope not in _WIDE:
            return (yield from steps)
        origins = self._notes.origins
        self._living[fixturedef] = request
        self._resources.look_for(fixturedef)
        origins.claim_function(fixturedef.func, scope, fixturedef)
        origins.scopes.append((scope, fixturedef))
        try:
            result = yield from steps
        finally:
            origins.scopes.pop()
        origins.claim_value(result, scope, fixturedef)
        return result

    def ended(self, fixturedef: Any) -> None:
        """Look at what a fixture of a wider scope leaves when it ends."""
        if self._notes is None or self._resources is None or fixturedef.scope not in _WIDE:
            return
        self._living.pop(fixturedef, None)
        if fixturedef.argname not in _OF_THE_BROWSER:
            self._late += self._resources.left_by(fixturedef)
            if self._late and self._mode != "error" and (item := self._running.item) is not None:
                self._running.leaks += self.take_late(item)
        self._notes.origins.release(fixturedef)

    def _wide_values(self) -> Iterator[tuple[Any, list[object]]]:
        for fixturedef, request in list(self._living.items()):
            held = kept_by(fixturedef)
            if fixturedef.scope == "class" and request.cls is not None:
                held += vars(request.cls).values()
            yield fixturedef, held

    def _kept_for_users(self) -> list[object]:
        """Return what users hang on pytest's own objects, and what plugins of theirs hold."""
        session = self._session
        assert session is not None
        kept: list[object] = []
        nodes = list(self._item.iter_parents())[1:] if self._item is not None else []
        for holder in (session.config, session, *nodes):
            kept += vars(holder).values()
            kept += getattr(getattr(holder, "stash", None), "_storage", {}).values()
        finalizers = getattr(session._setupstate, "stack", {})
        kept += [held for node, held in finalizers.items() if node is not self._item]
        return kept + list(session.config.pluginmanager.get_plugins())

    def take_late(self, item: pytest.Item) -> list[Leftover]:
        """Return, once, what wider fixtures left that ended after this test."""
        late, self._late = self._allowed(item, self._late), []
        return late

    def begin(self, item: pytest.Item, *, marked: bool) -> None:
        """Look, before the test's own fixtures are set up."""
        if self._resources is not None:
            self._item = item
            self._before = self._resources.look()

    def end(self, item: pytest.Item) -> Iterable[SentinelFailure]:
        """Compare, when the test's own fixtures are gone."""
        if self._resources is None or self._before is None:
            return ()
        before, self._before = self._before, None
        if self._resources.is_untouched(before):
            return ()
        file, line, _ = item.location
        test = f"{file}:{(line or 0) + 1} in {getattr(item, 'originalname', item.name)}"
        found = self._allowed(item, self._resources.compare(before, test))
        self._running.leaks += found
        accused = [str(one) for one in found if one.is_the_tests]
        return [ResourceLeak(accused)] if self._mode == "error" and accused else []

    def _allowed(self, item: pytest.Item, found: list[Leftover]) -> list[Leftover]:
        """Leave out what the test may leave open, and all of a test that will be run again."""
        if not found or self._running.is_repeating():
            return []
        allowed = {str(marker.args[0]) for marker in item.iter_markers("allow_leak")}
        return [one for one in found if one.kind not in allowed]

    def pytest_unconfigure(self) -> None:
        """Put everything back."""
        if self._notes is not None:
            with suppress(RuntimeError):
                self._notes.close()


class LateLeaks:
    """In ``error`` mode: fails the last test of a wider fixture for what that left."""

    def __init__(self, running: Running, guard: ResourceGuard) -> None:
        self._running = running
        self._guard = guard

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Raise what the wider fixtures left that have ended."""
        late: list[Leftover] = []
        try:
            result = yield
        finally:
            late = self._guard.take_late(item)
            self._running.leaks += late
        accused = [str(one) for one in late if one.is_the_tests]
        if accused:
            raise ResourceLeak(accused, "fixtures that ended with the test")
        return result
