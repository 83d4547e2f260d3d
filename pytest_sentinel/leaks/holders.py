"""Who still refers to something: a wider fixture's value, a global, a frame that is suspended.

Walks forwards from those roots, breadth first and bounded, by the references that the garbage
collector sees. Runs no code of the objects it visits. Needed only when something is suspected.
Who holds a page, or anything on it, holds its context and its browser.
"""

from __future__ import annotations

import builtins
import contextvars
import functools
import gc
import re
import sys
import threading
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from logging import Logger, Manager
from pathlib import Path
from selectors import BaseSelector
from types import FrameType, ModuleType
from typing import Any, Final

from pytest_sentinel.leaks.origins import is_users

LIMIT = 20_000
MOST: Final = 200_000  # objects that are visited before something is closed: about 0.1 s
# Through these, everything leads to everything.
_WORLDS = ("playwright", "greenlet", "pytest_sentinel", "_pytest", "pluggy", "xdist", "execnet")


# But not through these: a fixture's function, and what ``with page.expect_popup()`` gives.
_LEAD_ON = ("FixtureFunctionDefinition", "EventInfo", "AsyncEventInfo")
# By which an object of Playwright's client that has no parent leads to what it is of.
_UPWARDS = ("_page", "_frame", "_browser_context", "_context", "_browser", "_request")


def held_by(
    targets: Iterable[object], roots: Iterable[tuple[object, list[object]]], limit: int = LIMIT
) -> dict[int, object]:
    """Return, by the id of a target, the owner of the first root that leads to it.

    Args:
        targets: what may be held.
        roots: owners, with the objects that each of them holds.
        limit: how many objects are visited for each owner.
    """
    return _search(targets, roots, limit)[0]


def is_reachable(targets: Iterable[object], roots: list[object], limit: int = MOST) -> bool:
    """Tell whether ``roots`` lead to one of ``targets``; also when there is too much to visit."""
    found, is_done = _search(targets, [("somebody", roots)], limit)
    return bool(found) or not is_done


def _search(
    targets: Iterable[object], roots: Iterable[tuple[object, list[object]]], limit: int
) -> tuple[dict[int, object], bool]:
    """Return the owners by the ids of what they hold, and whether all was visited."""
    wanted = {id(target) for target in targets}
    found: dict[int, object] = {}
    is_done = True
    namespaces = {id(vars(module)) for module in list(sys.modules.values()) if _is_module(module)}
    for owner, held in roots:
        seen: set[int] = set()
        pending: deque[Any] = deque(held)
        while pending and wanted and len(seen) < limit:
            one = pending.popleft()
            key = id(one)
            if key in seen or key in namespaces:
                continue
            seen.add(key)
            for met in (key, *map(id, _lineage(one))):
                if met in wanted:
                    wanted.discard(met)
                    found[met] = owner
            pending.extend(_references(one))
        is_done = is_done and not (pending and wanted)
    return found, is_done


def held_by_anybody() -> list[object]:
    """Return what this process holds outside of tests: whatever is not reached from it is lost.

    Globals of the user's modules, and what was put into ``builtins`` or ``pytest``; context
    variables, finalizers, threads and tasks; frames of the user's code that wait for the test.
    """
    roots = [value for module in _user_modules() for value in vars(module).values()]
    for name in (builtins.__name__, "pytest"):
        roots += vars(sys.modules[name]).values() if name in sys.modules else ()
    roots += contextvars.copy_context().values()
    roots += getattr(weakref.finalize, "_registry", {}).values()
    roots += [list(vars(thread).values()) for thread in threading.enumerate()]
    tasks = sys.modules.get("asyncio.tasks")
    for name in ("_all_tasks", "_scheduled_tasks"):
        for task in list(getattr(tasks, name, ())):
            code = getattr(task.get_coro(), "cr_code", None)
            roots += [task] if code is not None and is_users(code.co_filename) else []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if is_users(frame.f_code.co_filename):
            roots += frame.f_locals.values()
        elif frame.f_code.co_name == "_multicall":
            roots += frame.f_locals.get("teardowns", ())  # hooks that are wrapped around the test
        frame = frame.f_back
    return roots


def asks_for_contexts() -> bool:
    """Tell whether the user's code may come to a context by ``browser.contexts``."""
    return any(_names_contexts(str(vars(module)["__file__"])) for module in _user_modules())


@functools.lru_cache(maxsize=4096)
def _names_contexts(file: str) -> bool:
    try:
        return re.search(rb"\bcontexts\b", Path(file).read_bytes()) is not None
    except OSError:
        return True


def _user_modules() -> Iterator[ModuleType]:
    for module in list(sys.modules.values()):
        if _is_module(module) and _is_of_the_user(module):
            yield module


def _lineage(one: Any) -> Iterator[Any]:
    """Yield what an object of Playwright's client is of: its frame, page, context, browser."""
    if not str(type(one).__module__).startswith("playwright."):
        return
    seen: set[int] = set()
    pending = [getattr(one, "_impl_obj", one)]
    while pending:
        impl = pending.pop()
        if impl is None or id(impl) in seen:
            continue
        seen.add(id(impl))
        yield impl
        above = getattr(impl, "_parent", None)
        found = [above] if above is not None else [getattr(impl, name, None) for name in _UPWARDS]
        pending += [
            one for one in found if str(type(one).__module__).startswith("playwright._impl")
        ]


def _references(one: Any) -> Iterable[Any]:
    if not gc.is_tracked(one):
        return ()
    kind = type(one)
    if kind.__name__ in _LEAD_ON:
        return gc.get_referents(one)
    if kind is threading.local:
        return list(vars(one).values())
    if kind is type or issubclass(kind, type):
        module = sys.modules.get(str(vars(one).get("__module__")))
        return list(vars(one).values()) if _is_of_the_user(module) else ()
    if issubclass(kind, (ModuleType, FrameType, BaseSelector, Logger, Manager)):
        return ()
    if str(kind.__module__).partition(".")[0] in _WORLDS:
        return ()
    return gc.get_referents(one)


def _is_module(module: object) -> bool:
    return isinstance(module, ModuleType)


def _is_of_the_user(module: ModuleType | None) -> bool:
    # vars(), for a module may load others when it is asked for an attribute.
    file = vars(module).get("__file__") if module is not None else None
    return isinstance(file, str) and is_users(file)
