"""What scenarios get as ``self``: a user without Locust, and the sets of tasks that it is in.

The objects are of the locustfile's own classes, one for each user of Locust, and live where the
browsers are driven. What belongs to Locust's process is not there, and says so.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_sentinel.errors import NotInSidecar
from pytest_sentinel.load.wire import Run


class Nothing:
    """What an ``on_start`` that does nothing returns: it may be awaited."""

    def __await__(self) -> Iterator[None]:
        """Be over at once."""
        return iter(())


class StandInEnvironment:
    """What a scenario may ask of Locust's environment.

    Attributes:
        host: that of the command line, if it names one.
        parsed_options: Locust's options and the locustfile's own, as they were when the run began.
    """

    def __init__(self, host: str | None, options: Mapping[str, Any]) -> None:
        self.host = host
        self.parsed_options = Namespace(**options)

    def __getattr__(self, name: str) -> Any:
        """Refuse what belongs to Locust's process.

        Raises:
            NotInSidecar: always.
        """
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotInSidecar(f"self.environment.{name}", "it has host and parsed_options")


def stand_in(
    cls: type, number: int, host: str | None, options: Mapping[str, Any] | None = None
) -> Any:
    """Return what scenarios of ``cls`` get as ``self``: its attributes and methods, no Locust."""
    person: Any = object.__new__(cls)
    person.sentinel_stand_in = True
    person.user_number = number
    if host is not None:
        person.host = host
    environment = StandInEnvironment(host, options or {})
    person.environment = environment
    if hasattr(cls, "perform"):
        person.__init__(environment)  # what the class sets there is for its tasks
    return person


def is_stand_in(holder: Any) -> bool:
    """Tell whether a user, or the user of a set of tasks, lives where scenarios run."""
    user = holder if hasattr(holder, "sentinel_stand_in") else getattr(holder, "user", None)
    return bool(getattr(user, "sentinel_stand_in", False))


class People:
    """The users of one sidecar, each with the sets of tasks that it is in just now."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options
        self._known: dict[tuple[int, type], dict[int, Any]] = {}

    def find(self, run: Run, cls: type, sets: Mapping[str, type]) -> Any:
        """Return what the scenario of ``run`` gets as ``self``.

        Args:
            run: what the worker asks for.
            cls: the class of the user.
            sets: classes of sets of tasks, by the names that ``run`` has for them.
        """
        known = self._known.setdefault((run.user, cls), {})
        if 0 not in known:
            known[0] = stand_in(cls, run.user, run.host, self.options)
        for left in known.keys() - {0, *(number for number, _ in run.path)}:
            del known[left]
        holder = known[0]
        for number, name in run.path:
            if number not in known:
                known[number] = sets[name](holder)
            holder = known[number]
        return holder

    def leave(self, user: int) -> None:
        """Forget a user who has gone."""
        for key in [key for key in self._known if key[0] == user]:
            del self._known[key]
