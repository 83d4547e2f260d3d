"""What a forked child of this process has copies of, and must neither hold nor end.

``os.fork`` (and with it multiprocessing's default way on Linux) copies descriptors and objects. A
copy of the reaper's pipe would look like a sign of our life, and a copy of a pool that is closed
would end the parent's browsers. Law: in a child, everything that is registered here gives up what
it owns, before any other code of the child runs.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Disownable(Protocol):
    """Something that owns processes, files or descriptors."""

    def disown(self) -> None:
        """In a forked child: close what keeps the parent's things alive, and end none of them."""
        ...


_owners: weakref.WeakSet[Disownable] = weakref.WeakSet()


def disown_in_children(owner: Disownable) -> None:
    """Have ``owner`` give up what it owns in every child that this process forks from now on."""
    _owners.add(owner)


def _disown_all() -> None:
    for owner in list(_owners):
        owner.disown()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown_all)
