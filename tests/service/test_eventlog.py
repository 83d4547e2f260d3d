"""The log of a service, written to real pipes."""

from __future__ import annotations

import io
import json
import os
from contextlib import suppress

from pytest_sentinel.pool import eventlog
from pytest_sentinel.pool.eventlog import EventLog, Flow, as_json, as_text
from pytest_sentinel.pool.snapshot import Event

EVENT = Event(
    "lease.granted", 1_700_000_000.5, {"owner": "me\n\x1b[31m", "waited": 0.25, "why": ""}
)


def test_json_keeps_every_fact() -> None:
    """One line, with the time in UTC."""
    told = json.loads(as_json(EVENT))

    assert told == {
        "at": "2023-11-14T22:13:20.500+00:00",
        "event": "lease.granted",
        **EVENT.facts,
    }
    assert "\n" not in as_json(EVENT)


def test_text_is_safe_for_a_terminal() -> None:
    """Control characters are shown as letters; facts that say nothing are left out."""
    assert as_text(EVENT).endswith('  lease.granted      owner="me\\n\\u001b[31m" waited=0.25')


def test_events_are_written_in_order() -> None:
    """All of them are out when the log is closed."""
    stream = io.StringIO()
    log = EventLog(stream, as_text)
    for number in range(100):
        log.say(Event("a", 0.0, {"n": number}))
    log.close()

    assert [line.split("n=")[1] for line in stream.getvalue().splitlines()] == [
        str(number) for number in range(100)
    ]


def test_nobody_waits_for_a_reader() -> None:
    """A pipe that nobody reads fills; what does not fit is dropped and counted."""
    read, write = os.pipe()
    with os.fdopen(read, "rb") as reader, os.fdopen(write, "w") as writer:
        log = EventLog(writer, as_json)
        for _ in range(eventlog._KEPT + 5000):
            log.say(Event("a", 0.0, {"text": "x" * 200}))
        assert log.dropped > 0
        kept = eventlog._KEPT + 5000 - log.dropped
        lines = 0
        while lines < kept:
            lines += reader.read1(65536).count(b"\n")  # type: ignore[attr-defined]
        log.close()


def test_a_reader_that_left_is_no_error() -> None:
    """The service goes on; what nobody read is counted."""
    read, write = os.pipe()
    os.close(read)
    writer = os.fdopen(write, "w")
    log = EventLog(writer, as_text)
    log.say(EVENT)
    log.close()
    with suppress(BrokenPipeError):
        writer.close()

    assert log.dropped == 1


def test_strangers_cannot_fill_a_disk() -> None:
    """Of what they cause 100 are written at once and 5 a second, with how many were left out."""
    flow = Flow()

    written = [flow.pass_on(Event("client.refused", 0.0, {"status": n})) for n in range(1000)]
    others = [flow.pass_on(Event("lease.granted", 0.0, {})) for _ in range(1000)]
    later = flow.pass_on(Event("client.refused", 1.0, {"status": 1000}))

    assert len([event for event in written if event is not None]) == 100
    assert None not in others
    assert later is not None
    assert later.facts == {"status": 1000, "unsaid": 900}
