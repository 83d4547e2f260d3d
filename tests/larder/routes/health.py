"""``/health`` for load balancers and whoever is on call: 200 when larder can sell, else 503.

It needs no session, sets no cookie, and tells strangers nothing but which part is broken.
"""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.larder import __version__, catalogue
from tests.larder.database import Database
from tests.larder.web import Shop

_STARTED = time.monotonic()


def health(request: Request) -> Response:
    """Ask the database for its meals and report."""
    shop: Shop = request.app.state.shop
    database = _check(shop.database)
    is_healthy = database["status"] == "ok"
    report = {
        "status": "ok" if is_healthy else "unavailable",
        "version": __version__,
        "uptime_seconds": round(time.monotonic() - _STARTED, 3),
        "database": database,
    }
    return JSONResponse(report, 200 if is_healthy else 503, {"Cache-Control": "no-store"})


def _check(database: Database) -> dict[str, Any]:
    asked = time.perf_counter()
    try:
        with database.reading() as session:
            meals = catalogue.count_meals(session)
    except SQLAlchemyError as error:
        # The message may hold a path or a password; the class is enough to begin with.
        return {"status": "unavailable", "error": type(error).__name__}
    return {"status": "ok", "meals": meals, "latency_seconds": time.perf_counter() - asked}


routes = [Route("/health", health, methods=["GET"])]
