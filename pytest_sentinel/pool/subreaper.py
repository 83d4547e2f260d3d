"""Become, or cease to be, the one to whom orphaned descendants fall, so that none stays a zombie.

When a browser server is killed, its browser would fall to the first process of the machine, and
in a container that one often reaps nobody.
"""

from __future__ import annotations

import ctypes
import sys

_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37


def adopt_orphans(wanted: bool) -> bool:
    """Say whether this process is to be their parent; return whether it was. Linux only."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    before = ctypes.c_int(0)
    libc.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(before), 0, 0, 0)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0)
    return bool(before.value)
