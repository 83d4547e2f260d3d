"""One client's request in the books, from asking to the end of its lease.

    WAITING   in the queue
    GRANTED   a slot is kept for it; counts only when the client accepts
    HELD      the client has its connection
    CLEANING  the lease has ended; its slot is kept until its contexts are known to be gone
    ENDED     nothing of it is left

Law: a ticket keeps its number for life, and the queue is in the order of numbers. One whose
browser dies before it was accepted waits again where it waited before.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass


class TicketState(enum.Enum):
    """Where a request stands, in the order of its life."""

    WAITING = "waiting"
    GRANTED = "granted"
    HELD = "held"
    CLEANING = "cleaning"
    ENDED = "ended"


# Those for which a slot is kept.
SEATED = (TicketState.GRANTED, TicketState.HELD, TicketState.CLEANING)


@dataclass(slots=True)
class Ticket:
    """One client's page in the books.

    Attributes:
        browser: the browser that serves it; empty while it waits.
        since: when it was granted.
        expires: when its lease is over at the latest.
        revoked: why its client was told to go; empty when nobody told him.
    """

    number: int
    engine: str
    owner: str
    wait: float
    deadline: float
    state: TicketState = TicketState.WAITING
    browser: str = ""
    since: float = 0.0
    expires: float | None = None
    revoked: str = ""

    @property
    def id(self) -> str:
        """Its name for people, never used twice."""
        return f"lease-{self.number}"


class Tickets:
    """All tickets that have not ended, in the order in which they asked."""

    def __init__(self) -> None:
        self._tickets: dict[str, Ticket] = {}
        self._numbers = 0

    def open(self, engine: str, owner: str, now: float, wait: float) -> Ticket:
        """Return a new ticket at the end of the queue."""
        self._numbers += 1
        ticket = Ticket(self._numbers, engine, owner, wait, now + wait)
        self._tickets[ticket.id] = ticket
        return ticket

    def find(self, name: str) -> Ticket | None:
        """Return the ticket called ``name``, unless it has ended."""
        return self._tickets.get(name)

    def end(self, ticket: Ticket) -> None:
        """Take ``ticket`` out of the books."""
        ticket.state = TicketState.ENDED
        del self._tickets[ticket.id]

    def within(self, *states: TicketState) -> list[Ticket]:
        """Return the tickets in one of ``states``, in the order in which they asked."""
        return [ticket for ticket in self._tickets.values() if ticket.state in states]

    def on(self, browser: str) -> list[Ticket]:
        """Return the tickets that ``browser`` serves, cleaning included."""
        return [ticket for ticket in self._tickets.values() if ticket.browser == browser]

    def held(self) -> Counter[str]:
        """Return by owner how many leases he holds or is being handed."""
        live = self.within(TicketState.GRANTED, TicketState.HELD)
        return Counter(ticket.owner for ticket in live)

    def deadlines(self) -> Iterator[float]:
        """Yield every moment at which a wait or a lease is over."""
        for ticket in self._tickets.values():
            if ticket.state is TicketState.WAITING:
                yield ticket.deadline
            elif ticket.state is TicketState.HELD and ticket.expires and not ticket.revoked:
                yield ticket.expires
