"""Who still refers to something: a wider fixture's value, or a global of the user's modules.

Walks forwards from those roots, breadth first and bounded, by the references that the garbage
collector sees. Runs no code of the objects it visits. Needed only when something is suspected.
"""

from __future__ import annotations

import gc
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from logging import Logger, Manager
from selectors import BaseSelector
from types import FrameType, ModuleType
from typing import Any

from pytest_sentinel.leaks.origins import is_users

LIMIT = 20_000
# Through these, everything leads to everything.
_WORLDS = ("playwright", "greenlet", "pytest_sentinel", "_pytest", "pluggy", "xdist", "execnet")


def held_by(
    targets: Iterable[object], roots: Iterable[tuple[object, list[object]]], limit: int = LIMIT
) -> dict[int, object]:
    """Return, by the id of a target, the owner of the first root that leads to it.

    Args:
        targets: what may be held.
        roots: owners, with the objects that each of them holds.
        limit: how many objects are visited for each owner.
    """
    wanted = {id(target) for target in targets}
    found: dict[int, object] = {}
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
            if key in wanted:
                wanted.discard(key)
                found[key] = owner
            pending.extend(_references(one))
    return found


def user_globals() -> Iterator[list[object]]:
    """Yield the values of the globals of each module that the user wrote."""
    for module in list(sys.modules.values()):
        if _is_module(module) and _is_of_the_user(module):
            yield list(vars(module).values())


def _references(one: Any) -> Iterable[Any]:
    if not gc.is_tracked(one):
        return ()
    kind = type(one)
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
