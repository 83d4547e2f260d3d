"""Put a larder together: settings in, an ASGI application out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import InterfaceError, OperationalError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from tests.larder import accounts
from tests.larder.database import Database
from tests.larder.faults import Faulty
from tests.larder.lockout import Lockout
from tests.larder.payment import FakePayments
from tests.larder.ratelimit import RateLimit
from tests.larder.routes import (
    account,
    admin,
    api,
    auth,
    health,
    kitchen,
    meals,
    menu,
    openapi,
    outbox,
    recommendations,
    shopping,
)
from tests.larder.security import Passwords, SecurityHeaders
from tests.larder.settings import InvalidSetting, Settings
from tests.larder.web import STATIC, Shop, error_page, open_templates

_WRONG = error_page(500, "Something went wrong on our side")
_CLOSED = error_page(503, "The larder is closed for a moment")
_LARGEST_FORM = 64 * 1024


def create_app(settings: Settings) -> ASGIApp:
    """Return the shop. It connects to its database when the server starts, not before."""
    shop = Shop(
        settings=settings,
        database=Database(settings.database_url),
        passwords=Passwords(settings.argon2_time_cost, settings.argon2_memory_kib),
        lockout=Lockout(
            settings.lockout_failures,
            settings.lockout_seconds,
            f"{settings.public_url}/forgotten",
        ),
        logins=RateLimit(settings.login_rate),
        payments=FakePayments(settings.payment_timeout),
        templates=open_templates(),
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await run_in_threadpool(_prepare, shop)
        try:
            yield
        finally:
            shop.database.close()

    routes: list[BaseRoute] = [
        *auth.routes,
        *account.routes,
        *admin.routes,
        *menu.routes,
        *meals.routes,
        *shopping.routes,
        *recommendations.routes,
        *kitchen.routes,
        *api.routes,
        *health.routes,
        *openapi.routes,
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    if settings.outbox:
        routes += outbox.routes
    app = Starlette(
        routes=routes,
        exception_handlers={
            400: error_page(400, "That cannot be understood"),
            401: error_page(401, "Who are you?"),
            403: error_page(403, "Not like this"),
            404: error_page(404, "There is nothing here"),
            405: error_page(405, "Not like this"),
            413: error_page(413, "That is too much at once"),
            422: error_page(422, "That cannot be taken"),
            429: error_page(429, "Too many tries"),
            500: _WRONG,
            OperationalError: _CLOSED,
            InterfaceError: _CLOSED,
        },
        middleware=[Middleware(Faulty, settings.faults, settings.fault_seed, _WRONG)]
        if settings.faults
        else [],
        lifespan=lifespan,
        max_body_size=_LARGEST_FORM,
    )
    app.state.shop = shop
    # Outermost, so that the page of an unexpected error carries the headers too.
    return SecurityHeaders(app, https=settings.is_https)


def _prepare(shop: Shop) -> None:
    settings = shop.settings
    shop.database.prepare(settings.stock)
    if settings.admin_address and settings.admin_password:
        form = {"address": settings.admin_address, "password": settings.admin_password}
        try:
            accounts.make_admin(shop.database, shop.passwords, form)
        except accounts.InvalidField as error:
            variable = f"LARDER_ADMIN_{error.field.upper()}"
            raise InvalidSetting(variable, "...", str(error)) from None
