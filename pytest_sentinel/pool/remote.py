"""A client's way to a pool elsewhere: which of several services, and what they said if none.

Law: it holds nothing. The connection that it opens is the lease, and whoever closes that, or
dies, has given the browser back.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from pytest_sentinel.addresses import Address
from pytest_sentinel.errors import PoolUnavailable, ServiceUnreachable
from pytest_sentinel.pool.asking import ask_for_facts
from pytest_sentinel.pool.patience import Patience, gist, pauses, shown

_LOOK_WITHIN = 3.0
_CONNECT_SLACK = 10.0  # beyond the wait that the service was told


@dataclass(frozen=True, slots=True)
class Standing:
    """What one service says of itself; ``problem`` where it says nothing.

    Attributes:
        machine: the same for processes that can hand each other files.
    """

    address: Address
    ready: bool = False
    reason: str = ""
    pressure: float = 0.0
    free: int = 0
    machine: str = ""
    problem: str = ""


def look(address: Address) -> Standing:
    """Ask a service whether it is worth to come."""
    try:
        _, facts = ask_for_facts(address, "/ready", timeout=_LOOK_WITHIN)
        return Standing(
            address,
            ready=bool(facts["ready"]),
            reason=str(facts["reason"]),
            pressure=float(facts["pressure"]),
            free=int(facts["free"]),
            machine=str(facts.get("machine", "")),
        )
    except ServiceUnreachable as error:
        return Standing(address, problem=f"no service answers there: {error.problem}")
    except (KeyError, TypeError, ValueError):
        return Standing(address, problem="what answers there is no service of this version")


def in_order(standings: Sequence[Standing], owner: str) -> list[Standing]:
    """Return the services worth trying, the least pressed first.

    Those under equal pressure come in an order that differs from owner to owner, so that clients
    who arrive together do not all go to the same one. Those that are not ready come last: they may
    be by then.
    """

    def key(standing: Standing) -> tuple[bool, bool, float, int]:
        lot = zlib.crc32(f"{owner} {standing.address}".encode())
        return (not standing.ready, not standing.free, standing.pressure, lot)

    return sorted((standing for standing in standings if not standing.problem), key=key)


class RemotePool:
    """The services of ``--sentinel-pool``, for one client.

    Args:
        services: where they are.
        owner: whose leases these are.
        token: what the services want to see, if anything.
        wait: seconds, for a lease and for services that are away.
        tell: called once with a sentence when it waits for services that are away; None has it
            wait for none.
    """

    def __init__(
        self,
        services: Sequence[Address],
        owner: str,
        token: str | None,
        wait: float,
        tell: Callable[[str], None] | None,
    ) -> None:
        self._services = tuple(services)
        self._owner = owner
        self._token = token
        self._wait = wait
        self._tell = tell
        self._patience = Patience(wait)

    def __str__(self) -> str:
        return ", ".join(address.ws for address in self._services)

    def connect(self, browser_type: Any, **options: Any) -> tuple[Any, Standing]:
        """Return a browser of the least pressed service that gives one, and that service.

        Args:
            browser_type: Playwright's, of the engine that is wanted.
            options: more for its ``connect``.

        Raises:
            PoolUnavailable: none gives one; has what each said.
        """
        for pause in pauses():
            found, tried = self._try(browser_type, options)
            if found is not None:
                self._patience.found()
                return found
            problems = [problem for _, problem in tried]
            if self._tell is None or not self._patience.may_wait(problems, time.monotonic(), pause):
                break
            if not self._patience.has_told:
                self._patience.has_told = True
                self._tell(
                    f"waiting up to {self._patience.seconds:g} s for {self} ({shown(problems[0])})"
                )
            time.sleep(pause)
        raise PoolUnavailable(browser_type.name, [(place, shown(why)) for place, why in tried])

    def _try(
        self, browser_type: Any, options: dict[str, Any]
    ) -> tuple[tuple[Any, Standing] | None, list[tuple[str, str]]]:
        """Return a browser and its service, or None and what each service said."""
        standings = [look(address) for address in self._services]
        tried = [(s.address.ws, s.problem) for s in standings if s.problem]
        for standing, wait in self._attempts(in_order(standings, self._owner)):
            place = standing.address.ws
            query = urlencode({"owner": self._owner, "wait": f"{wait:g}s"})
            try:
                browser = browser_type.connect(
                    f"{place}/{browser_type.name}?{query}",
                    headers=self._headers(),
                    timeout=(wait + _CONNECT_SLACK) * 1000,
                    **options,
                )
            except Exception as error:
                if not type(error).__module__.startswith("playwright."):
                    raise
                tried = [entry for entry in tried if entry[0] != place]
                tried.append((place, gist(str(error))))
                continue
            return (browser, standing), tried
        return None, tried

    def _headers(self) -> dict[str, str]:
        return {} if self._token is None else {"Authorization": f"Bearer {self._token}"}

    def _attempts(self, standings: Sequence[Standing]) -> Iterator[tuple[Standing, float]]:
        """Ask each that has something free without waiting; then wait, at one after the other."""
        if len(standings) > 1:
            yield from ((standing, 0.0) for standing in standings if standing.free)
        yield from ((standing, self._wait) for standing in standings)
