"""One client's request in the books, from asking to the end of its lease.

    WAITING   in the queue
    GRANTED   a slot is kept for it; counts only when the client accepts
    HELD      the client has its connection
    CLEANING  the lease has ended; its slot is kept until its contexts are known to be gone
    ENDED     nothing of it is left

Law: a ticket keeps its number for life, and an owner's tickets are served in the order of numbers.
One whose browser dies before it was accepted waits again where it waited before.
"""

from __future__ import annotations

import enum
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
