"""What a test opened and did not close: compare before and after, wait, name, then close.

Measures and closes; what a finding means for the test is the guard's business. Before anything is
accused it gets half a second, in growing pauses, to go away by itself.
"""

from __future__ import annotations

import asyncio
import gc
import os
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import CellType, FrameType, MethodType
from typing import Any

from pytest_sentinel.leaks.origins import Origin, Origins

PAUSES = (0.001, 0.004, 0.015, 0.03, 0.1, 0.35)  # 0.5 s in all
RECURRENCE = 3  # what a library opened for itself is accused when it does so again and again

_KINDS = {
    "BrowserContext": "context",
    "Page": "page",
    "CDPSession": "cdp-session",
    "JSHandle": "handle",
    "ElementHandle": "handle",
    "APIRequestContext": "request-context",
    "Browser": "browser",
}
KINDS = (*dict.fromkeys(_KINDS.values()), "route", "binding", "listener", "tracing", "driver")
KINDS += ("thread", "descriptor", "process", "zombie")
_CLOSES = ("context", "page", "cdp-session", "request-context", "browser")


@dataclass(frozen=True, slots=True)
class Leftover:
    """One thing that is still open.

    Attributes:
        kind: one of KINDS.
        what: it, in a few words.
        where: ``file:line in function`` that opened it.
        closed: whether it was closed for the next test's sake.
    """

    kind: str
    what: str
    where: str
    closed: bool = False

    def __str__(self) -> str:
        note = " (closed now)" if self.closed else ""
        what = f" {self.what}" if self.what else ""
        return f"{self.kind}{what} opened at {self.where}{note}"


@dataclass(slots=True)
class Before:
    """What was open when the test began."""

    number: int
    threads: set[int]
    spawns: tuple[int, int]
    children: frozenset[int]
    descriptors: frozenset[str]
    tracing: set[int]


@dataclass(slots=True)
class _Open:
    kind: str
    what: str
    origin: Origin | None
    api: Any = None
    parent: Any = None


