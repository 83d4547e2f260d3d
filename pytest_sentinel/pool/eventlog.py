"""The log of a service: one event, one line. Who reads it slowly, or not at all, delays nothing.

JSON lines are for machines and keep every fact; text is for a person at a terminal. Control
characters of what clients call themselves never reach the terminal.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, TextIO

from pytest_sentinel.pool.snapshot import Event

_KEPT: Final = 10_000
_CLOSED_WITHIN: Final = 2.0
_OF_STRANGERS: Final = ("client.refused", "client.failed", "control.failed", "task.failed")
_BURST: Final = 100.0
_A_SECOND: Final = 5.0


def as_json(event: Event) -> str:
    """Return an event as one line of JSON."""
    when = datetime.fromtimestamp(event.at, UTC).isoformat(timespec="milliseconds")
    return json.dumps({"at": when, "event": event.name, **event.facts}, default=str)


def as_text(event: Event) -> str:
    """Return an event as one line for a person."""
    when = datetime.fromtimestamp(event.at).astimezone().strftime("%H:%M:%S")
    return f"{when}  {event.name:<18} {_facts(event.facts)}".rstrip()


def _facts(facts: Mapping[str, object]) -> str:
    words = []
    for name, fact in facts.items():
        if fact is None or fact == "":
            continue
        text = f"{fact:.3g}" if isinstance(fact, float) else str(fact)
        plain = text.isprintable() and " " not in text
        words.append(f"{name}={text if plain else json.dumps(text)}")
    return " ".join(words)


FORMATS: Final[dict[str, Callable[[Event], str]]] = {"json": as_json, "text": as_text}


class Flow:
    """Bounds how often strangers can have something written.

    Of each name so many events are let through at once, and then so many a second; the next one
    that is let through has the number of those that were not, as ``unsaid``.
    """

    def __init__(self) -> None:
        self._left: dict[str, tuple[float, float]] = {}  # by name, and as of when
        self._unsaid: dict[str, int] = {}

    def pass_on(self, event: Event) -> Event | None:
        """Return the event as it is to be written, or None."""
        if event.name not in _OF_STRANGERS:
            return event
        left, before = self._left.get(event.name, (_BURST, event.at))
        left = min(_BURST, left + max(0.0, event.at - before) * _A_SECOND)
        self._left[event.name] = (left - 1 if left >= 1 else left, event.at)
        if left < 1:
            self._unsaid[event.name] = self._unsaid.get(event.name, 0) + 1
            return None
        unsaid = self._unsaid.pop(event.name, 0)
        facts = {**event.facts, "unsaid": unsaid} if unsaid else event.facts
        return Event(event.name, event.at, facts)


class EventLog:
    """Writes events to a stream from a thread of its own; what cannot be kept is counted."""

    def __init__(self, stream: TextIO, form: Callable[[Event], str]) -> None:
        self._stream = stream
        self._form = form
        self._lines: queue.Queue[Event | None] = queue.Queue(_KEPT)
        self._flow = Flow()
        self.dropped = 0
        self._thread = threading.Thread(target=self._write, name="sentinel-log", daemon=True)
        self._thread.start()

    def say(self, event: Event) -> None:
        """Take an event; never waits."""
        passed = self._flow.pass_on(event)
        if passed is None:
            return
        try:
            self._lines.put_nowait(passed)
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Write what is left, unless nobody reads it."""
        try:
            self._lines.put(None, timeout=_CLOSED_WITHIN)
        except queue.Full:
            return
        self._thread.join(_CLOSED_WITHIN)

    def _write(self) -> None:
        while (event := self._lines.get()) is not None:
            try:
                self._stream.write(self._form(event) + "\n")
                self._stream.flush()
            except Exception:  # the reader is gone, or a fact cannot be written; the log goes on
                self.dropped += 1
