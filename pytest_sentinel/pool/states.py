"""The life of one browser: its states, and the one table of moves between them.

Law 1: nobody else assigns a state; ``move`` is the only way from one to the next.
Law 2: an event that the table does not list for a state raises and changes nothing.

    LAUNCHING   asked for, not answering yet; takes a slot
    READY       answers; tests may use it
    DRAINING    nobody new gets it (a successor is READY, or its place is given up)
    CLOSING     being ended; its processes may still live, so it still takes a slot
    DEAD        its processes are gone; the slot is free
"""

from __future__ import annotations

import enum

from pytest_sentinel.errors import IllegalTransition


class BrowserState(enum.Enum):
    """Where a browser stands, in the order of its life."""

    LAUNCHING = "launching"
    READY = "ready"
    DRAINING = "draining"
    CLOSING = "closing"
    DEAD = "dead"


class BrowserEvent(enum.Enum):
    """What can happen to a browser."""

    LAUNCHED = "launched"
    LAUNCH_FAILED = "launch failed"
    SUCCEEDED = "succeeded"  # a successor has taken its place
    RETIRED = "retired"  # its place is given up; no successor takes it
    DRAINED = "drained"
    CRASHED = "crashed"
    CLOSE_ASKED = "close asked"  # its owner closes it
    GONE = "gone"  # the last of its processes has ended


_S, _E = BrowserState, BrowserEvent

TRANSITIONS: dict[BrowserState, dict[BrowserEvent, BrowserState]] = {
    _S.LAUNCHING: {
        _E.LAUNCHED: _S.READY,
        _E.LAUNCH_FAILED: _S.CLOSING,
    },
    _S.READY: {
        _E.SUCCEEDED: _S.DRAINING,
        _E.RETIRED: _S.DRAINING,
        _E.CRASHED: _S.CLOSING,
        _E.CLOSE_ASKED: _S.CLOSING,
    },
    _S.DRAINING: {
        _E.DRAINED: _S.CLOSING,
        _E.CRASHED: _S.CLOSING,
        _E.CLOSE_ASKED: _S.CLOSING,
    },
    _S.CLOSING: {
        _E.GONE: _S.DEAD,
        # A browser may die, or be closed once more, while it is being closed.
        _E.CRASHED: _S.CLOSING,
        _E.CLOSE_ASKED: _S.CLOSING,
    },
    _S.DEAD: {},
}


def move(browser: str, state: BrowserState, event: BrowserEvent) -> BrowserState:
    """Return the state that follows ``state`` on ``event``.

    Raises:
        IllegalTransition: the table has no such move.
    """
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalTransition(browser, state.value, event.value) from None