class Resources:
    """The resources of one pytest process."""

    def __init__(self, origins: Origins, own_pids: Callable[[], set[int]]) -> None:
        self._origins = origins
        self._own_pids = own_pids
        self._seen: Counter[str] = Counter()
        self._known: set[tuple[int, str]] = set()
        self._child_pids: frozenset[int] = frozenset()
        self._spawned = (-1, 0)

    def look(self) -> Before:
        """Note what is open now."""
        if self._spawns() != self._spawned:
            self._child_pids, self._spawned = frozenset(_children()), self._spawns()
        return Before(
            number=self._origins.now,
            threads={id(thread) for thread in threading.enumerate()},
            spawns=self._spawns(),
            children=self._child_pids,
            descriptors=_descriptors(),
            tracing={id(impl) for impl, _ in self._traced()},
        )

    def compare(self, before: Before) -> list[Leftover]:
        """Return what the test left open, after its pauses, and close what can be closed."""
        found = self._opened_since(before)
        for pause in PAUSES:
            if not found:
                break
            self._let_pass(pause)
            found = self._opened_since(before)
        return [self._close(item) for item in self._without_children(found)]

    def left_by(self, owner: object) -> list[Leftover]:
        """Return what a fixture of a wider scope left open, and close it."""
        found = [item for item in self._objects(0) if item.origin and item.origin.owner is owner]
        return [self._close(item) for item in self._without_children(found)]

    # Looking

    def _opened_since(self, before: Before) -> list[_Open]:
        found = chain(
            self._objects(before.number),
            self._handlers(before.number),
            self._tracing(before),
            self._threads(before),
            self._processes(before),
            self._files(before),
        )
        return [
            item
            for item in found
            if item.origin is None
            or (item.origin.number > before.number and item.origin.scope == "function")
        ]

    def _objects(self, after: int) -> Iterator[_Open]:
        gone = []
        for key, (impl, kind, origin) in self._origins.objects.items():
            alive = impl._connection._objects.get(impl._guid) is impl
            if not alive:
                gone.append(key)
            elif origin.number > after and not _is_driver_made(impl, kind):
                yield _Open(_KINDS[kind], _describe(impl, kind), origin, impl, _parent(impl))
        for key in gone:
            del self._origins.objects[key]

    def _handlers(self, after: int) -> Iterator[_Open]:
        """Yield routes, bindings and listeners; those on objects that are gone went with them."""
        for impl, kind, _ in list(self._origins.objects.values()):
            if kind not in ("BrowserContext", "Page"):
                continue
            for route in (*getattr(impl, "_routes", ()), *getattr(impl, "_web_socket_routes", ())):
                origin = getattr(route, "_sentinel_origin", None)
                if origin is not None and origin.number > after:
                    url = getattr(route, "url", "")
                    yield _Open("route", f"{url!r} on a {_KINDS[kind]}", origin, None, impl)
            bindings = getattr(impl, "_bindings", {})
            for name, origin in getattr(bindings, "noted", {}).items():
                if name in bindings and origin.number > after:
                    yield _Open("binding", f"{name!r} on a {_KINDS[kind]}", origin, None, impl)
        kept = []
        for entry in self._origins.listeners:
            impl, event, handler, origin = entry
            if _is_gone(impl) or not _listens(impl, event, handler):
                continue
            kept.append(entry)
            if origin.number > after:
                what = f"{event!r} on a {type(impl).__name__}"
                yield _Open("listener", what, origin, None, impl)
        self._origins.listeners[:] = kept

    def _traced(self) -> Iterator[tuple[Any, Origin]]:
        for impl, kind, origin in list(self._origins.objects.values()):
            tracing = getattr(impl, "tracing", None) if kind == "BrowserContext" else None
            if getattr(tracing, "_is_tracing", False):
                yield impl, origin

    def _tracing(self, before: Before) -> Iterator[_Open]:
        for impl, origin in self._traced():
            if id(impl) not in before.tracing and origin.number <= before.number:
                started = getattr(impl.tracing, "_sentinel_origin", None)
                yield _Open("tracing", "of a context, not stopped,", started, None, impl)

    def _threads(self, before: Before) -> Iterator[_Open]:
        for thread in threading.enumerate():
            if id(thread) in before.threads or thread.name.startswith("sentinel"):
                continue
            origin = getattr(thread, "_sentinel_origin", None)
            target = getattr(thread, "_target", None)
            if getattr(target, "__module__", "") == "concurrent.futures.thread":
                continue  # ends with its executor; an executor may be anybody's
            key = f"thread:{re.sub(r'[0-9]+', '#', thread.name)}"
            if self._accusable(origin, key, (thread.ident or 0, key)):
                yield _Open("thread", repr(thread.name), origin)

    def _processes(self, before: Before) -> Iterator[_Open]:
        if self._spawns() == before.spawns:
            return
        ours = self._own_pids()
        for pid in _children():
            if pid in before.children or pid in ours:
                continue
            command = _command(pid)
            origin = self._origins.processes.get(pid)
            if "run-driver" in command:
                yield _Open("driver", f"Playwright driver, pid {pid}", origin)
            elif command:
                yield _Open("process", f"{command[:60]!r}, pid {pid}", origin)
            else:
                yield _Open("zombie", f"pid {pid}, ended but never waited for", origin)

    def _files(self, before: Before) -> Iterator[_Open]:
        # By number alone: a closed one may come back as another file, but then nothing has grown.
        for name in _descriptors() - before.descriptors:
            number, target = int(name), _target(name)
            if not target:
                continue  # the listing's own
            origin = self._origins.files.get(target) or self._socket_origin(number)
            key = f"descriptor:{re.sub(r'[0-9]+', '#', target)}"
            if self._accusable(origin, key, (number, target)):
                yield _Open("descriptor", f"{number} -> {target}", origin)

    def _spawns(self) -> tuple[int, int]:
        """Return a value that changes when this process may have got a child."""
        return self._origins.forks, len(_multiprocessing_children())

    def _socket_origin(self, number: int) -> Origin | None:
        for socket, origin in self._origins.sockets.items():
            if socket.fileno() == number:
                return origin
        return None

    def _accusable(self, origin: Origin | None, key: str, identity: tuple[int, str]) -> bool:
        """Tell whether this is the test's own doing, or something that keeps recurring."""
        if origin is not None and not origin.by_library():
            return True
        if identity not in self._known:
            self._known.add(identity)
            self._seen[key] += 1
        return self._seen[key] >= RECURRENCE

    # Closing

    def _let_pass(self, pause: float) -> None:
        """Let ``pause`` seconds pass, with the driver's messages being heard if there is one."""
        for connection in self._origins.connections:
            loop, fiber = connection._loop, getattr(connection, "_dispatcher_fiber", None)
            if loop.is_closed() or fiber is None or fiber.dead:
                continue
            with suppress(Exception):
                api = next(iter(connection._objects.values()))
                _sync_sleep(api, pause)
                return
        threading.Event().wait(pause)

    def _without_children(self, found: list[_Open]) -> list[_Open]:
        """Leave out what goes with something else that is found: a page with its context."""
        holders = {id(item.api) for item in found if item.api is not None}
        return [item for item in found if not _has_holder(item.parent, holders)]

    def _close(self, item: _Open) -> Leftover:
        where = item.origin.line() if item.origin is not None else "unknown"
        closed = False
        if item.kind in _CLOSES and not _is_still_held(item.api):
            with suppress(Exception):
                api = item.api._pw_api_instance_
                close = {"cdp-session": "detach", "request-context": "dispose"}.get(item.kind)
                getattr(api, close or "close")()
                closed = True
        return Leftover(item.kind, item.what, where, closed)


