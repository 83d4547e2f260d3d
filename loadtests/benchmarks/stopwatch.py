"""Time every hook and every fixture of the plugin, for overhead.py; loaded with ``-p stopwatch``.

A hook wrapper is charged for its own two halves, not for what it wraps. Each process writes one
table at its end: name, calls, seconds, seconds of CPU of its thread (what a busy machine leaves
as it is).
"""

from __future__ import annotations

import functools
import os
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

_OURS = "pytest_sentinel"
_spent: dict[str, list[float]] = defaultdict(lambda: [0, 0.0, 0.0])


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.thread_time()


def _charge(name: str, since: tuple[float, float]) -> None:
    entry = _spent[name]
    entry[0] += 1
    entry[1] += time.perf_counter() - since[0]
    entry[2] += time.thread_time() - since[1]


def _timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def timed(*args: Any) -> Any:
        began = _now()
        try:
            return function(*args)
        finally:
            _charge(name, began)

    return timed


def _timed_halves(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def timed(*args: Any) -> Generator[Any, Any, Any]:
        began = _now()
        inner = function(*args)
        try:
            next(inner)
        except StopIteration as stopped:
            return stopped.value
        finally:
            _charge(f"{name} (before)", began)
        try:
            value, error = (yield), None
        except BaseException as caught:
            value, error = None, caught
        began = _now()
        try:
            inner.send(value) if error is None else inner.throw(error)
        except StopIteration as stopped:
            return stopped.value
        finally:
            _charge(f"{name} (after)", began)
        raise AssertionError("a wrapper yielded twice")

    return timed


# The runner's protocol holds the whole test; it is not a cost.
_WHOLE = ("pytest_runtest_protocol",)


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    for name, caller in vars(session.config.hook).items():
        if name.startswith("_") or name in _WHOLE:
            continue
        for found in caller.get_hookimpls():
            module = getattr(found.function, "__module__", "")
            if module.partition(".")[0] == _OURS:
                timed = _timed_halves if found.wrapper or found.hookwrapper else _timed
                found.function = timed(f"{module.rpartition('.')[2]}.{name}", found.function)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: Any) -> Generator[None, object, object]:
    module = getattr(fixturedef.func, "__module__", "")
    began = _now()
    try:
        return (yield)
    finally:
        if module.partition(".")[0] == _OURS:
            _charge(f"fixture {fixturedef.argname}", began)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    _write(session.config)  # on a busy machine xdist interrupts a worker before its very end


def pytest_unconfigure(config: pytest.Config) -> None:
    _write(config)


def _write(config: pytest.Config) -> None:
    where = "worker" if hasattr(config, "workerinput") else "controller"
    rows = ["\t".join(map(str, (name, *entry))) for name, entry in _spent.items()]
    path = Path(config.invocation_params.dir, f"stopwatch-{where}-{os.getpid()}.tsv")
    path.write_text("\n".join(rows))
