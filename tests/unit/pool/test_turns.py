"""Whose turn is next, owner by owner."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from pytest_sentinel.pool.leases import Leases
from pytest_sentinel.pool.options import PoolOptions
from pytest_sentinel.pool.register import Register
from pytest_sentinel.pool.tickets import Ticket, TicketState
from pytest_sentinel.pool.turns import MOST_PLACES

NOW = 100.0


class Queue:
    """A queue in which everybody is served in turn."""

    def __init__(self, per_owner: int | None = None) -> None:
        self.register = Register(per_owner)
        self.turns = self.register.turns
        self.names: dict[int, str] = {}

    def ask(self, *names: str, engine: str = "chromium") -> list[Ticket]:
        """Let some owners ask, such as "anna1": her first."""
        tickets = [self.register.open(engine, name[:-1], NOW, 30.0) for name in names]
        self.names.update({t.number: name for t, name in zip(tickets, names, strict=True)})
        return tickets

    def grant(self, *engines: str) -> Ticket | None:
        """Grant the next one a lease."""
        ticket = self.turns.next(engines or ("chromium",))
        if ticket is not None:
            self.register.grant(ticket, "browser-1", NOW)
        return ticket

    def order(self, *engines: str) -> list[str]:
        """Return who is served after whom."""
        found = []
        while ticket := self.grant(*engines):
            found.append(self.names[ticket.number])
        return found


def test_owners_take_turns() -> None:
    """A newcomer waits behind one of each owner, not behind all that one of them has asked."""
    queue = Queue()
    queue.ask(*(f"anna{n}" for n in range(5)), "bert0", "bert1", "cleo0")
    assert queue.order() == [
        *("anna0", "bert0", "cleo0"),
        *("anna1", "bert1"),
        *("anna2", "anna3", "anna4"),
    ]


def test_an_owner_at_its_cap_has_no_turn_and_is_no_demand() -> None:
    """Its next turn comes when one of its leases has ended."""
    queue = Queue(per_owner=2)
    queue.ask("anna0", "anna1", "anna2", "bert0")
    assert queue.turns.demand("chromium") == 3
    assert queue.order() == ["anna0", "bert0", "anna1"]
    assert queue.turns.demand("chromium") == 0
    assert queue.register.waiting("chromium") == 1
    assert queue.turns.room("anna") == 0
    queue.register.end(queue.register.within(TicketState.GRANTED)[0])
    assert queue.turns.demand("chromium") == 1
    assert queue.order() == ["anna2"]


def test_an_owner_waits_for_two_engines() -> None:
    """What it may hold yet counts for those that asked first, whichever engine they asked for."""
    queue = Queue(per_owner=3)
    queue.ask("anna0", "anna1")
    queue.ask("anna2", "anna3", engine="firefox")
    queue.ask("anna4")
    assert [queue.turns.demand(engine) for engine in ("chromium", "firefox")] == [2, 1]
    assert queue.order("firefox", "chromium") == ["anna0", "anna1", "anna2"]
    assert [queue.turns.demand(engine) for engine in ("chromium", "firefox")] == [0, 0]


def test_nothing_is_next_where_nobody_waits() -> None:
    """Nor for an engine that nobody asked for."""
    queue = Queue()
    queue.ask("anna0")
    assert queue.turns.next(("firefox",)) is None
    assert queue.turns.demand("firefox") == 0
    assert queue.order() == ["anna0"]


@pytest.mark.parametrize("backwards", [True, False])
def test_a_void_grant_waits_where_it_waited(*, backwards: bool) -> None:
    """In whatever order grants become void, an owner's first is first again."""
    queue = Queue()
    queue.ask("anna0", "anna1", "anna2", "bert0")
    granted = [ticket for _ in range(3) if (ticket := queue.grant())]
    assert [queue.names[ticket.number] for ticket in granted] == ["anna0", "bert0", "anna1"]
    for ticket in reversed(granted) if backwards else granted:
        queue.register.void(ticket)
    order = queue.order()
    assert [name for name in order if name.startswith("anna")] == ["anna0", "anna1", "anna2"]
    assert order[:2] == ["anna0", "bert0"]


