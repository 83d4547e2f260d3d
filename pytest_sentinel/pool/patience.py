"""Whether a service that gives nothing is only away for a moment, and how long to wait. No I/O.

A rolling restart takes a service away for some seconds: nothing listens, a proxy answers in its
stead, or it says itself that it goes. Who is only busy, or refuses for good, is not away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

_SHARE: Final = 0.5  # of the wait for a lease: there is none to be had of who never comes back
_FIRST: Final = 0.1
_LONGEST: Final = 1.0
_OURS: Final = "sentinel: "
# In the words of Python, Node.js and proxies.
_NOBODY: Final = re.compile(
    r"refused|reset|hang ?up|EPIPE|broken pipe|no answer within|unreachable|EAI_AGAIN|ENOTFOUND"
    r"|ETIMEDOUT|EHOSTDOWN|no route|name or service not known|temporary failure|name resolution"
    r"|closed connection without|before the connection was established"
    r"|\b50[234]\b",
    re.IGNORECASE,
)
# What a proxy answers with is a page for people; its title stands before it, beside the status.
_HTML: Final = re.compile(r"<(!doctype|html)\b", re.IGNORECASE)
_GOING: Final = re.compile(r"^(the pool is (draining|closed)|the service stops)")


def is_away(problem: str) -> bool:
    """Tell whether ``problem``, of one service, is one that soon may be over by itself.

    It is the text of an error of Playwright's, or the problem of a service that was asked.
    """
    words, own, ours = gist(problem).partition(_OURS)
    if own:
        return _GOING.search(ours) is not None
    return "certificate" not in words and _NOBODY.search(words) is not None


def gist(text: str) -> str:
    """Return the words that matter in an error of Playwright's, without call log and HTML.

    What a service said itself begins with ``sentinel:``.
    """
    words = text.partition("\nCall log:")[0].partition(" - <ws")[0]
    words = _HTML.split(words, maxsplit=1)[0]
    _, found, ours = words.partition(_OURS)
    return " ".join((_OURS + ours if found else words).split())


def shown(text: str) -> str:
    """Return the gist of an error as people read it."""
    return gist(text).removeprefix(_OURS)


def pauses() -> Iterator[float]:
    """Return how long to wait before each further try, in seconds."""
    pause = _FIRST
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST)


class Patience:
    """How long services that are away are waited for, counted from when they went.

    That is half of ``wait``, the seconds that a lease may take. Who has waited in vain once waits
    no more until one of them is back.
    """

    def __init__(self, wait: float) -> None:
        self.seconds = wait * _SHARE
        self._away_since: float | None = None
        self.has_told = False

    def may_wait(self, problems: Iterable[str], now: float, pause: float) -> bool:
        """Tell whether to try again after ``pause`` seconds: all are away, and not for long."""
        if not all(map(is_away, problems)):
            return False
        if self._away_since is None:
            self._away_since = now
        return now + pause <= self._away_since + self.seconds

    def found(self) -> None:
        """Note that a service is there."""
        self._away_since = None