def _sync_sleep(impl: Any, pause: float) -> None:
    from playwright._impl._sync_base import SyncBase

    SyncBase(impl)._sync(asyncio.sleep(pause))


def _is_still_held(impl: Any) -> bool:
    """Tell whether somebody other than Playwright still refers to the API object.

    What is held may be in use: a page that a suite opened once and keeps in a global. Frames do
    not count (pytest keeps those of a failed test), nor do an object's own methods and wrappers.
    """
    api = getattr(impl, "_pw_api_instance_", None)
    if api is None:
        return False
    attributes = vars(impl)
    return any(
        holder is not attributes and holder is not impl and not _is_frame(holder)
        for holder in gc.get_referrers(api)
    )


def _is_frame(holder: object) -> bool:
    """Tell whether ``holder`` is a frame, the locals of one, or an object's own wrapping."""
    if isinstance(holder, dict):
        return any(isinstance(user, FrameType) for user in gc.get_referrers(holder))
    return isinstance(holder, (FrameType, MethodType, CellType))


def _is_gone(impl: Any) -> bool:
    connection, guid = getattr(impl, "_connection", None), getattr(impl, "_guid", None)
    return connection is not None and connection._objects.get(guid) is not impl


def _listens(impl: Any, event: Any, handler: Any) -> bool:
    listeners = getattr(impl, "listeners", None)
    if listeners is None:
        return False
    try:
        return any(found == handler for found in listeners(event))
    except Exception:  # a private list of another version; then nothing is said
        return False


def _is_driver_made(impl: Any, kind: str) -> bool:
    """Tell what Playwright makes for itself: a context's own APIRequestContext, for one."""
    parent = getattr(impl, "_parent", None)
    if kind == "APIRequestContext":
        return type(parent).__name__ in ("BrowserContext", "Browser")
    return False


def _parent(impl: Any) -> Any:
    return getattr(impl, "_parent", None)


def _has_holder(impl: Any, holders: set[int]) -> bool:
    while impl is not None:
        if id(impl) in holders:
            return True
        impl = getattr(impl, "_parent", None)
    return False


def _describe(impl: Any, kind: str) -> str:
    with suppress(Exception):
        if kind == "Page":
            return f"at {impl.url!r}"
        if kind == "BrowserContext":
            count = len(impl.pages)
            return f"with {count} page{'' if count == 1 else 's'}"
        if kind in ("JSHandle", "ElementHandle"):
            return str(impl)[:60]
    return ""


def _children() -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for task in os.listdir("/proc/self/task"):
            with suppress(OSError):
                found += map(int, Path(f"/proc/self/task/{task}/children").read_text().split())
    return found


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    return ""


def _multiprocessing_children() -> Collection[object]:
    # It forks without saying so to audit hooks; its own list is there once it is imported.
    module = sys.modules.get("multiprocessing.process")
    found: Collection[object] = getattr(module, "_children", ())
    return found


def _descriptors() -> frozenset[str]:
    with suppress(OSError):
        names = set(os.listdir("/proc/self/fd"))
        # The listing held a descriptor of its own, the lowest free one, and that is gone now.
        for name in sorted(names, key=int):
            try:
                os.fstat(int(name))
            except OSError:
                names.discard(name)
                break
        return frozenset(names)
    return frozenset()


def _target(name: str) -> str:
    with suppress(OSError):
        return os.readlink(f"/proc/self/fd/{name}")
    return ""
