"""When launching stops, and when it is tried again. Time is a number here."""

from __future__ import annotations

from pytest_sentinel.pool.breaker import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    STRIKES,
    Breaker,
    BreakerState,
)


def opened(at: float = 100.0) -> Breaker:
    """Return a breaker that opened at ``at``."""
    breaker = Breaker()
    for number in range(STRIKES):
        breaker.strike(at, f"browser-{number}", f"cause {number + 1}", f"log {number + 1}")
    return breaker


def test_a_new_breaker_lets_launches_through() -> None:
    """Nothing has failed, so nothing is held back and nothing is due."""
    breaker = Breaker()
    assert breaker.state(0.0) is BreakerState.CLOSED
    assert breaker.may_launch(0.0, "trial")
    assert breaker.retry_in(0.0) == 0.0


def test_fewer_strikes_than_three_leave_it_closed() -> None:
    """Two strikes in a row are bad luck."""
    breaker = Breaker()
    breaker.strike(0.0, "b", "one")
    breaker.strike(1.0, "b", "two")
    assert breaker.state(1.0) is BreakerState.CLOSED
    assert breaker.may_launch(1.0, "trial")


def test_three_strikes_open_it_and_the_last_cause_is_kept() -> None:
    """The third strike in a row opens the breaker, with the cause and output to tell."""
    breaker = opened(at=100.0)
    assert breaker.state(100.0) is BreakerState.OPEN
    assert not breaker.may_launch(129.9, "trial")
    assert breaker.retry_in(110.0) == 20.0
    assert (breaker.strikes, breaker.cause, breaker.log) == (3, "cause 3", "log 3")


def test_a_proven_browser_clears_strikes_in_between() -> None:
    """Strikes count in a row: a browser that served a test starts the count anew."""
    breaker = Breaker()
    breaker.strike(0.0, "b", "one")
    breaker.strike(0.0, "b", "two")
    breaker.prove("trial")
    breaker.strike(0.0, "b", "one")
    assert breaker.state(0.0) is BreakerState.CLOSED
    assert breaker.strikes == 1


def test_after_the_pause_one_trial_is_let_through() -> None:
    """A half-open breaker lets one launch through, and no second beside it."""
    breaker = opened(at=100.0)
    due = 100.0 + FIRST_PAUSE
    assert breaker.state(due) is BreakerState.HALF_OPEN
    assert breaker.retry_in(due + 5) == 0.0
    assert breaker.may_launch(due, "trial")
    assert not breaker.may_launch(due, "trial")


def test_a_trial_that_fails_doubles_the_pause() -> None:
    """A failed trial opens the breaker again, for twice as long."""
    breaker = opened(at=100.0)
    assert breaker.may_launch(130.0, "trial")
    breaker.strike(131.0, "trial", "still broken")
    assert breaker.state(131.0 + 2 * FIRST_PAUSE - 0.1) is BreakerState.OPEN
    assert breaker.state(131.0 + 2 * FIRST_PAUSE) is BreakerState.HALF_OPEN


def test_the_pause_stops_growing() -> None:
    """However often trials fail, the next one is never further away than the longest pause."""
    breaker = opened(at=0.0)
    now = 0.0
    for _ in range(10):
        now += breaker.retry_in(now)
        assert breaker.may_launch(now, "trial")
        breaker.strike(now, "trial", "still broken")
    assert breaker.retry_in(now) == LONGEST_PAUSE


def test_a_trial_that_proves_itself_closes_it() -> None:
    """When the cause is repaired, the next trial works and everything is as at the start."""
    breaker = opened(at=100.0)
    assert breaker.may_launch(130.0, "trial")
    breaker.prove("trial")
    assert breaker == Breaker()


def test_an_abandoned_trial_leaves_room_for_another() -> None:
    """A trial's browser that was closed before it could prove anything proves nothing."""
    breaker = opened(at=100.0)
    assert breaker.may_launch(130.0, "trial")
    breaker.abandon("trial")
    assert breaker.state(130.0) is BreakerState.HALF_OPEN
    assert breaker.may_launch(130.0, "trial")


def test_a_late_strike_does_not_prolong_the_pause() -> None:
    """A browser of before, dying while the breaker is open, counts but moves nothing."""
    breaker = opened(at=100.0)
    breaker.strike(120.0, "old", "an older browser died")
    assert breaker.strikes == 4
    assert breaker.state(130.0) is BreakerState.HALF_OPEN


def test_a_browser_of_before_neither_ends_nor_proves_the_trial() -> None:
    """What an older browser does says nothing about launching."""
    breaker = opened(at=100.0)
    assert breaker.may_launch(130.0, "trial")
    breaker.strike(131.0, "old", "an older browser died")
    breaker.prove("old")
    breaker.abandon("old")
    assert breaker.trial == "trial"
    assert breaker.state(131.0) is BreakerState.HALF_OPEN
    assert not breaker.may_launch(131.0, "another")


def test_a_test_that_kills_every_browser_strikes_once() -> None:
    """Its retries say nothing new; three tests in a row that lose theirs do."""
    breaker = Breaker()
    for number in range(5):
        breaker.strike(0.0, f"browser-{number}", "it died", under="test_a")
    assert breaker.strikes == 1
    breaker.strike(0.0, "browser-5", "it died", under="test_b")
    breaker.strike(0.0, "browser-6", "it died", under="test_c")
    assert breaker.state(0.0) is BreakerState.OPEN


def test_failed_launches_strike_each() -> None:
    """They are under no test, and each is news."""
    breaker = Breaker()
    for number in range(3):
        breaker.strike(0.0, f"browser-{number}", "no memory")
    assert breaker.state(0.0) is BreakerState.OPEN


def test_a_trial_that_the_same_test_kills_opens_it_again() -> None:
    """No new strike, but the trial has failed."""
    breaker = opened(at=100.0)
    breaker.under = "test_a"
    assert breaker.may_launch(130.0, "trial")
    breaker.strike(131.0, "trial", "it died", under="test_a")
    assert breaker.retry_in(131.0) == 2 * FIRST_PAUSE
