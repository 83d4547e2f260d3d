"""The books of a pool that many share: who holds which slot, who waits, and what is due next.

Every change goes through one plain method here, which takes ``now`` (seconds, any monotonic
clock), does no I/O, and returns the actions that the shell must carry out and report back as
events. Counts are derived from the states. Two laws: a grant counts when it is accepted, and a
slot is given to nobody else before its contexts are known to be gone. Whose turn it is turns.py
knows, and which browsers there are supply.py.
"""

from __future__ import annotations

from pytest_sentinel.errors import PoolRefused
from pytest_sentinel.pool import refusals
from pytest_sentinel.pool.actions import Action, Clean, Grant, Refuse, Revoke
from pytest_sentinel.pool.breaker import Breaker, BreakerState
from pytest_sentinel.pool.options import PoolOptions
from pytest_sentinel.pool.places import Place, least_loaded
from pytest_sentinel.pool.register import Register
from pytest_sentinel.pool.states import BrowserState
from pytest_sentinel.pool.supply import Supply
from pytest_sentinel.pool.tickets import SEATED, Ticket, TicketState

_GONE = (BrowserState.CLOSING, BrowserState.DEAD)
_WORDS = {TicketState.GRANTED: "granted", TicketState.HELD: "leased"}
_SLOTS = ("free", "granted", "leased", "cleaning", "starting", "unavailable", "unused")


