"""Ask the kernel for a signal at the death of the parent. Linux; elsewhere nothing happens."""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def ask_for_signal(number: int) -> None:
    """Have the kernel send ``number`` when the parent dies; exit if it is gone already.

    0 takes that back.
    """
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number))
    if number and os.getppid() != parent:
        sys.exit("the parent process is gone")
