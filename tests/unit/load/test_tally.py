"""The books of a load run: nothing twice, nothing lost on the way from workers to the master."""

from __future__ import annotations

from pytest_sentinel.load import tally as books
from pytest_sentinel.load.tally import Outcome, Tally
from pytest_sentinel.load.wire import PageLoad


def full() -> Tally:
    """Return a tally with an entry of every kind."""
    tally = Tally()
    for outcome in Outcome:
        tally.begin()
        tally.end("Shopper.buy", outcome)
    tally.begin()
    tally.failed_outside("Shopper.buy")
    tally.served("Shopper.buy", 1.0, 3.0)
    tally.served("Shopper.look", 2.0, None)
    tally.waited("Shopper.buy", 0.2)
    tally.was_late("Shopper.buy")
    tally.step("Shopper.buy/home", 0.5, failed=False)
    tally.step("Shopper.buy/cart", 0.7, failed=True)
    tally.request("GET /", 0.01, failed=False)
    tally.request("GET /", 0.03, failed=True)
    tally.task("Caller.read")
    tally.page(PageLoad("home", ttfb=0.1, cls=0.0))
    tally.doubt("loop lag")
    tally.weigh("one", 500)
    tally.weigh("one", 400)
    tally.lag.add(0.001)
    tally.busy, tally.possible = 1.0, 4.0
    return tally


def test_every_iteration_is_in_one_place() -> None:
    """What was begun has ended in one way, or is in flight."""
    tally = full()

    assert (tally.begun, tally.count(), tally.in_flight()) == (6, 5, 1)
    assert [tally.count(outcome) for outcome in Outcome] == [1, 1, 1, 1, 1]
    assert tally.ended() == 3


def test_what_was_noted_can_be_read() -> None:
    """Each thing is under its own name."""
    tally = full()

    assert tally.service.keys() == {"Shopper.buy", "Shopper.look"}
    assert tally.response.keys() == {"Shopper.buy"}
    assert (tally.late, tally.step_failures) == ({"Shopper.buy": 1}, {"Shopper.buy/cart": 1})
    assert (tally.requests["GET /"].count, tally.request_failures) == (2, {"GET /": 1})
    assert tally.vitals.keys() == {"home|ttfb", "home|cls"}
    assert (tally.unhealthy, tally.memory) == ({"loop lag": 1}, {"one": 500})


def test_the_sum_of_the_parts_is_the_whole() -> None:
    """Two workers' reports, given away in two halves, are what one would have told."""
    master = Tally()
    worker = full()
    master.merge(books.from_bytes(books.to_bytes(worker.take())))
    assert worker == Tally()
    worker.merge(full())
    master.merge(books.from_bytes(books.to_bytes(worker.take())))

    whole = full()
    whole.merge(full())
    assert master == whole
    assert (master.begun, master.count(Outcome.PASSED), master.in_flight()) == (12, 2, 2)
    assert master.steps["Shopper.buy/home"].count == 2
    assert master.tasks == {"Caller.read": 2}
    assert (master.busy, master.possible, master.lag.count) == (2.0, 8.0, 2)
    assert master.memory == {"one": 500}


def test_names_without_end_become_other() -> None:
    """A program that makes up names fills no memory."""
    tally = Tally()
    for number in range(600):
        tally.step(f"Shopper.buy/{number}", 0.1, failed=True)
    tally.step("Shopper.buy/7", 0.1, failed=True)

    assert len(tally.steps) == len(tally.step_failures) == 501
    assert tally.steps["other"].count == tally.step_failures["other"] == 100
    assert tally.steps["Shopper.buy/7"].count == 2
