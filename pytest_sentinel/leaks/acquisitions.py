"""Note an origin for everything that is opened, from ``watch`` on until ``close``.

Threads, child processes, pipes, files and sockets; on Playwright's driver connection each context,
page, handle and so on, with routes, listeners, bindings and traces. What has no public event is
noted at the narrowest private place there is, looked for first and done without where it is
missing. ``close`` puts everything back. Judges nothing.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any
from weakref import ref

from pytest_sentinel.leaks.auditing import listen
from pytest_sentinel.leaks.coroutines import waiting_for_playwright
from pytest_sentinel.leaks.origins import Origin, Origins

_MOST = 1000  # notes of one kind that are kept for sure; older ones are forgotten
_HANDLE_CALLS = {
    "element_handle",
    "element_handles",
    "evaluate_handle",
    "frame_element",
    "get_properties",
    "get_property",
    "query_selector",
    "query_selector_all",
}
WATCHED = {
    "Browser",
    "BrowserContext",
    "Page",
    "CDPSession",
    "APIRequestContext",
    "JSHandle",
    "ElementHandle",
}


@dataclass(slots=True)
class Made:
    """An object of Playwright's client, and where it was made."""

    impl: Any
    kind: str
    origin: Origin

    def is_open(self) -> bool:
        """Tell whether the driver still knows it."""
        return not is_gone(self.impl)


def is_gone(impl: Any) -> bool:
    """Tell whether an object of Playwright's client has been disposed of, or cut off.

    The connection to a browser that was connected to keeps its objects when it has ended.
    """
    connection = getattr(impl, "_connection", None)
    if connection is None:
        return False
    ended = getattr(connection, "_closed_error", None) is not None
    return ended or connection._objects.get(impl._guid) is not impl


