"""A client's way to a pool elsewhere: which of several services, and what they said if none.

Law: it holds nothing. The connection that it opens is the lease, and whoever closes that, or
dies, has given the browser back.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from pytest_sentinel.addresses import Address
from pytest_sentinel.errors import PoolUnavailable, ServiceUnreachable
from pytest_sentinel.pool.asking import ask_for_facts

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
    """The services of ``--sentinel-pool``, for one client."""

    def __init__(
        self, services: Sequence[Address], owner: str, token: str | None, wait: float
    ) -> None:
        self._services = tuple(services)
        self._owner = owner
        self._token = token
        self._wait = wait

    def __str__(self) -> str:
        return ", ".join(f"ws://{address}" for address in self._services)

    def connect(self, browser_type: Any, **options: Any) -> tuple[Any, Standing]:
        """Return a browser of the least pressed service that gives one, and that service.

        Args:
            browser_type: Playwright's, of the engine that is wanted.
            options: more for its ``connect``.

        Raises:
            PoolUnavailable: none gives one; has what each said.
        """
        engine = browser_type.name
        standings = [look(address) for address in self._services]
        tried = [(f"ws://{s.address}", s.problem) for s in standings if s.problem]
        for standing, wait in self._attempts(in_order(standings, self._owner)):
            place = f"ws://{standing.address}"
            query = urlencode({"owner": self._owner, "wait": f"{wait:g}s"})
            try:
                browser = browser_type.connect(
                    f"{place}/{engine}?{query}",
                    headers=self._headers(),
                    timeout=(wait + _CONNECT_SLACK) * 1000,
                    **options,
                )
            except Exception as error:
                if not type(error).__module__.startswith("playwright."):
                    raise
                tried = [*(entry for entry in tried if entry[0] != place), (place, _gist(error))]
                continue
            return browser, standing
        raise PoolUnavailable(engine, tried)

    def _headers(self) -> dict[str, str]:
        return {} if self._token is None else {"Authorization": f"Bearer {self._token}"}

    def _attempts(self, standings: Sequence[Standing]) -> Iterator[tuple[Standing, float]]:
        """Ask each that has something free without waiting; then wait, at one after the other."""
        if len(standings) > 1:
            yield from ((standing, 0.0) for standing in standings if standing.free)
        yield from ((standing, self._wait) for standing in standings)


def _gist(error: Exception) -> str:
    """Return the service's own words from Playwright's error, without its call log."""
    words = str(error).partition("\nCall log:")[0].partition(" - <ws")[0]
    _, found, ours = words.partition("sentinel: ")
    return " ".join((ours if found else words).split())
