"""The table of a browser's life."""

from __future__ import annotations

import itertools

import pytest

from pytest_sentinel.errors import IllegalTransition
from pytest_sentinel.pool.states import TRANSITIONS, BrowserEvent, BrowserState, move

ALL = list(itertools.product(BrowserState, BrowserEvent))
LEGAL = [(state, event) for state, event in ALL if event in TRANSITIONS[state]]
ILLEGAL = [pair for pair in ALL if pair not in LEGAL]


def name(value: object) -> str:
    """Name a parameter of these tests."""
    return str(getattr(value, "name", value))


def test_every_state_has_a_row() -> None:
    """The table speaks about every state, in the order of life."""
    assert list(TRANSITIONS) == list(BrowserState)


@pytest.mark.parametrize(("state", "event"), LEGAL, ids=name)
def test_a_move_of_the_table_is_made(state: BrowserState, event: BrowserEvent) -> None:
    """Each listed event leads to the listed state."""
    assert move("browser-1", state, event) is TRANSITIONS[state][event]


@pytest.mark.parametrize(("state", "event"), ILLEGAL, ids=name)
def test_any_other_move_raises(state: BrowserState, event: BrowserEvent) -> None:
    """An event that is not listed raises and names browser, state and event."""
    with pytest.raises(IllegalTransition) as caught:
        move("browser-1", state, event)
    assert str(caught.value) == (
        f"bug: browser browser-1 in state {state.value} cannot take event {event.value}"
    )


def test_nothing_comes_back_from_the_dead() -> None:
    """No event leads out of DEAD."""
    assert TRANSITIONS[BrowserState.DEAD] == {}


def test_life_runs_one_way() -> None:
    """Life runs one way: a move leads to the same or a later state, never to an earlier one."""
    order = list(BrowserState)
    for state, event in LEGAL:
        assert order.index(TRANSITIONS[state][event]) >= order.index(state)


def test_the_only_way_to_death_leads_through_closing() -> None:
    """A browser is DEAD only after somebody has seen the last of its processes end."""
    entries = [(s, e) for s, e in LEGAL if TRANSITIONS[s][e] is BrowserState.DEAD]
    assert entries == [(BrowserState.CLOSING, BrowserEvent.GONE)]
