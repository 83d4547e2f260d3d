"""``/health`` for load balancers and whoever is on call: 200 when larder can sell, else 503.

It needs no session, sets no cookie, and tells strangers nothing but which part is broken.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
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
    """Ask the database for its meals, look at disk and memory, and report."""
    shop: Shop = request.app.state.shop
    database, disk = _check(shop.database), _disk(shop)
    can_sell = database["status"] == "ok"
    status = "unavailable" if not can_sell else "ok" if disk["status"] == "ok" else "degraded"
    report = {
        "status": status,
        "version": __version__,
        "uptime_seconds": round(time.monotonic() - _STARTED, 3),
        "database": database,
        "disk": disk,
        "memory": {"resident_bytes": _resident()},
    }
    # Who still sells stays in the load balancer: a disk that fills up is for people to see.
    return JSONResponse(report, 200 if can_sell else 503, {"Cache-Control": "no-store"})


def _check(database: Database) -> dict[str, Any]:
    asked = time.perf_counter()
    try:
        with database.reading() as session:
            meals = catalogue.count_meals(session)
    except SQLAlchemyError as error:
        # The message may hold a path or a password; the class is enough to begin with.
        return {"status": "unavailable", "error": type(error).__name__}
    return {"status": "ok", "meals": meals, "latency_seconds": time.perf_counter() - asked}


def _disk(shop: Shop) -> dict[str, Any]:
    """Look at the disk of the database file, or of this machine when the database is elsewhere."""
    try:
        usage = shutil.disk_usage(shop.database.directory or Path.cwd())
    except OSError as error:
        return {"status": "unavailable", "error": type(error).__name__}
    is_low = usage.free < shop.settings.min_disk_mib * 1024 * 1024
    return {
        "status": "low" if is_low else "ok",
        "free_bytes": usage.free,
        "total_bytes": usage.total,
    }


def _resident() -> int | None:
    """Return what this process holds in memory, where Linux tells."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


routes = [Route("/health", health, methods=["GET"])]
