"""What a test, or a wider fixture that ended, left open: compare, wait, ask who holds it, close.

Before anything is accused it gets half a second, in growing pauses, to go away by itself. What a
fixture that lives on still holds is that fixture's. What such a finding means for the test is the
guard's business. Closed is only what nobody can reach any more.
"""

from __future__ import annotations

import gc
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol

from pytest_sentinel.leaks import clientobjects, ownprocess
from pytest_sentinel.leaks.acquisitions import Acquisitions
from pytest_sentinel.leaks.holders import (
    asks_for_contexts,
    held_by,
    held_by_anybody,
    is_reachable,
)
from pytest_sentinel.leaks.leftovers import (
    KINDS,
    UNKNOWN,
    Found,
    Leftover,
    ancestors,
    ends_with_its_holder,
    without_companions,
)
from pytest_sentinel.leaks.origins import TEST, Origin, place_of
from pytest_sentinel.leaks.ownprocess import OwnProcess

__all__ = ["KINDS", "PAUSES", "RECURRENCE", "Before", "Leftover", "Owner", "Resources"]

PAUSES = (0.001, 0.004, 0.015, 0.03, 0.1, 0.35)  # 0.5 s in all
_KNOWN_PAUSES = PAUSES[:4]  # for what has been accused at the same place before
_RECONSIDER_AFTER = 2
_MULTIPROCESSING = os.path.join(os.path.dirname(os.__file__), "multiprocessing", "")
RECURRENCE = 10  # what a library keeps for itself is accused when so many tests each left one


class Owner(Protocol):
    """A fixture of a wider scope."""

    @property
    def scope(self) -> str:
        """The pytest scope that it lives in."""
        ...

    @property
    def argname(self) -> str:
        """What it is called."""
        ...

    @property
    def func(self) -> object:
        """The function that sets it up."""
        ...


class Before(NamedTuple):
    """What was open when the test began."""

    number: int
    process: OwnProcess
    spawned: int


