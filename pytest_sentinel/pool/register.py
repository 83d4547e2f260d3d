"""All tickets that have not ended, by state, by browser and by deadline, and the queue among them.

Every change of a ticket's state goes through here, so that each question has its answer at hand:
none of them costs more the more clients wait.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from operator import attrgetter

from pytest_sentinel.pool.tickets import Ticket, TicketState
from pytest_sentinel.pool.turns import Turns

_S = TicketState
_STALE = 64  # deadlines that may be over before the list of them is made anew


class Register:
    """The tickets of one pool.

    Args:
        per_owner: leases that one owner may hold at once; None is any number.
    """

    def __init__(self, per_owner: int | None) -> None:
        self.turns = Turns(per_owner)
        self._tickets: dict[str, Ticket] = {}
        self._by_state: dict[TicketState, dict[str, Ticket]] = {state: {} for state in _S}
        self._by_browser: dict[str, dict[str, Ticket]] = {}
        self._waiting: dict[str, dict[str, Ticket]] = {}  # by engine
        self._deadlines: list[tuple[float, str]] = []
        self._numbers = 0

    # Asking

    def find(self, name: str) -> Ticket | None:
        """Return the ticket called ``name``, unless it has ended."""
        return self._tickets.get(name)

    def count(self, *states: TicketState) -> int:
        """Return how many tickets are in one of ``states``."""
        return sum(len(self._by_state[state]) for state in states)

    def within(self, *states: TicketState) -> list[Ticket]:
        """Return the tickets in one of ``states``, in the order in which they asked."""
        found = [ticket for state in states for ticket in self._by_state[state].values()]
        return sorted(found, key=attrgetter("number"))

    def on(self, browser: str) -> list[Ticket]:
        """Return the tickets that ``browser`` serves, cleaning included."""
        return sorted(self._by_browser.get(browser, {}).values(), key=attrgetter("number"))

    def busy(self) -> set[str]:
        """Return the browsers that serve a ticket."""
        return set(self._by_browser)

    def waiting(self, engine: str) -> int:
        """Return how many wait for ``engine``."""
        return len(self._waiting.get(engine, ()))

    def waiters(self, engine: str) -> list[Ticket]:
        """Return who waits for ``engine``, in the order in which they asked."""
        return sorted(self._waiting.get(engine, {}).values(), key=attrgetter("number"))

    # Deadlines

    def next_due(self) -> float | None:
        """Return the next moment at which a wait or a lease is over."""
        while self._deadlines and not self._is_due(*self._deadlines[0]):
            heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def due(self, now: float) -> list[Ticket]:
        """Return the tickets whose wait or lease is over at ``now``; each is returned once."""
        found = []
        while (at := self.next_due()) is not None and at <= now:
            found.append(self._tickets[heappop(self._deadlines)[1]])
        return found

    def _is_due(self, at: float, name: str) -> bool:
        """Tell whether a deadline still means something."""
        ticket = self._tickets.get(name)
        if ticket is None:
            return False
        if ticket.state is _S.WAITING:
            return ticket.deadline == at
        return ticket.state is _S.HELD and ticket.expires == at and not ticket.revoked

    def _watch(self, at: float, ticket: Ticket) -> None:
        heappush(self._deadlines, (at, ticket.id))
        if len(self._deadlines) > _STALE + 2 * self.count(_S.WAITING, _S.HELD):
            self._deadlines = [entry for entry in self._deadlines if self._is_due(*entry)]
            heapify(self._deadlines)

    # What happens

    def open(self, engine: str, owner: str, now: float, wait: float) -> Ticket:
        """Return a new ticket that waits."""
        self._numbers += 1
        ticket = Ticket(self._numbers, engine, owner, wait, now + wait)
        self._tickets[ticket.id] = self._by_state[_S.WAITING][ticket.id] = ticket
        self._waiting.setdefault(engine, {})[ticket.id] = ticket
        self.turns.join(ticket)
        self._watch(ticket.deadline, ticket)
        return ticket

    def grant(self, ticket: Ticket, browser: str, now: float) -> None:
        """Keep a slot of ``browser`` for a ticket that waits."""
        self.turns.serve(ticket)
        del self._waiting[ticket.engine][ticket.id]
        self._move(ticket, _S.GRANTED)
        ticket.browser, ticket.since = browser, now
        self._by_browser.setdefault(browser, {})[ticket.id] = ticket

    def void(self, ticket: Ticket) -> None:
        """Have a ticket whose grant was not accepted wait again, where it waited before."""
        self._leave_browser(ticket)
        self._move(ticket, _S.WAITING)
        self._waiting[ticket.engine][ticket.id] = ticket
        self.turns.rejoin(ticket)
        self._watch(ticket.deadline, ticket)

    def accept(self, ticket: Ticket, expires: float | None) -> None:
        """Make a grant a lease, until ``expires`` at the latest."""
        self._move(ticket, _S.HELD)
        ticket.expires = expires
        if expires is not None:
            self._watch(expires, ticket)

    def clean(self, ticket: Ticket) -> None:
        """End a lease, and keep its slot until its contexts are gone."""
        self._move(ticket, _S.CLEANING)
        self.turns.free(ticket.owner)

    def end(self, ticket: Ticket) -> None:
        """Take a ticket out of the books."""
        if ticket.state is _S.WAITING:
            self.turns.leave(ticket)
            del self._waiting[ticket.engine][ticket.id]
        else:
            self._leave_browser(ticket)
            if ticket.state is not _S.CLEANING:
                self.turns.free(ticket.owner)
        del self._by_state[ticket.state][ticket.id], self._tickets[ticket.id]
        ticket.state = _S.ENDED

    def _move(self, ticket: Ticket, state: TicketState) -> None:
        del self._by_state[ticket.state][ticket.id]
        ticket.state = state
        self._by_state[state][ticket.id] = ticket

    def _leave_browser(self, ticket: Ticket) -> None:
        served = self._by_browser[ticket.browser]
        del served[ticket.id]
        if not served:
            del self._by_browser[ticket.browser]
        ticket.browser = ""
