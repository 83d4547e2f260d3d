"""Whose turn is next: round robin over the owners that wait, first come first served within each.

An owner that holds all that one owner may has no turn before one of its leases ends: its waiting
clients are no demand. Every question and every change costs the same, however many wait.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from heapq import merge
from itertools import islice, takewhile
from operator import attrgetter

from pytest_sentinel.pool.tickets import Ticket

MOST_PLACES = 100  # that are counted for a sentence

_Line = OrderedDict[int, Ticket]  # by number


class Turns:
    """The queue of a pool.

    Args:
        per_owner: leases that one owner may hold at once; None is any number.
    """

    def __init__(self, per_owner: int | None) -> None:
        self._per_owner = per_owner
        self._held: Counter[str] = Counter()  # by owner
        self._lines: dict[str, dict[str, _Line]] = {}  # by owner, then by engine; none is empty
        self._lengths: Counter[str] = Counter()  # of an owner's lines together
        self._rings: dict[str, OrderedDict[str, None]] = {}  # by engine: owners that have a turn
        self._shares: dict[str, Mapping[str, int]] = {}  # by owner: its part of the demand
        self._demand: Counter[str] = Counter()  # by engine
        self._by_length: dict[int, OrderedDict[str, None]] = {}
        self._longest = 0

    # Asking

    def demand(self, engine: str) -> int:
        """Return how many would be served by ``engine`` if there were room for all."""
        return self._demand[engine]

    def room(self, owner: str) -> float:
        """Return how many leases more ``owner`` may hold."""
        return float("inf") if self._per_owner is None else self._per_owner - self._held[owner]

    def next(self, engines: Iterable[str]) -> Ticket | None:
        """Return who is next for one of ``engines``; between engines, who asked first."""
        rings = ((engine, self._rings.get(engine)) for engine in engines)
        firsts = [
            next(iter(self._lines[next(iter(ring))][engine].values()))
            for engine, ring in rings
            if ring
        ]
        return min(firsts, key=attrgetter("number"), default=None)

    def place(self, ticket: Ticket) -> tuple[int, int]:
        """Return the place of a ticket in its owner's line, and how long that line is."""
        # Counted from the front, and no further than to MOST_PLACES.
        line = self._lines[ticket.owner][ticket.engine]
        before = takewhile(lambda number: number != ticket.number, islice(line, MOST_PLACES - 1))
        return sum(1 for _ in before) + 1, len(line)

    def too_many(self, ticket: Ticket) -> Ticket:
        """Return who leaves a queue that ``ticket`` has made too long.

        The newest of the owner that has most in it, for nobody may fill it for others; ``ticket``
        where its own owner has as many.
        """
        if self._lengths[ticket.owner] == self._longest:
            return ticket
        lines = self._lines[next(iter(self._by_length[self._longest]))]
        newest = (next(reversed(line.values())) for line in lines.values())
        return max(newest, key=attrgetter("number"))

    # What happens

    def join(self, ticket: Ticket) -> None:
        """Put a ticket at the end of its owner's line, and the owner at the end of the ring."""
        self._line(ticket)[ticket.number] = ticket
        self._lengthen(ticket.owner, 1)
        self._settle(ticket.owner)

    def rejoin(self, ticket: Ticket) -> None:
        """Put a ticket back where it was: it was granted a lease, and lost it to no fault of it."""
        line = self._line(ticket)
        older = list(takewhile(lambda number: number < ticket.number, line))
        line[ticket.number] = ticket
        for number in (ticket.number, *reversed(older)):
            line.move_to_end(number, last=False)
        self._held[ticket.owner] -= 1
        self._lengthen(ticket.owner, 1)
        self._settle(ticket.owner)
        # There: the owner may hold one more again.
        self._rings[ticket.engine].move_to_end(ticket.owner, last=False)

    def leave(self, ticket: Ticket) -> None:
        """Take a ticket out."""
        lines = self._lines[ticket.owner]
        del lines[ticket.engine][ticket.number]
        if not lines[ticket.engine]:
            del lines[ticket.engine]
            self._rings[ticket.engine].pop(ticket.owner, None)
        self._lengthen(ticket.owner, -1)
        self._settle(ticket.owner)

    def serve(self, ticket: Ticket) -> None:
        """Note that a ticket was granted a lease: the turn goes to the next owner."""
        self._held[ticket.owner] += 1
        ring = self._rings[ticket.engine]
        ring.move_to_end(ticket.owner)
        self.leave(ticket)

    def free(self, owner: str) -> None:
        """Note that a lease of ``owner`` has ended."""
        self._held[owner] -= 1
        self._settle(owner)

    # What follows

    def _line(self, ticket: Ticket) -> _Line:
        return self._lines.setdefault(ticket.owner, {}).setdefault(ticket.engine, OrderedDict())

    def _lengthen(self, owner: str, by: int) -> None:
        """Keep account of who has how many: by length, and the longest."""
        before = self._lengths[owner]
        after = before + by
        if before:
            self._by_length[before].pop(owner)
        if after:
            self._by_length.setdefault(after, OrderedDict())[owner] = None
            self._lengths[owner] = after
        else:
            del self._lengths[owner], self._lines[owner]
        self._longest = max(self._longest, after)
        if not self._by_length[self._longest]:
            self._longest -= 1

    def _settle(self, owner: str) -> None:
        """Bring demand and rings in line with what ``owner`` holds and waits for."""
        lines = self._lines.get(owner, {})
        room = self.room(owner)
        for engine in lines:
            ring = self._rings.setdefault(engine, OrderedDict())
            if room > 0:
                ring.setdefault(owner)
            else:
                ring.pop(owner, None)
        self._demand.subtract(self._shares.pop(owner, {}))
        share = self._share(lines, room)
        if share:
            self._demand.update(share)
            self._shares[owner] = share
        if not self._held[owner]:
            del self._held[owner]

    def _share(self, lines: Mapping[str, _Line], room: float) -> Mapping[str, int]:
        """Return by engine how many of an owner's waiters its room is for."""
        if sum(map(len, lines.values())) <= room:
            return {engine: len(line) for engine, line in lines.items()}
        first = max(0, int(room))
        if len(lines) == 1:
            return dict.fromkeys(lines, first)
        in_order = merge(*(line.values() for line in lines.values()), key=attrgetter("number"))
        return Counter(ticket.engine for ticket in islice(in_order, first))
