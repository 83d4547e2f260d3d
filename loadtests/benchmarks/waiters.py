"""What an event of a shared pool costs while many wait, measured on this machine.

For queues of 10 to 10,000 clients: a client asks, is refused at once, leaves; a lease ends and the
next one is granted. Microseconds of CPU for each round of the four, and the ratio to the shortest
queue, which is what counts: it should be one. Nothing is launched; these are the books alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time

from pytest_sentinel.pool.leases import Leases
from pytest_sentinel.pool.options import PoolOptions

SIZES = (10, 100, 1_000, 10_000)
TARGET = 1.5
BATCH = 100


class Crowd:
    """A pool of eight slots that is full, with so many clients in its queue."""

    def __init__(self, waiters: int, owners: int, per_owner: int | None) -> None:
        options = PoolOptions(
            maximum=2, contexts_per_browser=4, max_waiting=2 * waiters, per_owner=per_owner
        )
        self.now = 0.0
        self.owners = owners
        self.leases = Leases(options, 2, 0.5)
        self.queue = [self.ask(number) for number in range(waiters + 8)]
        for name in ("browser-1", "browser-2"):
            self.leases.launched(name, self.now)
        self.held = [name for name in self.queue if self.accepted(name)]

    def ask(self, number: int, wait: float = 1e6) -> str:
        """Have a client come; return its ticket."""
        return self.leases.ask("chromium", f"owner-{number % self.owners}", wait, self.now)[0]

    def accepted(self, name: str) -> bool:
        """Have a client take what it was granted, if it was."""
        return self.leases.accept(name, self.now)

    def round(self, number: int) -> None:
        """Let each kind of event happen once."""
        self.now += 1e-3
        self.ask(number, wait=0.0)
        self.leases.leave(self.ask(number + 1), self.now)
        gone = self.held.pop(0)
        self.leases.leave(gone, self.now)
        for action in self.leases.cleaned(gone, self.now):
            name = getattr(action, "ticket", "")
            if name and self.accepted(name):
                self.held.append(name)
        self.ask(number + 2)


def cost(waiters: int, owners: int, per_owner: int | None, rounds: int) -> float:
    """Return the median of the microseconds of CPU that one round takes."""
    crowd = Crowd(waiters, owners, per_owner)
    found = []
    for _ in range(rounds):
        began = time.process_time()
        for number in range(BATCH):
            crowd.round(number)
        found.append((time.process_time() - began) / BATCH * 1e6)
    return statistics.median(found)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    rows = []
    for what, owners, cap in (("one owner", 1, None), ("capped", 1, 8), ("1000 owners", 1000, 1)):
        costs = {size: cost(size, min(owners, size), cap, told.rounds) for size in SIZES}
        ratio = costs[SIZES[-1]] / costs[SIZES[0]]
        rows.append({"queue": what, "us": costs, "ratio": ratio, "ok": ratio <= TARGET})
    if told.json:
        print(json.dumps(rows, indent=2))
        sys.exit(0 if all(row["ok"] for row in rows) else 1)
    print("queue        " + "".join(f"{size:>10,}" for size in SIZES) + "     ratio")
    for row in rows:
        words = "".join(f"{us:>10.1f}" for us in row["us"].values())
        print(f"{row['queue']:<13}{words}{row['ratio']:>10.2f}")
    sys.exit(0 if all(row["ok"] for row in rows) else 1)


if __name__ == "__main__":
    main()