def test_who_makes_room_in_a_queue_that_is_too_long() -> None:
    """The newest of the owner with most in it; whoever has as many is refused itself."""
    queue = Queue()
    queue.ask("anna0", "anna1")
    queue.ask("anna2", engine="firefox")
    (bert,) = queue.ask("bert0")
    assert queue.names[queue.turns.too_many(bert).number] == "anna2"
    queue.register.end(queue.turns.too_many(bert))
    (second,) = queue.ask("bert1")
    assert queue.turns.too_many(second) is second
    for ticket in queue.register.within(TicketState.WAITING):
        queue.register.end(ticket)
    (last,) = queue.ask("cleo0")
    assert queue.turns.too_many(last) is last


def test_the_place_of_a_ticket() -> None:
    """It is counted among those of its owner, up to a bound."""
    queue = Queue()
    tickets = queue.ask(*(f"anna{n % 10}" for n in range(MOST_PLACES + 20)))
    queue.ask("bert0")
    assert queue.turns.place(tickets[0]) == (1, MOST_PLACES + 20)
    assert queue.turns.place(tickets[6])[0] == 7
    assert queue.turns.place(tickets[-1])[0] == MOST_PLACES


def test_deadlines_that_are_over_are_forgotten() -> None:
    """A thousand clients that came and went leave no thousand deadlines."""
    queue = Queue()
    for _ in range(1000):
        queue.register.end(queue.ask("anna0")[0])
    assert len(queue.register._deadlines) < 100
    assert queue.register.next_due() is None


def lines_run(work: Callable[[], Any]) -> int:
    """Return how many lines of Python ``work`` runs."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def cost(waiters: int, owners: int, per_owner: int | None) -> Counter[str]:
    """Return what each kind of event costs, in lines, with so many that wait."""
    options = PoolOptions(
        maximum=1, contexts_per_browser=4, max_waiting=waiters + 10, per_owner=per_owner
    )
    leases = Leases(options, 1, 0.0)

    def ask(number: int, wait: float = 3000.0) -> str:
        return leases.ask("chromium", f"owner-{number % owners}", wait, NOW)[0]

    first = [ask(number) for number in range(4)]
    leases.launched("browser-1", NOW)
    for name in first:
        if leases.count(TicketState.GRANTED):
            leases.accept(name, NOW)
    queue = [ask(number) for number in range(waiters)]
    costs: Counter[str] = Counter()
    costs["ask"] = lines_run(lambda: ask(waiters // 2))
    costs["ask in vain"] = lines_run(lambda: ask(waiters // 2, 0.0))
    costs["tick"] = lines_run(lambda: leases.tick(NOW))
    costs["due"] = lines_run(leases.next_due)
    costs["leave"] = lines_run(lambda: leases.leave(queue[waiters // 2], NOW))
    held = leases.tickets(TicketState.HELD)[0].id
    costs["end"] = lines_run(lambda: leases.leave(held, NOW))
    costs["cleaned"] = lines_run(lambda: leases.cleaned(held, NOW))
    costs["figures"] = lines_run(lambda: (leases.waiting(), leases.demand(), leases.slots()))
    return costs


@pytest.mark.parametrize(("owners", "per_owner"), [(1, None), (1, 2), (7, None), (7, 1), (5000, 1)])
def test_an_event_costs_the_same_however_many_wait(owners: int, per_owner: int | None) -> None:
    """Counted in lines of Python, not in time: with a hundred times as many waiters as many run."""
    few = cost(20, min(owners, 20), per_owner)
    many = cost(2000, owners, per_owner)
    for event, lines in many.items():
        assert lines <= 1.5 * few[event] + 20, event
