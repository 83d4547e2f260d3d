"""The books of a pool, one story at a time; every order of events is for the model test."""

from __future__ import annotations

import dataclasses

import pytest

from pytest_sentinel.errors import IllegalTransition
from pytest_sentinel.pool.breaker import BreakerState
from pytest_sentinel.pool.ledger import (
    Action,
    Browser,
    Defer,
    Dispose,
    HandOver,
    Launch,
    Ledger,
    Reason,
    Refuse,
    Statistics,
    Wear,
)
from pytest_sentinel.pool.states import BrowserEvent, BrowserState

KEY = "chromium headless"


def serving(wear: Wear | None = None, now: float = 0.0) -> Ledger:
    """Return a ledger whose slot 1 is served by browser-1, ready at ``now``."""
    ledger = Ledger(wear or Wear())
    ledger.request(KEY, now, jitter=0.0)
    ledger.launched(1, now)
    return ledger


def broken(now: float = 0.0) -> Ledger:
    """Return a ledger whose slots 1 to 3 failed to launch at ``now``."""
    ledger = Ledger(Wear())
    for number in (1, 2, 3):
        ledger.request(KEY, now, jitter=0.0)
        ledger.launch_failed(number, now, f"cause {number}", f"log {number}")
        ledger.gone(f"browser-{number}")
    return ledger


def due(
    ledger: Ledger, now: float = 0.0, *, held: bool = False, fresh: bool = False
) -> list[Action]:
    """Ask what slot 1 needs."""
    return ledger.due(1, now, held=held, jitter=0.0, fresh=fresh)


# Starting and closing


def test_a_request_launches_a_browser() -> None:
    """A new user gets a slot of his own and a browser of a new name."""
    ledger = Ledger(Wear())
    assert ledger.request(KEY, 0.0, 0.0) == Launch(1, "browser-1", Reason.START)
    assert ledger.request(KEY, 0.0, 0.0) == Launch(2, "browser-2", Reason.START)
    assert ledger.statistics().browsers == {"launching": 2}


def test_a_first_launch_hands_nothing_over() -> None:
    """There is nobody to take the slot over from."""
    ledger = Ledger(Wear())
    ledger.request(KEY, 0.0, 0.0)
    assert ledger.launched(1, 1.0) == []
    assert ledger.statistics() == Statistics({"ready": 1}, {"start": 1}, 0, 0, 0)


def test_statistics_are_a_snapshot() -> None:
    """What was read does not change with the pool, and cannot be changed."""
    ledger = serving()
    before = ledger.statistics()
    ledger.request(KEY, 0.0, 0.0)
    assert before.browsers == {"ready": 1}
    with pytest.raises(dataclasses.FrozenInstanceError):
        before.crashes = 1  # type: ignore[misc]


def test_a_user_closes_his_browser() -> None:
    """It is ended politely, and takes its place until its processes are gone."""
    ledger = serving()
    assert ledger.close_asked(1) == [Dispose("browser-1", kill=False)]
    assert ledger.statistics().browsers == {"closing": 1}
    ledger.gone("browser-1")
    assert ledger.statistics().browsers == {}


def test_closing_twice_is_closing_once() -> None:
    """The second call finds nothing to do, before and after the processes are gone."""
    ledger = serving()
    ledger.close_asked(1)
    assert ledger.close_asked(1) == []
    ledger.gone("browser-1")
    assert ledger.close_asked(1) == []


def test_a_slot_that_was_given_up_needs_nothing() -> None:
    """Nothing is launched for a user who left."""
    ledger = serving(Wear(tests=1))
    ledger.served(1, passed=True)
    ledger.close_asked(1)
    assert due(ledger) == []


def test_a_browser_whose_user_left_while_it_started_is_ended() -> None:
    """A launch that succeeds too late does not leave a browser that nobody closes."""
    ledger = Ledger(Wear())
    ledger.request(KEY, 0.0, 0.0)
    assert ledger.close_asked(1) == []
    assert ledger.launched(1, 1.0) == [Dispose("browser-1", kill=False)]
    assert ledger.statistics().browsers == {"closing": 1}


def test_a_successor_whose_user_left_is_ended_beside_the_old_one() -> None:
    """Both browsers of a slot that was given up during a hand-over are on the way out."""
    ledger = serving(Wear(tests=1))
    ledger.served(1, passed=True)
    due(ledger)
    assert ledger.close_asked(1) == [Dispose("browser-1", kill=False)]
    assert ledger.launched(1, 1.0) == [Dispose("browser-2", kill=False)]
    assert ledger.statistics().browsers == {"closing": 2}


