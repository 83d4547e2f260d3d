"""Where things are opened: a light note of the stack at each acquisition.

While watching, every Playwright object, route, binding, listener, thread, child process and file
gets an Origin when it is made. Taking one costs a few microseconds: code objects and line numbers,
no source lines, no strings; they become text only for a leak that is reported.

What has no public event is noted at the narrowest private place there is, looked for first and
done without where it is missing. ``close`` puts everything back.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any
from weakref import WeakKeyDictionary

import greenlet

_DEEPEST = 40
_STDLIB = sysconfig.get_path("stdlib")
_SITE = tuple({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
_OURS = str(Path(__file__).parent.parent)
_MACHINERY = ("pytest_playwright", "playwright", "_pytest", "pluggy", "greenlet", "asyncio")

Frames = tuple[tuple[CodeType, int], ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Who opened something: the frames, innermost first, and the scope it belongs to.

    Attributes:
        number: grows with each acquisition.
        scope: the pytest scope that owns it; ``function`` is the running test.
        owner: the fixture of a wider scope that owns it, or None.
    """

    number: int
    frames: Frames
    scope: str
    owner: object | None

    def line(self) -> str:
        """Return ``file:line in function`` of the innermost code that its user wrote."""
        best = next(
            (frame for frame in self.frames if _is_users(frame[0].co_filename)),
            next((frame for frame in self.frames if _is_outside(frame[0].co_filename)), None),
        )
        if best is None:
            return "unknown"
        code, number = best
        return f"{_relative(code.co_filename)}:{number} in {code.co_name}"

    def by_library(self) -> bool:
        """Tell whether a library opened it for itself, rather than its user's code."""
        for code, _ in self.frames:
            name = code.co_filename
            in_site = name.startswith(_SITE) or "site-packages" in name
            if name.startswith("<") or (name.startswith(_STDLIB) and not in_site):
                continue
            return in_site
        return True


class Origins:
    """Notes origins from ``watch`` on until ``close``; one at a time in a process."""

    def __init__(self) -> None:
        self.scopes: list[tuple[str, object | None]] = []
        self.codes: dict[CodeType, tuple[str, object]] = {}
        self.objects: dict[tuple[int, str], tuple[Any, str, Origin]] = {}
        self.listeners: list[tuple[Any, Any, Any, Origin]] = []
        self.files: dict[str, Origin] = {}
        self.sockets: WeakKeyDictionary[Any, Origin] = WeakKeyDictionary()
        self.processes: dict[int, Origin] = {}
        self.forks = 0
        self.connections: list[Any] = []
        self._count = 0
        self._undo: list[Callable[[], None]] = []

    @property
    def now(self) -> int:
        """A number that every later acquisition exceeds."""
        return self._count

    def take(self) -> Origin:
        """Note the present stack."""
        self._count += 1
        frames = tuple(_frames())
        scope, owner = self.scopes[-1] if self.scopes else ("function", None)
        if scope == "function":
            # A factory that a wider fixture handed out works for that fixture.
            for code, _ in frames:
                if code in self.codes:
                    scope, owner = self.codes[code]
                    break
        return Origin(self._count, frames, scope, owner)

    def adopt_codes(self, function: Any, scope: str, owner: object) -> None:
        """Remember the code of a wider fixture, with all functions defined in it."""
        pending = [getattr(function, "__code__", None)]
        while pending:
            code = pending.pop()
            if isinstance(code, CodeType):
                self.codes[code] = (scope, owner)
                pending += [const for const in code.co_consts if isinstance(const, CodeType)]

    # Watching

    def watch(self) -> None:
        """Begin with threads, processes and files; Playwright's objects follow its start."""
        origins = self
        start = threading.Thread.start
        init = subprocess.Popen.__init__

        def noted_start(thread: threading.Thread) -> None:
            thread._sentinel_origin = origins.take()  # type: ignore[attr-defined]
            start(thread)

        def noted_init(process: Any, *args: Any, **kwargs: Any) -> None:
            init(process, *args, **kwargs)
            origins.processes[process.pid] = origins.take()

        self._patch(threading.Thread, "start", noted_start)
        self._patch(subprocess.Popen, "__init__", noted_init)
        _listen(self._on_open)

    def watch_playwright(self, playwright: Any) -> None:
        """Note what is made on the driver connection behind a sync Playwright object."""
        connection = getattr(getattr(playwright, "_impl_obj", None), "_connection", None)
        create = getattr(connection, "_create_remote_object", None)
        if create is None or connection in self.connections:
            return
        self.connections.append(connection)

        def noted_create(parent: Any, kind: str, guid: str, initializer: Any) -> Any:
            made = create(parent, kind, guid, initializer)
            if kind in WATCHED:
                self.objects[(id(connection), guid)] = (made, kind, self.take())
                self._watch_members(made)
            return made

        vars(connection)["_create_remote_object"] = noted_create
        self._watch_handlers(playwright)

    def _watch_members(self, made: Any) -> None:
        """Note what is started or exposed on a new page or context."""
        bindings = getattr(made, "_bindings", None)
        if isinstance(bindings, dict) and not bindings:
            made._bindings = _Bindings(self)
        tracing = type(getattr(made, "tracing", None))
        start = vars(tracing).get("start")
        if start is not None and not hasattr(start, "_sentinel"):
            self._patch(tracing, "start", self._noted_start(start))

    def _watch_handlers(self, playwright: Any) -> None:
        module = sys.modules.get("playwright._impl.network") or sys.modules.get(
            "playwright._impl._helper"
        )
        for name in ("RouteHandler", "WebSocketRouteHandler"):
            kind = getattr(module, name, None)
            if kind is not None and not hasattr(kind.__init__, "_sentinel"):
                self._patch(kind, "__init__", self._noted_handler(kind.__init__))
        base = next((c for c in type(playwright).__mro__ if "on" in vars(c)), None)
        for name in ("on", "once"):
            if base is not None and not hasattr(vars(base)[name], "_sentinel"):
                self._patch(base, name, self._noted_listener(vars(base)[name]))

    def _noted_handler(self, init: Callable[..., None]) -> Callable[..., None]:
        def noted(made: Any, /, *args: Any, **kwargs: Any) -> None:
            init(made, *args, **kwargs)
            made._sentinel_origin = self.take()

        noted._sentinel = True  # type: ignore[attr-defined]
        return noted

    def _noted_start(self, start: Callable[..., Any]) -> Callable[..., Any]:
        def noted(tracing: Any, /, *args: Any, **kwargs: Any) -> Any:
            tracing._sentinel_origin = self.take()
            return start(tracing, *args, **kwargs)

        noted._sentinel = True  # type: ignore[attr-defined]
        return noted

    def _noted_listener(self, register: Callable[..., None]) -> Callable[..., None]:
        def noted(api: Any, event: Any, f: Any) -> None:
            register(api, event, f)
            self.listeners.append((api._impl_obj, event, api._wrap_handler(f), self.take()))

        noted._sentinel = True  # type: ignore[attr-defined]
        return noted

    def _on_open(self, event: str, subject: Any) -> None:
        if event in _FORKS:
            self.forks += 1
            return
        if event == "socket.__new__":
            self.sockets[subject] = self.take()
            return
        self.files[subject] = self.take()
        if len(self.files) > 2000:
            for old in list(self.files)[:1000]:
                del self.files[old]

    def _patch(self, holder: Any, name: str, replacement: Any) -> None:
        original = vars(holder)[name]
        setattr(holder, name, replacement)
        self._undo.append(lambda: setattr(holder, name, original))

    def close(self) -> None:
        """Put everything back."""
        while self._undo:
            self._undo.pop()()
        for connection in self.connections:
            vars(connection).pop("_create_remote_object", None)
        self.connections.clear()
        self.objects.clear()
        self.listeners.clear()
        _listen(None)


