"""Whose browser contexts are these? Told from when they were first seen, and by whom that could be.

A browser server does not say which connection a context belongs to. But a context that was not
there at one look and is at the next belongs to a lease that ran in between. When all of those have
ended, nobody owns it any more, and it is safe to dispose of. Pure; one of these per browser.
"""

from __future__ import annotations

from collections.abc import Collection


class Sightings:
    """The contexts of one browser that were seen, each with the leases that may own it."""

    def __init__(self) -> None:
        self._owners: dict[str, frozenset[str]] = {}
        self._live: set[str] = set()
        self._since_look: set[str] = set()  # leases that ran at some time since the last look
        self._unowned_since: dict[str, float] = {}

    def began(self, lease: str) -> None:
        """Note that ``lease`` may open contexts from now on."""
        self._live.add(lease)
        self._since_look.add(lease)

    def ended(self, lease: str) -> None:
        """Note that ``lease`` owns nothing any more."""
        self._live.discard(lease)

    def look(self, contexts: Collection[str], now: float) -> None:
        """Note which contexts are there at ``now``."""
        self._owners = {
            context: self._owners.get(context, frozenset(self._since_look)) for context in contexts
        }
        unowned = [context for context, owners in self._owners.items() if not owners & self._live]
        self._unowned_since = {
            context: self._unowned_since.get(context, now) for context in unowned
        }
        self._since_look = set(self._live)

    def unowned(self, now: float, grace: float = 0.0) -> dict[str, str]:
        """Return the contexts without an owner for ``grace`` seconds, each with the cause.

        The cause is ``lease ended`` when a lease has left it, or ``nobody`` when none ran while it
        came: a client that was killed while it opened one.
        """
        return {
            context: "lease ended" if self._owners[context] else "nobody"
            for context, since in self._unowned_since.items()
            if now - since >= grace
        }
