"""What Playwright's client holds open: objects, and what was registered on them.

Reads the notes of ``leaks.acquisitions`` against what the driver still knows, and closes what it
is told to. Whether something is a leak is not decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain
from typing import Any

from pytest_sentinel.leaks.acquisitions import Acquisitions, Made, is_gone
from pytest_sentinel.leaks.leftovers import Found
from pytest_sentinel.leaks.origins import Origin

_KINDS = {
    "BrowserContext": "context",
    "Page": "page",
    "CDPSession": "cdp-session",
    "JSHandle": "handle",
    "ElementHandle": "handle",
    "APIRequestContext": "request-context",
    "Browser": "browser",
}
_HOLDERS = ("BrowserContext", "Page", "APIRequestContext")
_ROUTES = ("_routes", "_web_socket_routes")
_CLOSERS = {"request-context": "dispose"}
Wanted = Callable[[Origin], bool]
# A page that is found by itself lives in a context that stays, and is in its ``pages``; what a CDP
# session has set lasts as long as the session.
CLOSABLE = ("context", "browser", *_CLOSERS)


def open_objects(notes: Acquisitions, is_wanted: Wanted) -> Iterator[Found]:
    """Yield what is open, and forget what is not."""
    for key, made in list(notes.made.items()):
        if not made.is_open():
            del notes.made[key]
        elif is_wanted(made.origin) and not _is_a_companion(made):
            what = _describe(made)
            parent = getattr(made.impl, "_parent", None)
            yield Found(_KINDS[made.kind], what, made.origin, made.impl, parent)


def registrations(notes: Acquisitions, is_wanted: Wanted) -> Iterator[Found]:
    """Yield routes, bindings, traces and listeners; those on what is gone went with it."""
    holders = [made for made in notes.made.values() if made.kind in _HOLDERS]
    for made in (made for made in holders if made.is_open()):
        on = f"on a {_KINDS[made.kind]}"
        routes = chain(
            *(getattr(made.impl, name, ()) for name in ("_routes", "_web_socket_routes"))
        )
        for route in routes:
            origin = getattr(route, "_sentinel_origin", None)
            if origin is not None and is_wanted(origin):
                url = getattr(route, "url", "")
                what = f"{getattr(url, 'pattern', url)!r} {on}"
                yield Found("route", what, origin, None, made.impl)
        bindings = getattr(made.impl, "_bindings", {})
        for name, origin in getattr(bindings, "noted", {}).items():
            if name in bindings and is_wanted(origin):
                yield Found("binding", f"{name!r} {on}", origin, None, made.impl)
        tracing = getattr(made.impl, "tracing", None)
        origin = getattr(tracing, "_sentinel_origin", None)
        if getattr(tracing, "_is_tracing", False) and origin is not None and is_wanted(origin):
            yield Found("tracing", on, origin, None, made.impl)
    kept = []
    for entry in notes.listeners:
        impl, event, handler, origin = entry
        if not is_gone(impl) and _listens(impl, event, handler):
            kept.append(entry)
            if not is_wanted(origin):
                continue
            yield Found("listener", f"{event!r} on a {type(impl).__name__}", origin, None, impl)
    notes.listeners[:] = kept


def forget_the_tests(notes: Acquisitions) -> None:
    """Drop the notes that only a test that has been judged could need."""
    for key, made in list(notes.made.items()):
        if made.origin.owner is None and made.kind not in _HOLDERS:
            del notes.made[key]
    notes.listeners[:] = [entry for entry in notes.listeners if entry[3].owner is not None]


def close(one: Found) -> bool:
    """Close what was found; return whether that worked."""
    from playwright._impl import _async_base, _sync_base

    is_async = getattr(one.subject, "_dispatcher_fiber", None) is None
    loop = one.subject._connection._loop
    if is_async and loop.is_running():
        return False
    name = _CLOSERS.get(one.kind, "close")
    with suppress(Exception):
        mapping = (_async_base if is_async else _sync_base).mapping
        done = getattr(mapping.from_maybe_impl(one.subject), name)()
        if is_async:
            loop.run_until_complete(done)
        return True
    return False


def let_pass(notes: Acquisitions, pause: float) -> bool:
    """Let ``pause`` seconds pass, hearing the driver's messages; False without a driver."""
    for key, connection in list(notes.connections.items()):
        loop, fiber = connection._loop, getattr(connection, "_dispatcher_fiber", None)
        if loop.is_closed() or (fiber is not None and fiber.dead):
            del notes.connections[key]
            continue
        if fiber is None and loop.is_running():
            continue
        with suppress(Exception):
            if fiber is None:
                loop.run_until_complete(asyncio.sleep(pause))
            else:
                _sleep(next(iter(connection._objects.values())), pause)
            return True
    return False


def _sleep(impl: Any, pause: float) -> None:
    from playwright._impl._sync_base import SyncBase

    SyncBase(impl)._sync(asyncio.sleep(pause))


def _listens(impl: Any, event: Any, handler: Any) -> bool:
    with suppress(Exception):  # a list of another version; then nothing is said
        return any(found == handler for found in impl.listeners(event))
    return False


def _is_a_companion(made: Made) -> bool:
    """Tell what Playwright makes for itself: a context's own APIRequestContext."""
    parent = type(getattr(made.impl, "_parent", None)).__name__
    return made.kind == "APIRequestContext" and parent in ("BrowserContext", "Browser")


def _describe(made: Made) -> str:
    with suppress(Exception):
        if made.kind == "Page":
            return f"at {made.impl.url!r}"
        if made.kind == "BrowserContext":
            count = len(made.impl.pages)
            return f"with {count} page{'' if count == 1 else 's'}"
        if made.kind in ("JSHandle", "ElementHandle"):
            return str(made.impl)[:60]
    return ""
