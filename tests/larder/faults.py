"""Faults that an operator plants on purpose, so that detectors, gates and alerts have some to find.

``LARDER_FAULTS`` names them, with commas between: ``leak:kitchen`` and ``leak:server``,
``slow:search:300ms``, ``error:checkout:0.01``, ``hang:meal``. Nothing here runs without it.

Law: parsing is pure, and a name that nobody knows stops the start. Which requests of a route fail
is decided by the seed and by their order alone.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

# The names are those of the trade: of a page and of the same thing for programs. A search is a list
# of meals that was asked for something.
ROUTES = {
    "account": ("GET /account",),
    "admin": ("GET /admin",),
    "cart": ("POST /cart", "POST /api/cart"),
    "checkout": ("POST /checkout", "POST /api/checkout"),
    "health": ("GET /health",),
    "kitchen": ("GET /kitchen",),
    "login": ("POST /login",),
    "meal": ("GET /meals/{slug}", "GET /api/meals/{slug}"),
    "meals": ("GET /meals", "GET /api/meals"),
    "orders": ("GET /orders",),
    "recipes": ("GET /api/recipes",),
    "recommendations": ("GET /recommendations", "GET /api/recommendations"),
    "register": ("POST /register",),
    "search": ("GET /meals", "GET /api/meals"),
}
LEAKS = frozenset({"kitchen", "server"})
KEPT_BYTES = 64 * 1024

Answer = Callable[[Request, Exception], Response]

_log = logging.getLogger("larder")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s)")


class UnknownFault(ValueError):
    """Raised for a fault that larder does not have; ``wanted`` says what it has."""

    def __init__(self, text: str, wanted: str) -> None:
        self.text = text
        self.wanted = wanted
        super().__init__(f"{text!r} is no fault: write {wanted}")


class PlantedError(RuntimeError):
    """The error that ``error:ROUTE:SHARE`` plants; whoever reads the log knows whose it is."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault as it was written; ``delay`` is in seconds, ``share`` of the requests fail."""

    text: str
    kind: str
    where: str
    delay: float = 0.0
    share: float = 0.0


def parse(text: str) -> tuple[Fault, ...]:
    """Read a list of faults.

    Raises:
        UnknownFault: one of them is none.
    """
    return tuple(_fault(part.strip()) for part in text.split(",") if part.strip())


def _fault(text: str) -> Fault:
    kind, _, rest = text.partition(":")
    where, _, value = rest.partition(":")
    if kind == "leak":
        if rest not in LEAKS:
            raise UnknownFault(text, _choice("leak:{}", LEAKS))
        return Fault(text, kind, rest)
    if kind not in {"slow", "error", "hang"}:
        known = "leak:PLACE, slow:ROUTE:DURATION, error:ROUTE:SHARE or hang:ROUTE"
        raise UnknownFault(text, known)
    if where not in ROUTES:
        raise UnknownFault(text, f"a route after {kind}: {_choice('{}', ROUTES)}")
    if kind == "slow":
        if not (match := _DURATION.fullmatch(value)):
            raise UnknownFault(text, f"a duration, such as slow:{where}:300ms or slow:{where}:2s")
        return Fault(text, kind, where, delay=float(match[1]) / (1000 if match[2] == "ms" else 1))
    if kind == "error":
        share = float(value) if re.fullmatch(r"\d*\.?\d+", value) else 0.0
        if not 0 < share <= 1:
            raise UnknownFault(text, f"a share above 0, up to 1, such as error:{where}:0.01")
        return Fault(text, kind, where, share=share)
    if value:
        raise UnknownFault(text, f"hang:{where} with nothing after it")
    return Fault(text, kind, where)


def _choice(form: str, names: object) -> str:
    assert isinstance(names, (frozenset, dict))
    return ", ".join(form.format(name) for name in sorted(names))


class Faulty:
    """ASGI middleware that carries the faults of the server out."""

    def __init__(self, app: ASGIApp, faults: tuple[Fault, ...], seed: int, answer: Answer) -> None:
        self._app = app
        self._answer = answer
        self._planted = [
            (fault, *_matcher(route))
            for fault in faults
            if fault.kind != "leak"
            for route in ROUTES[fault.where]
        ]
        self._keeps = any(fault.text == "leak:server" for fault in faults)
        self._kept: list[bytearray] = []
        self._chance = {fault: random.Random(f"{seed}:{fault.text}") for fault in faults}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do to a request what is planted on its route, and pass it on unless it failed."""
        if scope["type"] == "http":
            if self._keeps:
                # Written to, for memory that was only asked for is not there yet.
                self._kept.append(bytearray(b"kept" * (KEPT_BYTES // 4)))
            for fault, method, path in self._planted:
                if scope["method"] == method and path.fullmatch(scope["path"]):
                    if fault.where == "search" and not Request(scope).query_params.get("q"):
                        continue
                    if fault.kind == "slow":
                        await asyncio.sleep(fault.delay)
                    elif fault.kind == "hang":
                        # Until the client has had enough: nothing is left when he is gone.
                        while (await receive())["type"] != "http.disconnect":
                            pass
                        return
                    elif self._chance[fault].random() < fault.share:
                        # Answered here. An error that is raised would cost the connection, too, and
                        # with it the next request: twice what was planted.
                        _log.error("PlantedError: %s", fault.text)
                        response = self._answer(Request(scope), PlantedError(fault.text))
                        await response(scope, receive, send)
                        return
        await self._app(scope, receive, send)


def _matcher(route: str) -> tuple[str, re.Pattern[str]]:
    method, _, template = route.partition(" ")
    path, _, _ = compile_path(template)
    return method, path
