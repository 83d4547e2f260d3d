"""What was found open, in the words of a report. Pure: looks at nothing but what it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from pytest_sentinel.leaks.origins import Origin

KINDS = (
    "context",
    "page",
    "cdp-session",
    "handle",
    "request-context",
    "browser",
    "route",
    "binding",
    "listener",
    "tracing",
    "driver",
    "thread",
    "descriptor",
    "process",
    "zombie",
)
UNKNOWN: Final = "unknown"
_SCOPES = ("function", "class", "module", "package", "session")
_LIVES_ALONE = ("context", "request-context", "browser")
_MOST_NUMBERS = 3


@dataclass(frozen=True, slots=True)
class Leftover:
    """One thing that is still open.

    Attributes:
        kind: one of KINDS.
        what: it, in a few words.
        where: ``file:line in function`` that opened it.
        closed: whether it was closed for the next test's sake.
        is_the_tests: False for what no line of the test opened, in a context that outlives it: a
            fixture that is wider than the test answers for that.
    """

    kind: str
    what: str
    where: str
    closed: bool = False
    is_the_tests: bool = True

    def __str__(self) -> str:
        note = " (closed now)" if self.closed else ""
        what = f" {self.what}" if self.what else ""
        return f"{self.kind}{what} opened at {self.where}{note}"


@dataclass(slots=True, eq=False)
class Found:
    """Something that is open, before anybody is accused of it.

    Attributes:
        subject: the object that stands for it, if there is one.
        parent: the object of Playwright's client that it lives in, and ends with.
        key: what it has in common with others of its sort, of which a library may keep a few.
        number: of a descriptor, or of a process.
    """

    kind: str
    what: str
    origin: Origin | None
    subject: Any = None
    parent: Any = None
    key: str = ""
    number: int | None = None

    def place(self, base: str) -> str:
        """Return ``file:line in function`` of who opened it."""
        return self.origin.place(base) if self.origin is not None else UNKNOWN


def without_companions(found: Iterable[Found], base: str) -> list[Found]:
    """Leave out what goes with something else: a page with its context, a pipe with its process.

    Descriptors and threads go with what was opened at the same place; descriptors of one place
    become one.
    """
    found = list(found)
    holders = {id(one.subject) for one in found if one.subject is not None}
    kept: list[Found] = []
    places = {
        rank: {one.place(base) for one in found if _rank(one) < rank} - {UNKNOWN} for rank in (1, 2)
    }
    descriptors: dict[str, list[Found]] = {}
    for one in found:
        if _rank(one) and one.place(base) in places[_rank(one)]:
            continue
        if one.kind == "descriptor":
            descriptors.setdefault(one.place(base), []).append(one)
        elif not any(id(holder) in holders for holder in ancestors(one.parent)):
            kept.append(one)
    for together in descriptors.values():
        together.sort(key=lambda one: one.number or 0)
        what = ", ".join(one.what for one in together[:_MOST_NUMBERS])
        hidden = len(together) - _MOST_NUMBERS
        more = f" and {hidden} more" if hidden > 0 else ""
        kept.append(replace(together[0], what=what + more))
    return kept


def _rank(one: Found) -> int:
    return {"thread": 1, "descriptor": 2}.get(one.kind, 0)


def ends_with_its_holder(one: Found, scope_of: Callable[[Any], str | None]) -> bool:
    """Tell whether what a wider fixture left goes with a page or context of no wider a scope.

    A context is asked to be closed by itself, although it would go with its browser: closing it
    is what writes its videos and archives.
    """
    if one.kind in _LIVES_ALONE or one.origin is None:
        return False
    for holder in ancestors(one.parent):
        scope = scope_of(holder)
        if scope is not None:
            return _SCOPES.index(scope) <= _SCOPES.index(one.origin.scope)
    return False


def ancestors(impl: Any) -> Iterator[Any]:
    """Yield an object of Playwright's client, what it lives in, and so on."""
    while impl is not None:
        yield impl
        impl = getattr(impl, "_parent", None)