class _Bindings(dict[str, Any]):
    """The bindings of a page or context, with where each was exposed."""

    def __init__(self, origins: Origins) -> None:
        super().__init__()
        self._origins = origins
        self.noted: dict[str, Origin] = {}

    def __setitem__(self, name: str, value: Any) -> None:
        self.noted[name] = self._origins.take()
        super().__setitem__(name, value)


WATCHED = {
    "BrowserContext",
    "Page",
    "CDPSession",
    "JSHandle",
    "ElementHandle",
    "APIRequestContext",
    "Browser",
}


def _frames() -> Iterator[tuple[CodeType, int]]:
    """Yield the stack from here outwards, through the greenlets that wait for this one."""
    frame: FrameType | None = sys._getframe(2)
    current = greenlet.getcurrent()
    left = _DEEPEST
    while left:
        while frame is not None and left:
            name = frame.f_code.co_filename
            if not name.startswith(_OURS):
                yield frame.f_code, frame.f_lineno
                left -= 1
            frame = frame.f_back
        parent = current.parent
        if parent is None:
            return
        current, frame = parent, parent.gr_frame


_FORKS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn"}
_listener: Callable[[str, Any], None] | None = None
_hooked = False


def _listen(listener: Callable[[str, Any], None] | None) -> None:
    """Hear of files, sockets and forks; a hook cannot be removed, only deaf."""
    global _listener, _hooked
    _listener = listener
    if listener is not None and not _hooked:
        _hooked = True
        sys.addaudithook(_audit)


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if _listener is None:
        return
    if event == "open":
        if isinstance(args[0], str):
            _listener(event, os.path.abspath(args[0]))
    elif event == "socket.__new__":
        _listener(event, args[0])
    elif event in _FORKS:
        _listener(event, None)


def _is_outside(name: str) -> bool:
    """Tell whether a file is neither Playwright's, pytest's nor the interpreter's own."""
    if name.startswith("<"):
        return False
    parts = Path(name).parts
    return not any(part in parts for part in _MACHINERY)


def _is_users(name: str) -> bool:
    return _is_outside(name) and "site-packages" not in name and not name.startswith(_STDLIB)


def _relative(name: str) -> str:
    try:
        relative = os.path.relpath(name)
    except ValueError:
        return name
    return name if relative.startswith("..") else relative
