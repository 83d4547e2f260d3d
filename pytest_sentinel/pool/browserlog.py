"""Read what Playwright's driver wrote about one browser: how it ended, and its last words.

Pure: text in, facts out. The text is the driver's ``pw:browser`` debug log, or the message of a
launch error, which holds the same lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_STAMP = re.compile(r"^\S+Z pw:browser ")
_BULLET = re.compile(r"^\s*-\s+")
_EXIT = re.compile(r"<process did exit: exitCode=(\w+), signal=(\w+)>")
_PID = re.compile(r"^\[pid=(\d+)\](?:\[(?:err|out)\])? ?")
_LAUNCHED = re.compile(r"<launched> pid=(\d+)")
# Chromium's own date, thread and time prefix, and the driver's notes about its clean-up.
_CHROMIUM_PREFIX = re.compile(r"^\[[\d:/.]+:(?=[A-Z]+:)")
_CLEANUP = re.compile(r"temporary directories cleanup|<gracefully close|<kill>|<will force kill>")
_NOISE = re.compile(r"dbus/|bluez_dbus|vaapi_wrapper|sandbox_linux\.cc|--playwright--set--content")
_LONGEST_LINE = 200


@dataclass(frozen=True, slots=True)
class BrowserLog:
    """What is known of one browser from its log.

    Attributes:
        ended: ``"SIGKILL"``, ``"exit code 1"``, or None when the log does not say.
        tail: its last lines of output, oldest first, without what every Chromium says.
    """

    ended: str | None
    tail: tuple[str, ...]


def read_log(text: str | Iterable[str], pid: int | None = None, lines: int = 8) -> BrowserLog:
    """Return what ``text`` says about the browser ``pid``, or about the only one it names."""
    rows = text.splitlines() if isinstance(text, str) else text
    ended: str | None = None
    tail: list[str] = []
    for raw in rows:
        row = _BULLET.sub("", _STAMP.sub("", raw)).strip()
        match = _PID.match(row)
        if match is None or (pid is not None and int(match[1]) != pid):
            continue
        said = row[match.end() :]
        exited = _EXIT.search(said)
        if exited is not None:
            code, signal = exited.groups()
            ended = signal if signal != "null" else f"exit code {code}"
            continue
        if _CLEANUP.search(said) or _NOISE.search(said) or not said:
            continue
        tail.append(_CHROMIUM_PREFIX.sub("[", said)[:_LONGEST_LINE])
    return BrowserLog(ended, tuple(_without_repeats(tail)[-lines:]))


def launched_pid(text: str) -> int | None:
    """Return the pid in a launch message, or None if the browser got as far as having none."""
    match = _LAUNCHED.search(text)
    return int(match[1]) if match else None


def _without_repeats(rows: list[str]) -> list[str]:
    # A launch error carries its log twice; keep the first of each line.
    return list(dict.fromkeys(rows))