def test_a_successor_whose_user_left_after_the_old_one_ended() -> None:
    """The same, with the old browser's processes gone already."""
    ledger = serving(Wear(tests=1))
    ledger.served(1, passed=True)
    due(ledger)
    ledger.close_asked(1)
    ledger.gone("browser-1")
    assert ledger.launched(1, 1.0) == [Dispose("browser-2", kill=False)]


def test_news_of_strangers_change_nothing() -> None:
    """The end of a browser that is not in the books is no event."""
    ledger = serving()
    ledger.gone("browser-9")
    assert ledger.statistics().browsers == {"ready": 1}


# Wear


def test_a_new_browser_is_not_worn() -> None:
    """Nothing is due for a browser within its limits."""
    ledger = serving(Wear(tests=2, age=60.0, memory=100))
    ledger.served(1, passed=True)
    ledger.measured(1, 100)
    assert due(ledger, now=59.0) == []


@pytest.mark.parametrize(
    ("wear", "reason"),
    [
        (Wear(tests=1), Reason.TESTS),
        (Wear(age=60.0), Reason.AGE),
        (Wear(memory=100), Reason.MEMORY),
    ],
)
def test_each_limit_wears_a_browser_out(wear: Wear, reason: Reason) -> None:
    """Tests served, seconds lived and bytes reached each make a successor due."""
    ledger = serving(wear)
    ledger.served(1, passed=True)
    ledger.measured(1, 101)
    ledger.measured(1, 50)
    assert due(ledger, now=60.0) == [Launch(1, "browser-2", reason)]


def test_the_successor_is_ready_before_the_old_browser_leaves() -> None:
    """Launch, hand over, end the old one: in this order, and nothing more while it runs."""
    ledger = serving(Wear(tests=1))
    ledger.served(1, passed=True)
    assert due(ledger) == [Launch(1, "browser-2", Reason.TESTS)]
    assert due(ledger) == []
    assert ledger.statistics().browsers == {"ready": 1, "launching": 1}
    assert ledger.launched(1, 1.0) == [
        HandOver(1, "browser-1", "browser-2"),
        Dispose("browser-1", kill=False),
    ]
    assert ledger.statistics().browsers == {"ready": 1, "closing": 1}
    ledger.gone("browser-1")
    assert ledger.statistics() == Statistics({"ready": 1}, {"start": 1, "tests": 1}, 0, 0, 0)
    assert due(ledger, now=1.0) == []


def test_a_worn_browser_stays_while_somebody_holds_a_context_on_it() -> None:
    """Whoever opened a context for longer than a test does not lose it."""
    ledger = serving(Wear(tests=1))
    ledger.served(1, passed=True)
    assert due(ledger, held=True) == [Defer(1, "browser-1", Reason.TESTS)]
    assert due(ledger, held=True) == []  # it was told once
    assert ledger.statistics().deferred == 1
    assert due(ledger) == [Launch(1, "browser-2", Reason.TESTS)]


def test_a_worn_browser_is_better_than_none() -> None:
    """It stays when its successor does not launch, and when none may be launched."""
    ledger = serving(Wear(tests=1))
    ledger.served(1, passed=False)
    for name in ("browser-2", "browser-3", "browser-4"):
        assert due(ledger) == [Launch(1, name, Reason.TESTS)]
        assert ledger.launch_failed(1, 0.0, "no memory") == [Dispose(name, kill=True)]
    assert due(ledger) == []
    assert ledger.statistics() == Statistics({"ready": 1, "closing": 3}, {"start": 1}, 3, 0, 0)


def test_an_interrupted_launch_is_no_failure() -> None:
    """It counts nowhere, and leaves room for another trial of a breaker that is half-open."""
    ledger = Ledger(Wear())
    for number in (1, 2, 3):
        ledger.request("chromium", 0.0, 0.5)
        ledger.launch_failed(number, 0.0, "no memory")
    assert isinstance(ledger.request("chromium", 1000.0, 0.5), Launch)
    assert isinstance(ledger.request("chromium", 1000.0, 0.5), Refuse)

    assert ledger.launch_interrupted(4) == [Dispose("browser-4", kill=True)]

    assert ledger.statistics().launch_failures == 3
    assert isinstance(ledger.request("chromium", 1000.0, 0.5), Launch)


def test_a_test_may_ask_for_a_fresh_browser() -> None:
    """A browser that has served somebody is replaced; one that has not is fresh."""
    ledger = serving()
    assert due(ledger, fresh=True) == []
    ledger.served(1, passed=False)
    assert due(ledger, fresh=True) == [Launch(1, "browser-2", Reason.FRESH)]


