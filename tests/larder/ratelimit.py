"""So many tries a minute for each client, and no more. Pure: whoever asks brings the time.

Each client costs one number: the moment at which all that he tried will be paid for (the generic
cell rate algorithm). Clients whose moment has passed are forgotten.
"""

from __future__ import annotations

from threading import Lock

_MINUTE = 60.0
_MOST_CLIENTS = 10_000


class RateLimit:
    """Lets a client do ``rate`` things a minute, all at once or one after another."""

    def __init__(self, rate: float) -> None:
        self._interval = _MINUTE / rate
        self._paid_at: dict[str, float] = {}
        self._lock = Lock()

    def ask(self, client: str, now: float) -> float:
        """Return 0 and count a try, or the seconds after which the next one is let through."""
        with self._lock:
            paid_at = max(now, self._paid_at.get(client, now)) + self._interval
            wait = paid_at - now - _MINUTE
            if wait > 1e-9:
                return wait
            if client not in self._paid_at and len(self._paid_at) >= _MOST_CLIENTS:
                self._forget(now)
            self._paid_at[client] = paid_at
            return 0.0

    def _forget(self, now: float) -> None:
        self._paid_at = {name: paid for name, paid in self._paid_at.items() if paid > now}
        while len(self._paid_at) >= _MOST_CLIENTS:
            # The one who came first; a crowd of strangers must not fill the memory.
            del self._paid_at[next(iter(self._paid_at))]
