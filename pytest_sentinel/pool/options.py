"""What a pool can be told, validated at birth; reads no command line and no environment.

``maximum`` counts places. While the browser of one place is being replaced, its successor runs
beside it: for that time, and for one place at a time, there is one browser more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pytest_sentinel.errors import SettingError
from pytest_sentinel.units import MIB

ENGINES = ("chromium", "firefox", "webkit")


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """Everything a pool of browser servers can be told. Sizes are bytes, durations seconds.

    Attributes:
        engines: the browsers that may be leased.
        minimum: browsers of each engine that are kept warm.
        maximum: places for browsers, of all engines together.
        contexts_per_browser: leases that one browser serves at once.
        max_waiting: clients that may wait; beyond, the newest of the owner with most is refused.
        acquire_timeout: how long a client waits that does not say how long.
        max_lease: how long one lease may last; None is for ever.
        per_owner: leases that one owner may hold at once; None is any number.
        memory_budget: PSS that all browsers together may reach; "auto" is what the control group
            or the machine has left, None is no limit.
        recycle_after: leases after which a browser is renewed; None is never.
        max_browser_age: age after which a browser is renewed.
        max_browser_memory: PSS of its tree at which a browser is renewed.
        probe_interval: how often every browser is probed.
        probe_timeout: how long a probe may take.
        ping_interval: how often a client's connection is pinged; None is never.
        close_timeout: how long a browser may take to end politely.
        launch_timeout: how long a browser may take to start.
        grace: how long something that nobody owns may stay before it is disposed of.
        launches_at_once: how many browsers may be starting; None is half the cores.
        headless: whether browsers have no window.
        channel: a browser other than Playwright's own, such as "chrome".
        launch_args: more arguments for the browser's command line.
        upstream: ws addresses of other Playwright servers that serve instead of own browsers.

    Raises:
        SettingError: a value is bad; says which, and shows a good one.
    """

    engines: tuple[str, ...] = ("chromium",)
    minimum: int = 0
    maximum: int = 2
    contexts_per_browser: int = 4
    max_waiting: int = 100
    acquire_timeout: float = 30.0
    max_lease: float | None = None
    per_owner: int | None = None
    memory_budget: int | Literal["auto"] | None = "auto"
    recycle_after: int | None = 500
    max_browser_age: float | None = 3600.0
    max_browser_memory: int | None = 1024 * MIB
    probe_interval: float = 10.0
    probe_timeout: float = 10.0
    ping_interval: float | None = 20.0
    close_timeout: float = 10.0
    launch_timeout: float = 30.0
    grace: float = 5.0
    launches_at_once: int | None = None
    headless: bool = True
    channel: str | None = None
    launch_args: tuple[str, ...] = ()
    upstream: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        engines = set(self.engines)
        if not engines or len(engines) < len(self.engines) or not engines <= set(ENGINES):
            problem = f"is not one or more of {', '.join(ENGINES)}, each once"
            raise SettingError("--browser", ",".join(self.engines), problem, "chromium")
        _at_least("--min", self.minimum, 0, "0")
        _at_least("--max", self.maximum, 1, "2")
        if self.minimum * len(self.engines) > self.maximum:
            problem = f"for each of {len(self.engines)} engines is more than --max {self.maximum}"
            good = str(self.maximum // len(self.engines))
            raise SettingError("--min", self.minimum, problem, good)
        _at_least("--contexts-per-browser", self.contexts_per_browser, 1, "4")
        _at_least("--max-waiting", self.max_waiting, 0, "100")
        _at_least("--acquire-timeout", self.acquire_timeout, 0, "'30 s'")
        _over_zero("--max-lease", self.max_lease, "'10 m'")
        _over_zero("--per-owner", self.per_owner, "4")
        if self.memory_budget != "auto":
            _over_zero("--memory-budget", self.memory_budget, "'2 GB'")
        _over_zero("--recycle-after", self.recycle_after, "500")
        _over_zero("--max-browser-age", self.max_browser_age, "'1 h'")
        _over_zero("--max-browser-memory", self.max_browser_memory, "'1 GB'")
        _over_zero("--probe-interval", self.probe_interval, "'10 s'")
        _over_zero("--probe-timeout", self.probe_timeout, "'10 s'")
        _over_zero("--ping-interval", self.ping_interval, "'20 s'")
        _over_zero("--close-timeout", self.close_timeout, "'10 s'")
        _over_zero("--launch-timeout", self.launch_timeout, "'30 s'")
        _over_zero("--grace", self.grace, "'5 s'")
        _over_zero("--launches-at-once", self.launches_at_once, "1")
        for address in self.upstream:
            if not address.startswith(("ws://", "wss://")):
                raise SettingError(
                    "--upstream", address, "is not a ws address", "ws://127.0.0.1:3000/"
                )


def _at_least(name: str, value: float, least: float, good: str) -> None:
    _check(name, value, lambda: value >= least, f"is less than {least:g}", good)


def _over_zero(name: str, value: float | None, good: str) -> None:
    _check(name, value, lambda: value is None or value > 0, "is not more than zero", good)


def _check(name: str, value: object, holds: Callable[[], bool], problem: str, good: str) -> None:
    if not holds():
        raise SettingError(name, value, problem, good)
