"""The pytest edge of resource leaks: whose a resource is, what may stay, and what a leak costs.

Tells ``leaks.origins`` which fixture is being set up, so that what a session fixture opens is the
session's; has ``leaks.resources`` compare when a test's own fixtures are gone.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sentinel.errors import ResourceLeak, SentinelFailure
from pytest_sentinel.running import Running

if TYPE_CHECKING:
    from pytest_sentinel.leaks.origins import Origins
    from pytest_sentinel.leaks.resources import Before, Resources

_WIDE = ("class", "module", "package", "session")


class ResourceGuard:
    """Finds what tests leave open; ``error`` mode fails them for it."""

    def __init__(self, running: Running, mode: str) -> None:
        self._running = running
        self._mode = mode
        self._origins: Origins | None = None
        self._resources: Resources | None = None
        self._before: Before | None = None

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Refuse markers that name no kind or give no reason."""
        from pytest_sentinel.leaks.resources import KINDS

        for item in items:
            for marker in item.iter_markers("allow_leak"):
                _check_marker(item, marker, KINDS)

    def pytest_sessionstart(self) -> None:
        """Begin to note where things are opened."""
        from pytest_sentinel.leaks.origins import Origins
        from pytest_sentinel.leaks.resources import Resources

        self._origins = Origins()
        self._origins.watch()
        self._resources = Resources(self._origins, self._running.own_pids)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: Any, request: Any
    ) -> Generator[None, object, object]:
        """Have what the fixture opens count as its scope's."""
        origins = self._origins
        if origins is None:
            return (yield)
        wide = fixturedef.scope in _WIDE
        owner = fixturedef if wide else None
        if wide:
            origins.adopt_codes(fixturedef.func, fixturedef.scope, fixturedef)
        origins.scopes.append((fixturedef.scope, owner))
        try:
            result = yield
        finally:
            origins.scopes.pop()
        if fixturedef.argname == "playwright":
            origins.watch_playwright(result)
        return result

    def pytest_fixture_post_finalizer(self, fixturedef: Any) -> None:
        """Look at what a fixture of a wider scope leaves when it ends."""
        if self._resources is None or fixturedef.scope not in _WIDE:
            return
        if fixturedef.argname in ("browser", "playwright", "launch_browser"):
            return  # what was open on them went with them
        self._running.leaks += self._resources.left_by(fixturedef)

    def begin(self, item: pytest.Item) -> None:
        """Look, before the test's own fixtures are set up."""
        if self._resources is not None:
            self._before = self._resources.look()

    def end(self, item: pytest.Item) -> Iterable[SentinelFailure]:
        """Compare, when the test's own fixtures are gone."""
        if self._resources is None or self._before is None:
            return []
        allowed = {str(m.args[0]) for m in item.iter_markers("allow_leak")}
        found = [one for one in self._resources.compare(self._before) if one.kind not in allowed]
        self._before = None
        self._running.leaks += found
        if self._mode == "error" and found:
            return [ResourceLeak([str(one) for one in found])]
        return []

    def pytest_unconfigure(self) -> None:
        """Put everything back."""
        if self._origins is not None:
            with suppress(RuntimeError):
                self._origins.close()


def _check_marker(item: pytest.Item, marker: pytest.Mark, kinds: tuple[str, ...]) -> None:
    good = 'write @pytest.mark.allow_leak("context", reason="the app keeps it")'
    if len(marker.args) != 1 or marker.args[0] not in kinds:
        raise pytest.UsageError(
            f"{item.nodeid}: allow_leak takes one kind of {', '.join(kinds)}; {good}"
        )
    if set(marker.kwargs) != {"reason"} or not str(marker.kwargs["reason"]).strip():
        raise pytest.UsageError(f"{item.nodeid}: allow_leak must give a reason; {good}")