class Acquisitions:
    """The notes of one process. One at a time hears of files and sockets: the newest."""

    def __init__(self, origins: Origins) -> None:
        self.origins = origins
        self.made: dict[int, Made] = {}
        self.listeners: list[tuple[Any, Any, Any, Origin]] = []
        self.files: dict[str, Origin] = {}
        self.sockets: dict[int, tuple[Callable[[], Any], Origin]] = {}
        self.pipes: dict[int, Origin] = {}
        self.processes: dict[int, tuple[Callable[[], Any], Origin]] = {}
        self.forks: deque[tuple[float, Origin]] = deque(maxlen=100)
        self.spawned = 0
        self.connections: dict[int, Any] = {}
        self._undo: list[Callable[[], None]] = []
        self._watches_playwright = False

    # The process itself

    def watch(self) -> None:
        """Begin with threads, processes, pipes, files, sockets; and Playwright if it is there."""
        take = self.origins.take
        start, init = threading.Thread.start, subprocess.Popen.__init__

        @functools.wraps(start)
        def noted_start(thread: threading.Thread) -> None:
            if not hasattr(thread, "_sentinel_origin"):
                thread._sentinel_origin = take()  # type: ignore[attr-defined]
            start(thread)

        @functools.wraps(init)
        def noted_init(process: Any, /, *args: Any, **kwargs: Any) -> None:
            init(process, *args, **kwargs)
            _put(self.processes, process.pid, (ref(process), take()))

        self._patch(threading.Thread, "start", noted_start)
        self._patch(subprocess.Popen, "__init__", noted_init)
        for name in ("pipe", "pipe2"):
            self._patch_method(os, name, self._noted_pipe)
        self._undo.append(listen(self._on_event))
        self.watch_playwright()

    def _on_event(self, event: str, args: tuple[Any, ...]) -> None:
        subject = args[0] if args else None
        if event in ("open", "sqlite3.connect"):
            if subject is None or isinstance(subject, int):
                return
            _put(self.files, os.path.abspath(os.fsdecode(subject)), self.origins.take())
        elif event == "socket.__new__":
            key = id(subject)
            forget = ref(subject, lambda _: self.sockets.pop(key, None))
            self.sockets[key] = (forget, self.origins.take())
        else:
            self.spawned += 1
            if event != "subprocess.Popen":
                self.forks.append((boot_time(), self.origins.take()))

    def _noted_pipe(self, pipe: Callable[..., tuple[int, int]]) -> Callable[..., tuple[int, int]]:
        @functools.wraps(pipe)
        def noted(*flags: int) -> tuple[int, int]:
            ends = pipe(*flags)
            origin = self.origins.take()
            _put(self.pipes, os.fstat(ends[0]).st_ino, origin)
            # multiprocessing spawns without a word to audit hooks, but not without a pipe.
            self.spawned += 1
            self.forks.append((boot_time(), origin))
            return ends

        return noted

    def live_sockets(self) -> Iterator[tuple[Any, Origin]]:
        """Yield the sockets that still exist, with the origin of each."""
        for reference, origin in list(self.sockets.values()):
            socket = reference()
            if socket is not None:
                yield socket, origin

    # Playwright

    def watch_playwright(self) -> None:
        """Note what Playwright's client makes, as soon as that is imported."""
        if self._watches_playwright:
            return
        connection = _class("Connection", "connection", "_connection")
        if connection is None:
            return
        self._watches_playwright = True
        if "_create_remote_object" in vars(connection):
            self._patch_method(connection, "_create_remote_object", self._noted_create)
        self._patch_method(_class("Tracing", "tracing", "_tracing"), "start", self._noted_start)
        for kind, modules in (
            ("RouteHandler", ("network", "_helper")),
            ("WebSocketRouteHandler", ("network", "_network")),
        ):
            self._patch_method(_class(kind, *modules), "__init__", self._noted_init)
        for base in (_class("SyncBase", "_sync_base"), _class("AsyncBase", "_async_base")):
            for name in ("on", "once"):
                self._patch_method(base, name, self._noted_listener)

    def _noted_create(self, create: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(create)
        def noted(connection: Any, parent: Any, kind: str, *args: Any, **kwargs: Any) -> Any:
            made = create(connection, parent, kind, *args, **kwargs)
            # A second driver belongs to a thread of its own, and cannot be asked from here.
            if kind in WATCHED and self.origins.is_home():
                self._note_made(connection, made, kind)
            return made

        return noted

    def _note_made(self, connection: Any, made: Any, kind: str) -> None:
        waiting: list[FrameType] = []
        if getattr(connection, "_dispatcher_fiber", None) is None:
            waiting = waiting_for_playwright(connection._loop)
        origin = self.origins.take(waiting)
        if kind in ("JSHandle", "ElementHandle") and not _is_asked_for(origin):
            return
        self.connections[id(connection)] = connection
        self.made[id(made)] = Made(made, kind, origin)
        bindings = getattr(made, "_bindings", None)
        if type(bindings) is dict and not bindings:
            made._bindings = Bindings(self.origins)

    def _noted_init(self, init: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(init)
        def noted(made: Any, /, *args: Any, **kwargs: Any) -> None:
            init(made, *args, **kwargs)
            made._sentinel_origin = self.origins.take()

        return noted

    def _noted_start(self, start: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(start)
        def noted(tracing: Any, /, *args: Any, **kwargs: Any) -> Any:
            tracing._sentinel_origin = self.origins.take()
            return start(tracing, *args, **kwargs)

        return noted

    def _noted_listener(self, register: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(register)
        def noted(api: Any, event: Any, f: Any) -> None:
            register(api, event, f)
            if self.origins.is_home():
                origin = self.origins.take()
                self.listeners.append((api._impl_obj, event, api._wrap_handler(f), origin))

        return noted

    def _patch_method(self, holder: Any, name: str, noting: Callable[..., Any]) -> None:
        if holder is not None and name in vars(holder):
            self._patch(holder, name, noting(vars(holder)[name]))

    def _patch(self, holder: Any, name: str, replacement: Any) -> None:
        original = vars(holder)[name]
        setattr(holder, name, replacement)
        self._undo.append(lambda: setattr(holder, name, original))

    def close(self) -> None:
        """Put everything back."""
        while self._undo:
            self._undo.pop()()
        self._watches_playwright = False
        self.made.clear()
        self.listeners.clear()
        self.connections.clear()


class Bindings(dict[str, Any]):
    """The bindings of a page or context, with where each was exposed."""

    def __init__(self, origins: Origins) -> None:
        super().__init__()
        self._origins = origins
        self.noted: dict[str, Origin] = {}

    def __setitem__(self, name: str, value: Any) -> None:
        self.noted[name] = self._origins.take()
        super().__setitem__(name, value)


def _class(name: str, *modules: str) -> Any:
    """Return a class of Playwright's client, from the first of ``modules`` that has it."""
    found = (
        getattr(sys.modules.get(f"playwright._impl.{module}"), name, None) for module in modules
    )
    return next((kind for kind in found if kind is not None), None)


def _is_asked_for(origin: Origin) -> bool:
    """Tell a handle that a call returns from one that comes along with a console message.

    Nor are those meant that ``wait_for_selector`` and its like return: hardly anybody takes them.
    """
    return any(
        code.co_name in _HANDLE_CALLS and code.co_filename.endswith("_generated.py")
        for code, _ in origin.frames
    )


def _put(notes: dict[Any, Any], key: Any, note: Any) -> None:
    notes.pop(key, None)  # so that the order of the keys is that of the notes
    notes[key] = note
    if len(notes) > 2 * _MOST:
        for old in list(notes)[:_MOST]:
            notes.pop(old, None)


def boot_time() -> float:
    """Return the seconds since the machine was booted, as the start of a process is counted."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
