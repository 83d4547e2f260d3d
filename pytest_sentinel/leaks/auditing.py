"""Hear of files, sockets and forks, by the interpreter's audit events.

A hook cannot be removed from the interpreter, only made deaf: it is added when somebody first
listens, and never where nobody does. What a listener raises never reaches the user's call.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

_EVENTS = {
    "open",
    "sqlite3.connect",
    "socket.__new__",
    "subprocess.Popen",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
}
_listener: Callable[[str, tuple[Any, ...]], None] | None = None
_hooked = False


def listen(listener: Callable[[str, tuple[Any, ...]], None]) -> Callable[[], None]:
    """Hear of files, sockets and forks; return what gives the ear back to whoever had it."""
    global _listener, _hooked
    before, _listener = _listener, listener
    if not _hooked:
        _hooked = True
        sys.addaudithook(_audit)

    def restore() -> None:
        global _listener
        _listener = before

    return restore


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if _listener is None or event not in _EVENTS:
        return
    if event == "open":
        # Of these there are many, and none stays open: imports, and our own readings.
        path = args[0]
        if type(path) is str and (path.startswith("/proc/") or path.endswith(".pyc")):
            return
    try:
        _listener(event, args)
    except Exception:
        # Whatever is raised here would fail the user's own call to open.
        return