@pytest.mark.parametrize(
    ("limit", "jitter", "tests"), [(10, 0.0, 10), (10, 0.99, 10), (500, 0.0, 500), (500, 1.0, 450)]
)
def test_jitter_lowers_big_limits_and_leaves_small_ones(
    limit: int, jitter: float, tests: int
) -> None:
    """Not all browsers wear out at once, but ten tests are ten tests."""
    browser = Browser("browser-1", Reason.START, jitter, launched_at=0.0)
    browser.tests = tests - 1
    assert browser.wear(Wear(tests=limit), 0.0) is None
    browser.tests = tests
    assert browser.wear(Wear(tests=limit), 0.0) is Reason.TESTS


# Crashes


def test_a_crashed_browser_is_killed_and_replaced() -> None:
    """The rest of it is ended at once; the next boundary launches another."""
    ledger = serving()
    assert ledger.crashed(1, 5.0, "it died") == [Dispose("browser-1", kill=True)]
    ledger.gone("browser-1")
    assert due(ledger, now=5.0) == [Launch(1, "browser-2", Reason.CRASH)]
    assert ledger.launched(1, 6.0) == [HandOver(1, "browser-1", "browser-2")]
    assert ledger.statistics() == Statistics({"ready": 1}, {"start": 1, "crash": 1}, 0, 1, 0)


def test_a_browser_that_still_ends_while_its_successor_starts_is_not_forgotten() -> None:
    """Its processes take a place until they are gone."""
    ledger = serving()
    ledger.crashed(1, 5.0, "it died")
    due(ledger, now=5.0)
    ledger.launched(1, 6.0)
    assert ledger.statistics().browsers == {"ready": 1, "closing": 1}


@pytest.mark.parametrize("proven", [False, True])
def test_a_browser_whose_driver_died_goes_without_blame(proven: bool) -> None:
    """It is killed and its slot given up; neither a crash nor a strike is counted."""
    ledger = serving()
    if proven:
        ledger.served(1, passed=True)
    assert ledger.orphaned(1) == [Dispose("browser-1", kill=True)]
    assert ledger.orphaned(1) == []
    ledger.gone("browser-1")
    assert due(ledger) == []
    assert ledger.statistics() == Statistics({}, {"start": 1}, 0, 0, 0)
    assert ledger.breaker(KEY).strikes == 0


def test_a_crash_counts_once() -> None:
    """Hearing of it again, or of an empty slot, changes nothing."""
    ledger = serving()
    ledger.crashed(1, 5.0, "it died")
    assert ledger.crashed(1, 5.0, "it died") == []
    assert ledger.statistics().crashes == 1
    empty = Ledger(Wear())
    empty.request(KEY, 0.0, 0.0)
    assert empty.crashed(1, 0.0, "it died") == []


def test_a_browser_that_dies_while_it_is_worn_out_leaves_its_slot_to_the_successor() -> None:
    """The hand-over goes on, and there is nobody left to end politely."""
    ledger = serving(Wear(tests=1))
    ledger.served(1, passed=True)
    due(ledger)
    ledger.crashed(1, 1.0, "it died")
    assert ledger.launched(1, 2.0) == [HandOver(1, "browser-1", "browser-2")]


def test_measuring_and_serving_an_empty_slot_counts_nothing() -> None:
    """What is booked on a slot without a browser is nobody's."""
    ledger = Ledger(Wear())
    ledger.request(KEY, 0.0, 0.0)
    ledger.measured(1, 100)
    ledger.served(1, passed=True)
    assert ledger.slot(1).browser is None


def test_an_impossible_event_raises_and_changes_nothing() -> None:
    """A browser that launches twice is a bug, and the books stay as they were."""
    browser = Browser("browser-1", Reason.START, 0.0, launched_at=0.0)
    browser.take(BrowserEvent.LAUNCHED)
    with pytest.raises(IllegalTransition):
        browser.take(BrowserEvent.LAUNCHED)
    assert browser.state is BrowserState.READY


# Strikes


def test_three_failed_launches_refuse_the_fourth() -> None:
    """The next user is told at once, with count, cause and output, and nothing is launched."""
    ledger = broken(now=0.0)
    action = ledger.request(KEY, 10.0, 0.0)
    assert isinstance(action, Refuse)
    assert str(action.error) == (
        "chromium headless is not launched: the last 3 launches or browsers failed "
        "(next trial in 20 s). Cause: cause 3\nLast lines of the browser's output:\nlog 3"
    )
    assert ledger.statistics() == Statistics({}, {}, 3, 0, 0)


