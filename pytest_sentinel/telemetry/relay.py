"""What a worker says about an attempt, as plain types on a TestReport, and back.

Reports cross from xdist workers as JSON-like values; anything else stops the run. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from pytest_sentinel.telemetry.record import (
    Attempt,
    BrowserEvent,
    Crash,
    Leftover,
    Memory,
    PageFigures,
)
from pytest_sentinel.telemetry.scrub import scrub

_ALWAYS: Final = ("attempt", "started", "finished")
_AS_THEY_ARE: Final = (*_ALWAYS, "engine", "wait")
_STRUCTURED: Final[dict[str, Any]] = {
    "memory": dict[str, Memory],
    "crash": Crash,
    "leaks": tuple[Leftover, ...],
    "page": PageFigures,
}


class _Reading(Protocol):
    @property
    def pss(self) -> int: ...


class _Window(Protocol):
    @property
    def start(self) -> _Reading | None: ...
    @property
    def peak(self) -> _Reading | None: ...
    @property
    def end(self) -> _Reading | None: ...


class _Death(Protocol):
    @property
    def kind(self) -> str: ...
    @property
    def ended(self) -> str | None: ...
    @property
    def tail(self) -> tuple[str, ...]: ...


class _Happening(Protocol):
    @property
    def event(self) -> str: ...
    @property
    def browser(self) -> str: ...
    @property
    def slot(self) -> int: ...
    @property
    def at(self) -> float: ...
    @property
    def detail(self) -> str: ...
    @property
    def seconds(self) -> float | None: ...
    @property
    def what(self) -> str: ...


class _Leftover(Protocol):
    @property
    def kind(self) -> str: ...
    @property
    def what(self) -> str: ...
    @property
    def where(self) -> str: ...
    @property
    def closed(self) -> bool: ...


def pack(
    attempt: int,
    started: float,
    finished: float,
    windows: Mapping[str, _Window],
    happenings: Sequence[_Happening],
    browsers: Iterable[str],
    death: _Death | None,
    leaks: Sequence[_Leftover] = (),
    launch_failed: bool = False,
    *,
    engine: str = "",
    page: PageFigures | None = None,
    fault: str = "product",
    wait: float | None = None,
) -> dict[str, Any]:
    """Return the facts of one attempt as plain types, without secrets.

    What there is nothing of is left out: most tests have no more to say than when they ran.
    """
    packed = pack_plain(attempt, started, finished)
    names = list(browsers)
    memory = {
        name: Memory(_pss(window.start), _pss(window.peak), _pss(window.end))
        for name, window in windows.items()
        if window.end is not None and (name in names or name in ("worker", "driver"))
    }
    if memory:
        packed["memory"] = msgspec.to_builtins(memory)
    if death is not None:
        last = next((memory[name].end for name in names if name in memory), None)
        tail = tuple(map(scrub, death.tail))
        crash = Crash(scrub(str(death)), death.kind, death.ended, last, tail)
        packed["crash"] = msgspec.to_builtins(crash)
    if page is not None:
        packed["page"] = msgspec.to_builtins(page)
    if leaks:
        packed["leaks"] = [
            {
                "kind": leak.kind,
                "what": scrub(leak.what),
                "where": leak.where,
                "closed": leak.closed,
            }
            for leak in leaks
        ]
    if happenings:
        packed["events"] = pack_happenings(happenings)
    if names:
        packed["browsers"] = names
    if launch_failed:
        packed["launch_failed"] = True
    if engine:
        packed["engine"] = engine
    if fault != "product":
        packed["fault"] = fault
    if wait is not None:
        packed["wait"] = wait
    return packed


def pack_plain(attempt: int, started: float, finished: float) -> dict[str, Any]:
    """Return the facts of an attempt of which there is no more to say than when it ran."""
    return {"attempt": attempt, "started": started, "finished": finished}


def pack_happenings(happenings: Iterable[_Happening]) -> list[dict[str, Any]]:
    """Return happenings as plain types."""
    return [
        {
            "event": h.event,
            "browser": h.browser,
            "slot": h.slot,
            "at": h.at,
            "detail": scrub(str(h.detail)),
            "seconds": h.seconds,
            "what": h.what,
        }
        for h in happenings
    ]


def unpack_attempt(
    packed: Mapping[str, Any],
    *,
    nodeid: str,
    outcome: str,
    failure: str | None,
    worker: str,
    phases: dict[str, float],
) -> Attempt:
    """Return the record line for what a worker packed and the controller saw."""
    if len(packed) == len(_ALWAYS):
        attempt, started, finished = packed["attempt"], packed["started"], packed["finished"]
        return Attempt(nodeid, outcome, attempt, worker, started, finished, phases, failure)
    facts: dict[str, Any] = {name: packed[name] for name in _AS_THEY_ARE if name in packed}
    if "browsers" in packed:
        facts["browsers"] = tuple(f"{worker}/{name}" for name in packed["browsers"])
    for name, kind in _STRUCTURED.items():
        if name in packed:
            facts[name] = msgspec.convert(packed[name], kind)
    return Attempt(
        nodeid=nodeid, outcome=outcome, failure=failure, worker=worker, phases=phases, **facts
    )


def unpack_events(rows: Iterable[Mapping[str, Any]], worker: str) -> list[BrowserEvent]:
    """Return the record lines for packed happenings."""
    return [
        BrowserEvent(
            event=row["event"],
            browser=f"{worker}/{row['browser']}",
            slot=row["slot"],
            at=row["at"],
            worker=worker,
            detail=row["detail"],
            seconds=row["seconds"],
            what=row["what"],
        )
        for row in rows
    ]


def _pss(reading: _Reading | None) -> int | None:
    return reading.pss if reading is not None else None
