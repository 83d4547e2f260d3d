"""As what the browser holds an object: told from the nearest retainer below its owner."""

from __future__ import annotations

import numpy as np

from pytest_sentinel.leaks.ownerpath import OwnerPaths
from pytest_sentinel.leaks.roles import ROLES, Roles
from tests.unit.leaks.heapbuilder import HeapBuilder


def test_the_nearest_holder_below_the_owner_counts() -> None:
    """Callbacks of one window are told apart, and a map that a timer reaches is only a map."""
    heap = HeapBuilder()
    window = heap.window()
    native = heap.held(window, "internal", "native", "native", "Window / https://a.test")
    callbacks = []
    for holder in ("RegisteredEventListener", "DOMTimer", "ResizeObserver", "Widget"):
        outer = heap.held(native, "element", 1, "native", holder)
        plumbing = heap.held(outer, "element", 1, "native", "V8Function")
        callbacks.append(heap.held(plumbing, "element", 1, "closure", "use"))
    cache = heap.held(callbacks[1], "internal", "cache", "object", "Map")
    entry = heap.held(cache, "internal", "1", "object", "Chart")
    roles = Roles(OwnerPaths(heap.snapshot()))

    held = roles.below(window, np.array([*callbacks, entry]))

    assert [ROLES[role] for role in held] == ["listeners", "timer", "observer", "", "timer"]
    assert roles.below(cache, np.array([entry])).tolist() == [0]
