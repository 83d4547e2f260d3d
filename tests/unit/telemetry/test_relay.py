"""The way of an attempt's facts from worker to controller: nothing lost, plain types only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pytest_sentinel.telemetry.record import (
    Attempt,
    BrowserEvent,
    Crash,
    Leftover,
    Memory,
    PageFigures,
    Visit,
)
from pytest_sentinel.telemetry.relay import (
    pack,
    pack_happenings,
    unpack_attempt,
    unpack_events,
)


@dataclass(frozen=True)
class Reading:
    """A memory reading."""

    pss: int


@dataclass(frozen=True)
class Window:
    """What was read of one process tree."""

    start: Reading | None = None
    peak: Reading | None = None
    end: Reading | None = None


@dataclass(frozen=True)
class Death:
    """How a browser ended."""

    kind: str = "crashed"
    ended: str | None = "SIGKILL"
    tail: tuple[str, ...] = ("last", "words")

    def __str__(self) -> str:
        return "the browser died (SIGKILL)"


@dataclass(frozen=True)
class Happening:
    """Something that happened to a browser."""

    event: str = "launched"
    browser: str = "browser-1"
    slot: int = 1
    at: float = 1000.5
    detail: str = "start"
    seconds: float | None = 0.25
    what: str = "chromium 1.0"


@dataclass(frozen=True)
class Open:
    """Something that was left open."""

    kind: str = "context"
    what: str = "a context"
    where: str = "test_a.py:7 in login"
    closed: bool = True


WINDOWS = {
    "worker": Window(None, Reading(20), Reading(10)),
    "driver": Window(Reading(30), Reading(30), Reading(30)),
    "browser-1": Window(Reading(100), Reading(300), Reading(200)),
    "browser-2": Window(),
    "browser-3": Window(Reading(7), Reading(7), Reading(7)),
}


def packed(death: Death | None = None) -> dict[str, Any]:
    """Pack an attempt on browser-1 and browser-2, beside a browser-3 of somebody else."""
    names = ["browser-1", "browser-2"]
    return pack(2, 1000.0, 1001.0, WINDOWS, [Happening()], names, death, [Open()])


def unpacked(facts: dict[str, Any]) -> Attempt:
    """Unpack it as a controller does."""
    return unpack_attempt(
        facts,
        nodeid="test_a.py::test_b",
        outcome="crashed",
        failure="infrastructure",
        worker="gw1",
        phases={"call": 0.5},
    )


def is_plain(value: object) -> bool:
    """Tell whether xdist can carry ``value``."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_plain(inner) for key, inner in value.items())
    if isinstance(value, list | tuple):
        return all(is_plain(inner) for inner in value)
    return value is None or type(value) in (str, int, float, bool)


def test_an_attempt_arrives_as_it_was() -> None:
    """All that was measured is in the record line, under the worker's name."""
    assert unpacked(packed(Death())) == Attempt(
        "test_a.py::test_b",
        "crashed",
        attempt=2,
        worker="gw1",
        started=1000.0,
        finished=1001.0,
        phases={"call": 0.5},
        failure="infrastructure",
        browsers=("gw1/browser-1", "gw1/browser-2"),
        memory={
            "worker": Memory(None, 20, 10),
            "driver": Memory(30, 30, 30),
            "browser-1": Memory(100, 300, 200),
        },
        crash=Crash("the browser died (SIGKILL)", "crashed", "SIGKILL", 200, ("last", "words")),
        leaks=(Leftover("context", "a context", "test_a.py:7 in login", closed=True),),
    )


def test_a_failed_launch_is_told_the_controller() -> None:
    """It decides whose fault the failure is."""
    assert "launch_failed" not in packed()
    assert pack(1, 0.0, 1.0, {}, [], [], None, launch_failed=True)["launch_failed"] is True


def test_an_attempt_without_a_crash_has_none() -> None:
    """No death, no crash in the record."""
    assert unpacked(packed()).crash is None


def test_a_browser_that_was_never_read_leaves_its_memory_open() -> None:
    """A crash before the first reading is recorded without a number."""
    facts = pack(1, 0.0, 1.0, {}, [], ["browser-2"], Death())
    assert unpacked(facts).crash == Crash(
        "the browser died (SIGKILL)", "crashed", "SIGKILL", None, ("last", "words")
    )


def test_xdist_can_carry_it() -> None:
    """Nothing but plain types goes on a report: anything else would stop the run."""
    assert is_plain(packed(Death()))


def test_happenings_arrive_under_the_workers_name() -> None:
    """Browsers of different workers have the same names; the record tells them apart."""
    rows = pack_happenings([Happening(), Happening("crashed", detail="it died", seconds=None)])
    assert is_plain(rows)
    assert unpack_events(rows, "gw1") == [
        BrowserEvent("launched", "gw1/browser-1", 1, 1000.5, "gw1", "start", 0.25, "chromium 1.0"),
        BrowserEvent("crashed", "gw1/browser-1", 1, 1000.5, "gw1", "it died", None, "chromium 1.0"),
    ]


def test_pages_engine_and_fault_travel_along() -> None:
    """What the pages of a test did, in which browser, and whose fault a failure was."""
    page = PageFigures(console={"error": 1}, visits=(Visit("http://shop/", lcp=0.5),))
    facts = pack(1, 0.0, 1.0, {}, [], [], None, engine="webkit", page=page, fault="harness")

    assert is_plain(facts)
    assert facts["fault"] == "harness"
    assert (unpacked(facts).engine, unpacked(facts).page) == ("webkit", page)
    assert unpacked(packed()).page is None


def test_secrets_do_not_travel() -> None:
    """What browsers wrote before they died, and causes of failures, are scrubbed."""
    death = Death(tail=("GET http://shop/?token=abc",))
    happening = Happening("launch-failed", detail="http://anna:pw@proxy refused")

    assert unpacked(pack(1, 0.0, 1.0, {}, [], [], death)).crash == Crash(
        "the browser died (SIGKILL)",
        "crashed",
        "SIGKILL",
        None,
        ("GET http://shop/?token=[hidden]",),
    )
    assert pack_happenings([happening])[0]["detail"] == "http://[hidden]@proxy refused"
