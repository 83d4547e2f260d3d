"""The books of a shared pool under every order of events, with a model that keeps count too.

The machine plays the shell and the clients: it carries out what the books ask for, in any order
and at any time, and reports back. What must hold after every step stands in the invariants.

Ten thousand steps by default; ``LEASES_MODEL_STEPS=1000000`` for a long run.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pytest_sentinel.errors import PoolRefused
from pytest_sentinel.pool.actions import Action, Clean, End, Grant, Launch, Refuse, Revoke
from pytest_sentinel.pool.leases import Leases
from pytest_sentinel.pool.options import PoolOptions
from pytest_sentinel.pool.states import BrowserState
from pytest_sentinel.pool.tickets import Ticket, TicketState

STEPS = 50
EXAMPLES = int(os.environ.get("LEASES_MODEL_STEPS", "10000")) // STEPS
ENGINES = ("chromium", "firefox")
OWNERS = ("anna", "bert", "cleo")
UNITS = st.floats(0, 1)


@dataclass
class World:
    """What really is there, as far as shell and clients can know."""

    waiting: set[str] = field(default_factory=set)
    granted: dict[str, str] = field(default_factory=dict)  # ticket to browser
    held: dict[str, str] = field(default_factory=dict)
    cleaning: dict[str, str] = field(default_factory=dict)
    told_to_go: set[str] = field(default_factory=set)
    over: Counter[str] = field(default_factory=Counter)  # how often each ticket has ended
    launching: list[str] = field(default_factory=list)
    serving: list[str] = field(default_factory=list)
    ending: list[str] = field(default_factory=list)
    engine: dict[str, str] = field(default_factory=dict)
    owner: dict[str, str] = field(default_factory=dict)  # by ticket
    asked: int = 0
    accepted: int = 0
    ready_before: set[str] = field(default_factory=set)
    voided: set[str] = field(default_factory=set)  # tickets that were granted, and wait again
    # By engine and owner, while it could be served: how often each other owner was since its turn.
    passed: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    # By engine and owner: turns that it has again, for what it was granted died with its browser.
    returned: Counter[tuple[str, str]] = field(default_factory=Counter)


class Pool(RuleBasedStateMachine):
    """One set of books, its shell and its clients."""

    @initialize(
        engines=st.integers(1, 2),
        minimum=st.integers(0, 1),
        maximum=st.integers(2, 4),
        contexts=st.integers(1, 3),
        per_owner=st.sampled_from([None, 1, 2]),
        max_lease=st.sampled_from([None, 20.0]),
        max_waiting=st.sampled_from([0, 3, 5, 100]),
        launches=st.integers(1, 2),
        jitter=UNITS,
    )
    def begin(
        self,
        engines: int,
        minimum: int,
        maximum: int,
        contexts: int,
        per_owner: int | None,
        max_lease: float | None,
        max_waiting: int,
        launches: int,
        jitter: float,
    ) -> None:
        """Open the books."""
        self.options = PoolOptions(
            engines=ENGINES[:engines],
            minimum=minimum,
            maximum=maximum,
            contexts_per_browser=contexts,
            max_waiting=max_waiting,
            per_owner=per_owner,
            max_lease=max_lease,
            recycle_after=3,
            max_browser_age=200.0,
            max_browser_memory=500,
        )
        self.launches = launches
        self.leases = Leases(self.options, launches, jitter)
        self.world = World()
        self.drained: set[str] = set()
        self.now = 1000.0
        self.act(self.leases.tick(self.now))

    def act(self, actions: list[Action]) -> None:
        """Note what the books ask for, and check each action by itself."""
        world = self.world
        newly_granted = []
        displaced: list[str] = []
        for action in actions:
            match action:
                case Launch(browser, engine, _, generation):
                    assert browser not in world.engine, "a name was used twice"
                    assert self.admits(), "something new while nothing is admitted"
                    assert generation == self.leases.generation
                    world.engine[browser] = engine
                    world.launching.append(browser)
                case End(browser, kill, _):
                    assert browser not in world.ending, "a browser was ended twice"
                    (world.serving if browser in world.serving else world.launching).remove(browser)
                    world.ending.append(browser)
                    assert kill or not self.users(browser), "a browser in use was closed"
                case Grant(ticket, browser):
                    assert self.admits(), "something new while nothing is admitted"
                    assert browser in world.ready_before or browser in world.serving
                    world.waiting.remove(ticket)
                    world.granted[ticket] = browser
                    newly_granted.append(ticket)
                case Refuse(ticket, error):
                    assert str(error)
                    if error.reason == "full" and "made room" in str(error):
                        displaced.append(ticket)
                    world.waiting.remove(ticket)
                    world.over[ticket] += 1
                case Revoke(ticket, _):
                    assert ticket not in world.told_to_go, "told to go twice"
                    world.told_to_go.add(ticket)
                case Clean(ticket, browser):
                    world.cleaning[ticket] = browser
        self.check_turns(newly_granted)
        for name in displaced:
            self.check_displaced(world.owner[name])

    def admits(self) -> bool:
        """Tell whether anything new may be given or launched."""
        return not (self.leases.paused or self.leases.draining)

    def page(self, name: str) -> Ticket | None:
        """Return the page of a ticket."""
        return self.leases.ticket(name)

    def servable(self) -> set[tuple[str, str]]:
        """Return the engines and owners of whom somebody waits and could be served."""
        waiting = self.leases.tickets(TicketState.WAITING)
        return {(t.engine, t.owner) for t in waiting if not self.at_cap(t.owner)}

    def check_turns(self, granted: list[str]) -> None:
        """Nobody is passed over twice by the same owner, nor by a later one of its own owner.

        An owner whose grant died with its browser has its turn again, whichever of its clients
        then takes it; that one does not count twice.
        """
        passed = self.world.passed
        for name in granted:
            ticket = self.page(name)
            assert ticket is not None
            key = (ticket.engine, ticket.owner)
            for other in self.leases.tickets(TicketState.WAITING):
                if (other.engine, other.owner) == key:
                    assert other.number > ticket.number, "a later one of the same owner came first"
            passed.pop(key, None)
            if self.world.returned[key]:
                self.world.returned[key] -= 1
                continue
            for (engine, _), counts in passed.items():
                if engine == ticket.engine:
                    counts[ticket.owner] += 1
        servable = self.servable()
        for key in set(passed) - servable:
            del passed[key]
        for key, counts in passed.items():
            assert not counts or max(counts.values()) <= 1, f"{key} was passed over: {counts}"
        for key in servable - set(passed):
            passed[key] = Counter()

    def check_displaced(self, owner: str) -> None:
        """Who makes room for another owner has at least as many left as any other."""
        lengths = Counter(t.owner for t in self.leases.tickets(TicketState.WAITING))
        assert lengths[owner] + 1 >= max(lengths.values())
        assert lengths[owner] >= 1

    def at_cap(self, owner: str) -> bool:
        """Tell whether an owner holds all he may, counted from the outside."""
        live = [*self.world.granted, *self.world.held]
        owners = [t.owner for name in live if (t := self.leases.ticket(name))]
        cap = self.options.per_owner
        return cap is not None and owners.count(owner) >= cap

    def users(self, browser: str) -> list[str]:
        """Return the tickets that a browser serves, counted from the outside."""
        world = self.world
        return [
            ticket
            for book in (world.granted, world.held, world.cleaning)
            for ticket, where in book.items()
            if where == browser
        ]

    def forget(self, browser: str) -> None:
        """A browser died: what was granted on it waits again, what was held is over."""
        world = self.world
        for ticket in self.users(browser):
            if world.granted.pop(ticket, None):
                world.waiting.add(ticket)
                world.voided.add(ticket)
                found = self.page(ticket)
                assert found is not None
                world.returned[found.engine, found.owner] += 1
            else:
                if world.held.pop(ticket, None):
                    world.over[ticket] += 1
                world.cleaning.pop(ticket, None)

    # Clients

    @rule(
        engine=st.sampled_from([*ENGINES, "lynx"]),
        owner=st.sampled_from(OWNERS),
        wait=st.sampled_from([0.0, 5.0, 60.0]),
    )
    def ask(self, engine: str, owner: str, wait: float) -> None:
        """A client comes."""
        before = sum(self.leases.counters.get("refusals_total", {}).values())
        self.world.asked += 1
        if self.leases.draining or engine not in self.options.engines:
            with pytest.raises(PoolRefused):
                self.leases.ask(engine, owner, wait, self.now)
            assert sum(self.leases.counters["refusals_total"].values()) == before + 1
            self.world.over["at the door"] += 1
            return
        name, actions = self.leases.ask(engine, owner, wait, self.now)
        self.world.waiting.add(name)
        self.world.owner[name] = owner
        self.act(actions)

    @precondition(lambda self: not self.leases.draining)
    @rule(
        engine=st.sampled_from(["chromium", *ENGINES]),
        owners=st.lists(st.sampled_from(OWNERS), min_size=2, max_size=6),
    )
    def crowd(self, engine: str, owners: list[str]) -> None:
        """Several clients come one after the other, and none of them soon goes."""
        for owner in owners:
            self.ask(engine, owner, 60.0)

    @precondition(lambda self: self.world.granted or self.world.held)
    @rule(data=st.data(), times=st.integers(1, 6))
    def turn_over(self, data: st.DataObject, times: int) -> None:
        """Some leases begin and end in good order, and others get their slots."""
        world = self.world
        for _ in range(times):
            if not (world.granted or world.held):
                return
            ticket = data.draw(st.sampled_from(sorted([*world.granted, *world.held])))
            if ticket in world.granted:
                assert self.leases.accept(ticket, self.now) is True
                world.accepted += 1
                world.held[ticket] = world.granted.pop(ticket)
            world.over[ticket] += 1
            del world.held[ticket]
            self.act(self.leases.leave(ticket, self.now))
            del world.cleaning[ticket]
            self.act(self.leases.cleaned(ticket, self.now))

    @precondition(lambda self: self.world.granted)
    @rule(data=st.data())
    def accept(self, data: st.DataObject) -> None:
        """A waiter takes what it was granted."""
        ticket = data.draw(st.sampled_from(sorted(self.world.granted)))
        assert self.leases.accept(ticket, self.now) is True
        self.world.accepted += 1
        self.world.held[ticket] = self.world.granted.pop(ticket)

    @precondition(lambda self: self.world.waiting)
    @rule(data=st.data())
    def accept_too_early(self, data: st.DataObject) -> None:
        """A waiter whose grant has become void is told to wait again."""
        ticket = data.draw(st.sampled_from(sorted(self.world.waiting)))
        assert self.leases.accept(ticket, self.now) is False

    @precondition(lambda self: self.world.waiting or self.world.granted or self.world.held)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """A client goes: waiting, at the very moment of hand-over, or done; and once more."""
        world = self.world
        ticket = data.draw(st.sampled_from(sorted([*world.waiting, *world.granted, *world.held])))
        world.over[ticket] += 1
        world.waiting.discard(ticket)
        world.granted.pop(ticket, None)
        was_held = world.held.pop(ticket, None)
        actions = self.leases.leave(ticket, self.now)
        assert any(isinstance(action, Clean) for action in actions) is (was_held is not None)
        self.act(actions)
        self.act(self.leases.leave(ticket, self.now))

    @precondition(lambda self: self.world.cleaning)
    @rule(data=st.data())
    def cleaned(self, data: st.DataObject) -> None:
        """The contexts of a lease are known to be gone."""
        ticket = data.draw(st.sampled_from(sorted(self.world.cleaning)))
        del self.world.cleaning[ticket]
        self.act(self.leases.cleaned(ticket, self.now))
        self.act(self.leases.cleaned(ticket, self.now))

    # Browsers

    @precondition(lambda self: self.world.launching)
    @rule(data=st.data())
    def launched(self, data: st.DataObject) -> None:
        """A browser answers."""
        browser = data.draw(st.sampled_from(self.world.launching))
        self.world.launching.remove(browser)
        self.world.serving.append(browser)
        self.act(self.leases.launched(browser, self.now))

    @precondition(lambda self: self.world.launching)
    @rule(data=st.data())
    def launch_failed(self, data: st.DataObject) -> None:
        """A browser does not start."""
        browser = data.draw(st.sampled_from(self.world.launching))
        self.act(self.leases.launch_failed(browser, self.now, "exit code 1", "boom"))

    @precondition(lambda self: self.world.serving)
    @rule(data=st.data())
    def crashed(self, data: st.DataObject) -> None:
        """A browser dies, or hangs."""
        browser = data.draw(st.sampled_from(self.world.serving))
        self.forget(browser)
        self.act(self.leases.crashed(browser, self.now, "the browser died"))
        assert self.leases.crashed(browser, self.now, "once more") == []

    @precondition(lambda self: self.world.serving)
    @rule(data=st.data(), suspect=st.booleans())
    def probed(self, data: st.DataObject, suspect: bool) -> None:
        """A probe fails or succeeds."""
        browser = data.draw(st.sampled_from(self.world.serving))
        self.act(self.leases.suspected(browser, self.now, suspect=suspect))

    @precondition(lambda self: self.world.serving)
    @rule(data=st.data(), pss=st.sampled_from([100, 600]))
    def measured(self, data: st.DataObject, pss: int) -> None:
        """A browser's memory is read."""
        self.leases.measured(data.draw(st.sampled_from(self.world.serving)), pss)

    @precondition(lambda self: self.world.ending)
    @rule(data=st.data())
    def gone(self, data: st.DataObject) -> None:
        """The last process of a browser has ended."""
        browser = data.draw(st.sampled_from(self.world.ending))
        self.world.ending.remove(browser)
        self.act(self.leases.gone(browser, self.now))

    # Operator, machine and clock

    @rule(seconds=st.sampled_from([0.0, 0.1, 6.0, 31.0, 400.0]))
    def clock(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        self.act(self.leases.tick(self.now))
        due = self.leases.next_due()
        assert due is None or due > self.now

    @rule(why=st.sampled_from(["", "memory is short"]))
    def pressed(self, why: str) -> None:
        """Memory becomes short, or is enough again."""
        self.act(self.leases.pressed(why, self.now))

    @rule(maximum=st.integers(1, 4))
    def resize(self, maximum: int) -> None:
        """The operator asks for more or fewer places."""
        self.act(self.leases.resize(maximum, self.now))

    @rule()
    def restart(self) -> None:
        """The operator asks for new browsers."""
        self.act(self.leases.restart(self.now))

    @precondition(lambda self: self.world.asked > 12)
    @rule(dice=st.integers(0, 9))
    def drain(self, dice: int) -> None:
        """Now and then the operator drains, and drives out who is still there."""
        if dice == 0:
            self.act(self.leases.drain(self.now))
        elif dice == 1 and self.leases.draining:
            self.act(self.leases.revoke_all("drained for too long"))

    @precondition(lambda self: self.world.asked > 20)
    @rule(dice=st.integers(0, 9))
    def close(self, dice: int) -> None:
        """Now and then the pool is closed."""
        if dice or self.leases.closed:
            return
        world = self.world
        void = next(iter(world.granted), None)
        for book in (world.granted, world.held):
            world.over.update(book.keys())
        for book in (world.granted, world.held, world.cleaning):
            book.clear()
        self.act(self.leases.close(self.now))
        assert not world.waiting
        if void is not None:
            with pytest.raises(PoolRefused):
                self.leases.accept(void, self.now)

    # What must hold

    @invariant()
    def the_books_know_what_the_world_knows(self) -> None:
        """Tickets and browsers are where shell and clients know them to be."""
        world, leases = self.world, self.leases
        books = {
            TicketState.WAITING: world.waiting,
            TicketState.GRANTED: set(world.granted),
            TicketState.HELD: set(world.held),
            TicketState.CLEANING: set(world.cleaning),
        }
        for state, names in books.items():
            assert {ticket.id for ticket in leases.tickets(state)} == names
        living = [browser for place in leases.places for browser in place.browsers()]
        names = [browser.name for browser in living]
        assert sorted(names) == sorted([*world.launching, *world.serving, *world.ending])
        world.ready_before = {b.name for b in living if b.state is BrowserState.READY}

    @invariant()
    def no_slot_has_two_leases(self) -> None:
        """Each slot has one ticket, each ticket one slot, and no browser more than it may."""
        world = self.world
        taken = [slot for place in self.leases.places for slot in place.slots if slot is not None]
        live = [*world.granted, *world.held, *world.cleaning]
        assert sorted(taken) == sorted(live)
        for browser in world.engine:
            assert len(self.users(browser)) <= self.options.contexts_per_browser
        for ticket, browser in [*world.granted.items(), *world.held.items()]:
            page = self.leases.ticket(ticket)
            assert page is not None
            assert (page.engine, page.browser) == (world.engine[browser], browser)

    @invariant()
    def the_sum_of_states_is_the_size(self) -> None:
        """Every slot is in exactly one state, and there are as many as there may be."""
        leases = self.leases
        size = max(leases.maximum, len(leases.places)) * self.options.contexts_per_browser
        assert sum(leases.slots().values()) == size
        staying = [place for place in leases.places if not place.retiring]
        assert len(staying) <= leases.maximum
        assert sum(1 for p in leases.places for _ in p.browsers()) <= len(leases.places) + 1
        assert len(self.world.launching) <= self.launches

    @invariant()
    def nobody_waits_while_a_slot_is_free_for_him(self) -> None:
        """A waiter waits for a reason: no slot, his cap, memory."""
        leases = self.leases
        if leases.paused:
            return
        free = {place.engine for place in leases.places if place.ready() and place.free()}
        for ticket in leases.tickets(TicketState.WAITING):
            assert ticket.engine not in free or self.at_cap(ticket.owner)

    @invariant()
    def demand_is_who_could_be_served(self) -> None:
        """Of each owner its first count, as many as it may hold yet; the queue is bounded."""
        waiting = self.leases.tickets(TicketState.WAITING)
        live = Counter(
            page.owner
            for name in [*self.world.granted, *self.world.held]
            if (page := self.page(name))
        )
        demand: Counter[str] = Counter()
        cap = self.options.per_owner
        for ticket in waiting:
            if cap is None or live[ticket.owner] < cap:
                demand[ticket.engine] += 1
            live[ticket.owner] += 1
        assert self.leases.demand() == {engine: demand[engine] for engine in self.options.engines}
        total = Counter(ticket.engine for ticket in waiting)
        assert self.leases.waiting() == {engine: total[engine] for engine in self.options.engines}
        assert len(waiting) <= self.options.max_waiting + len(self.world.voided)

    @invariant()
    def somebody_comes_to_help(self) -> None:
        """With room to launch, and no reason not to, whoever waits has a browser starting."""
        leases, world = self.leases, self.world
        if leases.paused or leases.draining or len(world.launching) >= self.launches:
            return
        if len(leases.places) >= leases.maximum:
            return
        for ticket in leases.tickets(TicketState.WAITING):
            closed = leases.breakers[ticket.engine].opened_at is None
            starting = any(p.engine == ticket.engine and p.starting() for p in leases.places)
            if closed and not self.at_cap(ticket.owner) and self.first_of_owner(ticket.id):
                assert starting

    def first_of_owner(self, name: str) -> bool:
        """Tell whether a ticket is its owner's first in the queue, so that his cap lets it in."""
        page = self.leases.ticket(name)
        assert page is not None
        queue = self.leases.tickets(TicketState.WAITING)
        return next(ticket.id for ticket in queue if ticket.owner == page.owner) == name

    @invariant()
    def every_lease_ends_once(self) -> None:
        """Whoever asked waits, holds, or has got exactly one end; the counters agree."""
        world, counters = self.world, self.leases.counters
        live = len(world.waiting) + len(world.granted) + len(world.held)
        assert world.asked == live + sum(world.over.values())
        assert all(n == 1 for name, n in world.over.items() if name != "at the door")
        ends = sum(counters.get("ends_total", {}).values())
        assert sum(counters.get("leases_total", {}).values()) == world.accepted
        assert world.accepted == len(world.held) + ends
        assert sum(counters.get("refusals_total", {}).values()) + ends == sum(world.over.values())

    @invariant()
    def a_successor_is_ready_before_a_browser_retires(self) -> None:
        """Where a place is kept, a ready browser stands behind whatever begins to drain there."""
        replacing = 0
        for place in self.leases.places:
            replacing += place.is_replacing()
            for browser in place.browsers():
                begins = browser.state is BrowserState.DRAINING and browser.name not in self.drained
                if begins and not place.retiring:
                    assert place.browser is not None
                    assert place.browser.state is BrowserState.READY
                    assert place.browser is not browser
                if begins:
                    self.drained.add(browser.name)
        assert replacing <= 1


def test_books_of_a_shared_pool() -> None:
    """No order of events breaks an invariant of the books."""
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Pool,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