class Leases:
    """The books of one shared pool.

    Args:
        options: what the pool was told.
        launches_at_once: how many browsers may be starting.
        jitter: any number from 0 to 1; spreads wear limits.
    """

    def __init__(self, options: PoolOptions, launches_at_once: int, jitter: float) -> None:
        self._options = options
        self._tickets = Register(options.per_owner)
        self._supply = Supply(options, launches_at_once, jitter, self._count)
        self.counters: dict[str, dict[str, int]] = {}
        self.paused = ""
        self.draining = False
        self.closed = False

    # Asking

    @property
    def maximum(self) -> int:
        """Return how many places there may be."""
        return self._supply.maximum

    @property
    def generation(self) -> int:
        """Return how often the pool was restarted, from 1."""
        return self._supply.generation

    @property
    def places(self) -> list[Place]:
        """Return the pages of all places, oldest first."""
        return self._supply.places

    @property
    def breakers(self) -> dict[str, Breaker]:
        """Return the breaker of each engine."""
        return self._supply.breakers

    def ticket(self, name: str) -> Ticket | None:
        """Return the page of a ticket that has not ended."""
        return self._tickets.find(name)

    def tickets(self, *states: TicketState) -> list[Ticket]:
        """Return the tickets in one of ``states``, in the order in which they asked."""
        return self._tickets.within(*states)

    def count(self, *states: TicketState) -> int:
        """Return how many tickets are in one of ``states``."""
        return self._tickets.count(*states)

    def waiting(self) -> dict[str, int]:
        """Return by engine how many clients wait."""
        return {engine: self._tickets.waiting(engine) for engine in self.breakers}

    def demand(self) -> dict[str, int]:
        """Return by engine how many clients wait that their owner's cap does not hold back."""
        return {engine: self._tickets.turns.demand(engine) for engine in self.breakers}

    def on(self, browser: str) -> list[Ticket]:
        """Return the tickets that ``browser`` serves, cleaning included."""
        return self._tickets.on(browser)

    def next_due(self) -> float | None:
        """Return the next moment at which a wait or a lease is over."""
        return self._tickets.next_due()

    def slots(self) -> dict[str, int]:
        """Return how many slots are in which state; their sum is the size of the pool."""
        counts = dict.fromkeys(_SLOTS, 0)
        for place in self.places:
            idle = "unavailable"
            if place.ready() is not None:
                idle = "free"
            elif place.starting():
                idle = "starting"
            for slot in place.slots:
                ticket = None if slot is None else self._tickets.find(slot)
                counts[idle if ticket is None else _WORDS.get(ticket.state, "cleaning")] += 1
        spare = max(0, self.maximum - len(self.places))
        counts["unused"] = spare * self._options.contexts_per_browser
        return counts

    # What clients do

    def ask(self, engine: str, owner: str, wait: float, now: float) -> tuple[str, list[Action]]:
        """Open a ticket for a client that will wait for ``wait`` seconds; return its id.

        Raises:
            PoolRefused: it need not wait: nothing is given any more, or there is no such engine.
        """
        error: PoolRefused | None = None
        if self.closed:
            error = refusals.closed()
        elif self.draining:
            error = refusals.draining()
        elif engine not in self.breakers:
            error = refusals.unknown_engine(engine, self._options.engines)
        if error is not None:
            self._count("refusals_total", error.reason)
            raise error
        crowd = self._crowd()
        ticket = self._tickets.open(engine, owner, now, wait)
        actions = self._settle(now)
        limit = self._options.max_waiting
        if ticket.state is TicketState.WAITING and self.count(TicketState.WAITING) > limit:
            last = self._tickets.turns.too_many(ticket)
            actions.append(self._refuse(last, refusals.full(limit, crowd, last.owner, owner)))
        return ticket.id, actions

    def accept(self, name: str, now: float) -> bool:
        """Make a grant count; False when its browser died meanwhile: the client waits again.

        Raises:
            PoolRefused: the pool was closed meanwhile.
        """
        ticket = self._tickets.find(name)
        if ticket is None:
            raise refusals.closed()
        if ticket.state is TicketState.WAITING:
            return False
        longest = self._options.max_lease
        self._tickets.accept(ticket, None if longest is None else now + longest)
        self._count("leases_total", ticket.engine)
        return True

    def leave(self, name: str, now: float) -> list[Action]:
        """End a ticket: its client went away, waiting or holding. Ending it again does nothing."""
        ticket = self._tickets.find(name)
        if ticket is None or ticket.state is TicketState.CLEANING:
            return []
        actions: list[Action] = []
        if ticket.state is TicketState.HELD:
            self._count("ends_total", "revoked" if ticket.revoked else "released")
            self._tickets.clean(ticket)
            place, browser = self._supply.find(ticket.browser)
            browser.tests += 1
            if not ticket.revoked:
                self._supply.prove(place, browser)
            actions.append(Clean(ticket.id, ticket.browser))
        elif ticket.state is TicketState.GRANTED:
            self._count("refusals_total", "declined")
            self._free(ticket)
        else:
            self._count("refusals_total", "gone")
            self._tickets.end(ticket)
        return actions + self._settle(now)

    def cleaned(self, name: str, now: float) -> list[Action]:
        """Free the slot of a lease that has ended: its contexts are gone."""
        ticket = self._tickets.find(name)
        if ticket is None or ticket.state is not TicketState.CLEANING:
            return []
        self._free(ticket)
        return self._settle(now)

    # What browsers do

    def launched(self, name: str, now: float) -> list[Action]:
        """``name`` answers: it takes its place, and what served there before drains."""
        self._supply.launched(name, now)
        return self._settle(now)

    def launch_failed(self, name: str, now: float, cause: str, log: str = "") -> list[Action]:
        """``name`` did not start: a strike, and whatever is left of it must go."""
        return [self._supply.launch_failed(name, now, cause, log), *self._settle(now)]

    def crashed(self, name: str, now: float, cause: str, log: str = "") -> list[Action]:
        """``name`` died or hangs: its leases are over, its grants void, its place to be filled."""
        place, browser = self._supply.find(name)
        if browser.state in _GONE:
            return []
        tickets = self._tickets.on(name)
        users = {ticket.owner for ticket in tickets if ticket.state is TicketState.HELD}
        under = ", ".join(sorted(users))
        actions: list[Action] = [self._supply.crashed(place, browser, now, cause, log, under)]
        for ticket in reversed(tickets):  # each goes back to the head of the queue
            if ticket.state is TicketState.GRANTED:
                place.give_back(ticket.id)
                self._tickets.void(ticket)
        for ticket in tickets:
            if ticket.state is TicketState.WAITING:
                continue
            if ticket.state is TicketState.HELD:
                actions += self._cut(ticket, "crashed", refusals.with_tail(cause, log))
            self._free(ticket)
        return actions + self._settle(now)

    def suspected(self, name: str, now: float, *, suspect: bool) -> list[Action]:
        """Quarantine ``name`` because a probe of it failed, or end that because one did not."""
        place, browser = self._supply.find(name)
        if browser is place.browser:
            place.suspect = suspect
        return self._settle(now)

    def measured(self, name: str, pss: int) -> None:
        """Note the PSS, in bytes, that the tree of ``name`` has now."""
        _, browser = self._supply.find(name)
        browser.peak_memory = max(browser.peak_memory, pss)

    def gone(self, name: str, now: float) -> list[Action]:
        """The last process of ``name`` has ended: its place can be used again."""
        self._supply.gone(name)
        return self._settle(now)

    # What the operator and the machine do

    def tick(self, now: float) -> list[Action]:
        """Do what is due by the clock alone."""
        return self._settle(now)

    def pressed(self, why: str, now: float) -> list[Action]:
        """Admit nothing new because of ``why``; go on as usual when it is empty."""
        self.paused = why
        return self._settle(now)

    def resize(self, maximum: int, now: float) -> list[Action]:
        """Have ``maximum`` places from now on; those too many are given up as they empty."""
        self._supply.maximum = maximum
        return self._settle(now)

    def restart(self, now: float) -> list[Action]:
        """Begin a new generation: every browser of before is replaced, one after the other."""
        self._supply.generation += 1
        return self._settle(now)

    def drain(self, now: float) -> list[Action]:
        """Give no more leases; those that are held go on."""
        self.draining = True
        return self._settle(now)

    def revoke_all(self, why: str) -> list[Action]:
        """Tell every holder to go."""
        actions: list[Action] = []
        for ticket in self._tickets.within(TicketState.HELD):
            if not ticket.revoked:
                ticket.revoked = why
                actions.append(Revoke(ticket.id, why))
        return actions

    def close(self, now: float) -> list[Action]:
        """End everything: nobody waits or holds any more, and every browser goes."""
        self.draining = self.closed = True
        actions: list[Action] = []
        for ticket in self._tickets.within(*TicketState):
            if ticket.state is TicketState.WAITING:
                actions.append(self._refuse(ticket, refusals.closed()))
                continue
            if ticket.state is TicketState.GRANTED:
                self._count("refusals_total", "closed")
            elif ticket.state is TicketState.HELD:
                actions += self._cut(ticket, "closed", "the pool was closed")
            self._free(ticket)
        for place in self.places:
            self._supply.retire(place, "closed")
        return actions + self._settle(now)

    # What follows

    def _settle(self, now: float) -> list[Action]:
        """Do all that can be done now, in the order of who has waited longest."""
        self._supply.prove_old(now)
        due = self._tickets.due(now)
        actions = [*self._expire_leases(due), *self._grant(now), *self._refuse_waiting(due, now)]
        if not self.draining and not self.paused:
            actions += self._supply.fill(self.demand(), now)
            actions += self._supply.replace(now)
        self._supply.shrink()
        if self.paused:
            self._supply.shed()
        return [*actions, *self._supply.end_drained(self._tickets.busy())]

    def _expire_leases(self, due: list[Ticket]) -> list[Action]:
        actions: list[Action] = []
        for ticket in due:
            if ticket.state is TicketState.HELD:
                ticket.revoked = f"the lease was longer than {self._options.max_lease:g} s may be"
                actions.append(Revoke(ticket.id, ticket.revoked))
        return actions

    def _grant(self, now: float) -> list[Action]:
        """Give what is free, one owner after the other."""
        actions: list[Action] = []
        if self.draining or self.paused:
            return actions
        places = {engine: least_loaded(self.places, engine) for engine in self.breakers}
        while ticket := self._tickets.turns.next(engine for engine in places if places[engine]):
            place = places[ticket.engine]
            browser = place.ready() if place is not None else None
            assert place is not None, "bug: a grant without a place"
            assert browser is not None, "bug: a grant without a browser"
            place.take(ticket.id)
            self._tickets.grant(ticket, browser.name, now)
            actions.append(Grant(ticket.id, browser.name))
            places[ticket.engine] = least_loaded(self.places, ticket.engine)
        return actions

    def _refuse_waiting(self, due: list[Ticket], now: float) -> list[Action]:
        """Refuse those whose wait is over, and those that wait in vain."""
        actions: list[Action] = []
        for engine, breaker in self.breakers.items():
            if not self._tickets.waiting(engine):
                continue
            is_open = breaker.state(now) is BreakerState.OPEN
            if self.draining:
                error = refusals.draining()
            elif is_open and not self._supply.has_hope(engine):
                error = refusals.breaker_open(engine, breaker, now)
            else:
                continue
            actions += [self._refuse(ticket, error) for ticket in self._tickets.waiters(engine)]
        for ticket in due:
            if ticket.state is TicketState.WAITING:
                actions.append(self._refuse(ticket, self._why_in_vain(ticket)))
        return actions

    def _why_in_vain(self, ticket: Ticket) -> PoolRefused:
        cap, turns = self._options.per_owner, self._tickets.turns
        if self.paused:
            return refusals.memory(self.paused)
        if cap is not None and turns.room(ticket.owner) <= 0:
            return refusals.owner_cap(ticket.owner, cap, ticket.wait)
        if ticket.wait <= 0:
            return refusals.not_at_once(ticket.engine, self._crowd())
        breaker, place = self.breakers[ticket.engine], turns.place(ticket)
        return refusals.waited(ticket.engine, ticket.wait, place, self._crowd(), breaker)

    # Small questions

    def _crowd(self) -> refusals.Crowd:
        slots = self.maximum * self._options.contexts_per_browser
        return refusals.Crowd(self.count(*SEATED), slots, self.count(TicketState.WAITING))

    def _cut(self, ticket: Ticket, how: str, why: str) -> list[Action]:
        """Count the end of a lease that is held, and tell its holder unless he was told before."""
        self._count("ends_total", "revoked" if ticket.revoked else how)
        return [] if ticket.revoked else [Revoke(ticket.id, why)]

    def _free(self, ticket: Ticket) -> None:
        place, _ = self._supply.find(ticket.browser)
        place.give_back(ticket.id)
        self._tickets.end(ticket)

    def _refuse(self, ticket: Ticket, error: PoolRefused) -> Refuse:
        self._count("refusals_total", error.reason)
        self._tickets.end(ticket)
        return Refuse(ticket.id, error)

    def _count(self, name: str, cause: str) -> None:
        causes = self.counters.setdefault(name, {})
        causes[cause] = causes.get(cause, 0) + 1