class Resources:
    """The resources of one pytest process."""

    def __init__(
        self,
        notes: Acquisitions,
        own_pids: Callable[[], set[int]],
        wide_values: Callable[[], Iterable[tuple[Owner, list[object]]]] = tuple,
        runner_holds: Callable[[], list[object]] = list,
    ) -> None:
        """Watch what ``notes`` tells of.

        Args:
            notes: where everything was opened.
            own_pids: the children that are not the tests'.
            wide_values: each living fixture of a wider scope, with what it gave and keeps.
            runner_holds: what the test runner keeps for its users beyond a test.
        """
        self._notes = notes
        self._origins = notes.origins
        self._own_pids = own_pids
        self._wide_values = wide_values
        self._runner_holds = runner_holds
        self._told: set[tuple[str, int]] = set()
        self._kept: defaultdict[str, dict[object, tuple[int, Found]]] = defaultdict(dict)
        self._known_to: dict[int, OwnProcess] = {}
        self._accused: set[tuple[str, str]] = set()
        self._children: frozenset[int] = frozenset()
        self._spawned = -1
        self._descriptors: frozenset[str] = frozenset()
        self._mark: tuple[int, int] | None = None
        self._listed_at = -1
        self._tests = 0

    def look(self) -> Before:
        """Note what is open now."""
        self._notes.watch_playwright()
        self._tests += 1
        if self._notes.spawned != self._spawned:
            self._spawned, self._children = self._notes.spawned, ownprocess.children()
        self._list_descriptors()
        process = OwnProcess(
            threads=frozenset(threading.enumerate()),
            children=self._children,
            descriptors=self._descriptors,
        )
        return Before(self._origins.begin(), process, self._notes.spawned)

    def compare(self, before: Before, test: str = UNKNOWN) -> list[Leftover]:
        """Return what the test left open, after its pauses, and close what nobody can reach.

        Args:
            before: what was open when the test began.
            test: where it stands, as ``file:line in function``.
        """
        found = self._after_pauses(lambda: self._of_the_test(before))
        leftovers = self._tell(self._without_companions(found), test)
        clientobjects.forget_the_tests(self._notes)
        return leftovers

    def _list_descriptors(self) -> None:
        """List what is open, unless nothing can have changed since the last list."""
        mark, number = ownprocess.descriptor_mark(), self._origins.number
        if mark is None or mark != self._mark or number != self._listed_at:
            self._descriptors = ownprocess.descriptor_names()
            self._mark, self._listed_at = mark, number

    def is_untouched(self, before: Before) -> bool:
        """Tell whether nothing was acquired since then: no need to look any closer."""
        return (
            self._origins.number == before.number
            and self._notes.spawned == before.spawned
            and self._mark is not None
            and ownprocess.descriptor_mark() == self._mark
            and before.process.threads.issuperset(threading.enumerate())
        )

    def look_for(self, owner: Owner) -> None:
        """Note which descriptors are open before a fixture of a wider scope is set up."""
        self._known_to[id(owner)] = OwnProcess(descriptors=ownprocess.descriptor_names())

    def left_by(self, owner: Owner) -> list[Leftover]:
        """Return what a fixture of a wider scope left open when it ended, and close it."""
        known = self._known_to.pop(id(owner), OwnProcess())
        if not self._origins.has_acquired(owner):
            return []
        found = self._after_pauses(lambda: self._of_the_fixture(owner, known))
        leftovers = self._tell(self._without_companions(found), self._function_of(owner))
        for key, made in list(self._notes.made.items()):
            if made.origin.owner is owner:
                del self._notes.made[key]
        return leftovers

    # Looking

    def _everything(
        self, is_wanted: Callable[[Origin], bool], known: OwnProcess, with_processes: bool
    ) -> Iterator[Found]:
        yield from clientobjects.open_objects(self._notes, is_wanted)
        yield from clientobjects.registrations(self._notes, is_wanted)
        yield from ownprocess.threads(known)
        if with_processes:
            yield from ownprocess.processes(self._notes, known, self._own_pids())
        yield from ownprocess.descriptors(self._notes, known)

    def _of_the_test(self, before: Before) -> list[Found]:
        number = before.number

        def is_wanted(origin: Origin) -> bool:
            return origin.number > number and origin.scope == TEST

        has_spawned = before.spawned != self._notes.spawned
        new = {key for key, made in self._notes.made.items() if made.origin.number > number}
        return [
            one
            for one in self._everything(is_wanted, before.process, has_spawned)
            if (one.origin is None or is_wanted(one.origin))
            # What lives in something as new goes with that, whosever it is.
            and not any(id(holder) in new for holder in ancestors(one.parent))
            and self._is_accusable(one)
        ]

    def _of_the_fixture(self, owner: Owner, known: OwnProcess) -> list[Found]:
        scopes = {key: made.origin.scope for key, made in self._notes.made.items()}

        def is_wanted(origin: Origin) -> bool:
            return origin.owner is owner

        return [
            one
            for one in self._everything(is_wanted, known, with_processes=True)
            if one.origin is not None
            and is_wanted(one.origin)
            and self._is_accusable(one)
            and not ends_with_its_holder(one, lambda impl: scopes.get(id(impl)))
        ]

    def _is_accusable(self, one: Found) -> bool:
        """Tell what somebody asked for from what a library, or we, keep for ourselves."""
        opener = one.origin.opener() if one.origin is not None else "library"
        if opener == "us":
            return False
        if one.kind == "thread" or one.kind == "descriptor":
            return (opener == "user" and not _is_plumbing(one)) or self._recurs(one)
        if one.kind == "process" or one.kind == "zombie":
            return opener != "late" or self._recurs(one)
        return one.origin is not None or one.kind == "driver"

    def _recurs(self, one: Found) -> bool:
        """Tell whether something of the sort is still open from each of many tests."""
        key = f"{one.kind} {one.origin.passage(self._origins.base) if one.origin else one.key}"
        kept = self._kept[key]
        identity = (one.what, id(one.subject))
        if identity not in kept:
            for other, (_, earlier) in list(kept.items()):
                if not ownprocess.is_still_there(earlier):
                    del kept[other]
            kept[identity] = (self._tests, one)
        return len({test for test, _ in kept.values()}) >= RECURRENCE

    def _after_pauses(self, look: Callable[[], list[Found]]) -> list[Found]:
        found = look()
        excused: set[tuple[str, str]] = set()
        waited = 0
        while found and waited < len(self._pauses(found)):
            if waited == _RECONSIDER_AFTER:
                held = self._held(found)
                excused = {(one.kind, one.what) for one in held if one.origin is None}
                if any(one.kind == "descriptor" and one not in held for one in found):
                    gc.collect()  # garbage in a circle is closed when it is collected
            self._let_pass(self._pauses(found)[waited])
            waited += 1
            found = [one for one in look() if (one.kind, one.what) not in excused]
        return found

    def _pauses(self, found: list[Found]) -> tuple[float, ...]:
        base = self._origins.base
        known = all((one.kind, one.place(base)) in self._accused for one in found)
        return _KNOWN_PAUSES if known else PAUSES

    def _let_pass(self, pause: float) -> None:
        if not clientobjects.let_pass(self._notes, pause):
            threading.Event().wait(pause)

    def _without_companions(self, found: list[Found]) -> list[Found]:
        return without_companions(found, self._origins.base)

    # Who holds it

    def _held(self, found: list[Found]) -> list[Found]:
        """Return what a living fixture of a wider scope holds, having made it that fixture's."""
        subjects = self._subjects(found)
        targets = [subject for subjects_of_one in subjects.values() for subject in subjects_of_one]
        holders = held_by(targets, self._wide_values())
        held = []
        for one in found:
            owner: Any = next(
                (holders[id(each)] for each in subjects[id(one)] if id(each) in holders), None
            )
            if owner is not None:
                held.append(one)
                if one.origin is not None:
                    self._origins.give(one.origin, owner.scope, owner)
        return held

    def _subjects(self, found: list[Found]) -> dict[int, list[Any]]:
        """Return the objects that stand for each, by which it may be held."""
        numbers = [one.number for one in found if one.kind == "descriptor" and one.number]
        files = ownprocess.files_and_sockets(numbers) if numbers else {}
        subjects: dict[int, list[Any]] = {}
        for one in found:
            mine = list(files.get(one.number or 0, ())) if one.kind == "descriptor" else []
            if one.subject is not None:
                api = getattr(one.subject, "_pw_api_instance_", None)
                mine += [one.subject] if api is None else [one.subject, api]
            subjects[id(one)] = mine
        return subjects

    # Telling, and closing

    def _tell(self, found: list[Found], by: str) -> list[Leftover]:
        """Return what was found as leftovers; ``by`` is who opened it if nobody else is known."""
        closable = [one for one in found if one.kind in clientobjects.CLOSABLE]
        closed = {id(one) for one in self._lost(closable) if clientobjects.close(one)}
        told = (self._as_leftover(one, by, id(one) in closed) for one in found)
        return [one for one in told if one is not None]

    def _as_leftover(self, one: Found, by: str, closed: bool) -> Leftover | None:
        place, what = one.place(self._origins.base), one.what
        self._accused.add((one.kind, place))
        if place != UNKNOWN or one.parent is None:
            return Leftover(one.kind, what, place, closed)
        home = self._home(one)
        if home is None:
            return Leftover(one.kind, what, by, closed)
        # Told once: each test of a step-wise suite opens one, and the same fixture is to answer.
        if (one.kind, home.number) in self._told:
            return None
        self._told.add((one.kind, home.number))
        place = home.place(self._origins.base)
        owner: Any = home.owner
        if owner is not None:
            what = f"{what} in what fixture {owner.argname!r} opened"
            place = place if place != UNKNOWN else self._function_of(owner)
        return Leftover(one.kind, what, place if place != UNKNOWN else by, closed, False)

    def _home(self, one: Found) -> Origin | None:
        """Return the origin of the innermost page or context that it lives in, and that stays."""
        for holder in ancestors(one.parent):
            made = self._notes.made.get(id(holder))
            if made is not None and made.impl is holder:
                return made.origin
        return None

    def _function_of(self, owner: Owner) -> str:
        return place_of(owner.func, self._origins.base) or UNKNOWN

    def _lost(self, found: list[Found]) -> list[Found]:
        """Return what nobody can reach any more: neither by a reference nor by a browser."""
        if not found:
            return []
        roots = [*held_by_anybody(), *self._runner_holds()]
        roots += [value for _, held in self._wide_values() for value in held]
        subjects = self._subjects(found)
        return [
            one
            for one in found
            if not (one.kind == "context" and asks_for_contexts())
            # Not ours alone: a browser that was connected to has pages of others.
            and not (one.origin is not None and one.origin.passes("", "connect_over_cdp"))
            and not is_reachable(subjects[id(one)], roots)
        ]


def _is_plumbing(one: Found) -> bool:
    """Tell the pipes of multiprocessing, which nobody can close, from those that somebody can."""
    return (
        one.kind == "descriptor" and one.origin is not None and one.origin.passes(_MULTIPROCESSING)
    )