def test_a_crashed_slot_is_refused_too() -> None:
    """Three crashes in a row without a served test in between open the breaker as well."""
    ledger = serving()
    for _ in range(2):
        ledger.crashed(1, 0.0, "it died")
        due(ledger)
        ledger.launched(1, 0.0)
    ledger.crashed(1, 0.0, "it died")
    [action] = due(ledger)
    assert isinstance(action, Refuse)
    assert action.slot == 1


def test_crashes_under_one_test_do_not_refuse_the_next() -> None:
    """A test that kills each browser it gets costs itself alone."""
    ledger = serving()
    for _ in range(5):
        ledger.crashed(1, 0.0, "it died", under="test_a")
        assert isinstance(due(ledger)[0], Launch)
        ledger.launched(1, 0.0)


def test_other_browsers_are_launched_meanwhile() -> None:
    """A breaker belongs to one way of launching."""
    ledger = broken()
    assert isinstance(ledger.request("firefox headless", 0.0, 0.0), Launch)


def test_a_failed_first_launch_is_tried_again_as_a_start() -> None:
    """Nothing has crashed, so the record does not say that."""
    ledger = Ledger(Wear())
    ledger.request(KEY, 0.0, 0.0)
    ledger.launch_failed(1, 0.0, "no memory")
    assert due(ledger) == [Launch(1, "browser-2", Reason.START)]


@pytest.mark.parametrize("event", ["a served test", "a long life", "a crash after a long life"])
def test_a_proven_browser_clears_the_strikes(event: str) -> None:
    """Whatever proves that launching works starts the count anew."""
    ledger = broken(now=0.0)
    assert isinstance(ledger.request(KEY, 30.0, 0.0), Launch)  # slot 4: the trial
    ledger.launched(4, 30.0)
    if event == "a served test":
        ledger.served(4, passed=True)
    elif event == "a long life":
        ledger.due(4, 60.0, held=False, jitter=0.0)
    else:
        ledger.crashed(4, 60.0, "it died")
    assert ledger.breaker(KEY).state(60.0) is BreakerState.CLOSED


def test_a_failed_test_proves_nothing() -> None:
    """Tests that fail on a new browser say as much about the browser as about themselves."""
    ledger = broken(now=0.0)
    ledger.request(KEY, 30.0, 0.0)
    ledger.launched(4, 30.0)
    ledger.served(4, passed=False)
    assert ledger.breaker(KEY).state(30.0) is BreakerState.HALF_OPEN


def test_an_early_crash_is_a_strike() -> None:
    """A trial that dies young opens the breaker again."""
    ledger = broken(now=0.0)
    ledger.request(KEY, 30.0, 0.0)
    ledger.launched(4, 30.0)
    ledger.crashed(4, 31.0, "it died")
    assert ledger.breaker(KEY).retry_in(31.0) == 60.0


def test_a_browser_of_before_does_not_speak_for_the_trial() -> None:
    """While a trial runs, an older browser may close, crash or serve: it stays the only one."""
    ledger = serving()
    for _ in range(5):
        ledger.request(KEY, 0.0, 0.0)
    ledger.launched(2, 0.0)
    ledger.launched(3, 0.0)
    for number in (4, 5, 6):
        ledger.launch_failed(number, 0.0, "no memory")
    assert isinstance(ledger.request(KEY, 30.0, 0.0), Launch)  # slot 7: the trial
    ledger.close_asked(1)
    ledger.crashed(2, 29.0, "it died")
    ledger.served(3, passed=True)
    assert isinstance(ledger.request(KEY, 30.0, 0.0), Refuse)
    ledger.launched(7, 31.0)
    ledger.served(7, passed=True)
    assert isinstance(ledger.request(KEY, 31.0, 0.0), Launch)


def test_a_trial_that_is_closed_unproven_makes_room() -> None:
    """The next request becomes the trial."""
    ledger = broken(now=0.0)
    ledger.request(KEY, 30.0, 0.0)
    ledger.launched(4, 30.0)
    ledger.close_asked(4)
    assert isinstance(ledger.request(KEY, 31.0, 0.0), Launch)


def test_a_proven_browser_can_be_closed() -> None:
    """Closing what has served leaves the breaker alone."""
    ledger = serving()
    ledger.served(1, passed=True)
    assert ledger.close_asked(1) == [Dispose("browser-1", kill=False)]
    assert ledger.breaker(KEY).state(0.0) is BreakerState.CLOSED


def test_reporting_a_launch_that_nobody_asked_for_is_a_bug() -> None:
    """A slot without a launch can neither succeed nor fail."""
    ledger = serving()
    with pytest.raises(AssertionError, match="bug: slot 1 was not launching"):
        ledger.launched(1, 0.0)
    with pytest.raises(AssertionError, match="bug: slot 1 was not launching"):
        ledger.launch_failed(1, 0.0, "no memory")
