"""As what the browser holds an object on a page's behalf: told from the retainer, nothing else.

One owner, the window for one, holds listeners and timers side by side, and their callbacks are of
one class. So survivors are told apart by what holds them before anything is said about any.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_sentinel.leaks.ownerpath import OwnerPaths

Column = npt.NDArray[Any]

# The first is for whatever the page holds by itself.
ROLES = ("", "observer", "timer", "listeners")
_CLASSES = (
    re.compile(r"(Mutation|Intersection|Resize|Performance|Reporting)Observer"),
    re.compile(r"DOMTimer|ScheduledAction|FrameRequestCallback|V8FrameCallback|IdleTask"),
    re.compile(r"RegisteredEventListener|EventListener"),
)
_DEEPEST = 64  # doublings


class Roles:
    """For every node of a snapshot, the nearest listener, timer or observer that leads to it."""

    def __init__(self, paths: OwnerPaths) -> None:
        class_of, names = paths.snapshot.classes
        self._own = np.array([_role(name) for name in names], np.uint8)[class_of]
        nearest = np.where(self._own > 0, np.arange(self._own.size), paths.parent)
        for _ in range(_DEEPEST):
            undecided = (nearest >= 0) & (self._own[nearest] == 0)
            if not undecided.any():
                break
            # Each round looks twice as far up, whatever order the nodes were hung in.
            nearest[undecided] = nearest[nearest[undecided]]
        self._nearest = nearest

    def below(self, owner: int, nodes: Column) -> Column:
        """Return as what ``owner`` holds each of ``nodes``, which hang under it: places in ROLES.

        What holds the owner itself is not asked: a map that a timer refers to holds its entries as
        any map does.
        """
        nearest = self._nearest[nodes]
        between = (nearest >= 0) & (nearest != self._nearest[owner])
        return np.where(between, self._own[nearest], 0)


def _role(name: str) -> int:
    return next((n for n, found in enumerate(_CLASSES, 1) if found.search(name)), 0)
