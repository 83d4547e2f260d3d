"""Registering, logging in and out, choosing a new password by mail."""

from __future__ import annotations

import math
import time

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from tests.larder import accounts
from tests.larder.accounts import InvalidField
from tests.larder.web import Visit, page, safe_path

_RESET_SENT = (
    "If this address has an account, a letter with a link is on its way. "
    "The link works once, and not for long."
)
_LINK_SPENT = "This link was used already or is too old. Ask for a new one."


def show_registration(visit: Visit) -> Response:
    """Show the form for a new account."""
    return visit.render("register.html", form={}, error=None)


def register(visit: Visit) -> Response:
    """Create an account and log its owner in."""
    try:
        user = accounts.register(visit.database, visit.shop.passwords, visit.form)
    except InvalidField as error:
        return visit.render("register.html", 422, form=visit.form, error=error)
    visit.log_in(user, notice=f"Welcome to larder, {user.name}.")
    return visit.redirect("/account")


def show_login(visit: Visit) -> Response:
    """Show the login form."""
    target = safe_path(visit.request.query_params.get("next", "/account"))
    return visit.render("login.html", address="", target=target, failed=False)


def log_in(visit: Visit) -> Response:
    """Log a customer in, or say no without saying why."""
    _slow_down(visit)
    target = safe_path(visit.form.get("next", "/account"))
    shop = visit.shop
    user = accounts.authenticate(shop.database, shop.passwords, shop.lockout, visit.form)
    if user is None:
        address = visit.form.get("address", "")
        return visit.render("login.html", 422, address=address, target=target, failed=True)
    visit.log_in(user, notice=f"Good to see you, {user.name}.")
    return visit.redirect(target)


def _slow_down(visit: Visit) -> None:
    """Refuse a client who tries more passwords than a person would."""
    client = visit.request.client
    wait = visit.shop.logins.ask(client.host if client else "", time.monotonic())
    if wait:
        seconds = max(1, math.ceil(wait))
        raise HTTPException(
            429,
            "There were too many logins from where you are. Wait a little, and try again.",
            {"Retry-After": str(seconds)},
        )


def log_out(visit: Visit) -> Response:
    """End the session."""
    visit.log_out()
    return visit.redirect("/login", notice="You are logged out.")


def show_forgotten(visit: Visit) -> Response:
    """Show the form that asks for a reset link."""
    return visit.render("forgotten.html")


def forgotten(visit: Visit) -> Response:
    """Send a reset link if the address has an account; answer alike if not."""
    settings = visit.shop.settings
    accounts.request_reset(
        visit.database,
        visit.form.get("address", ""),
        settings.public_url,
        settings.reset_lifetime,
    )
    return visit.redirect("/forgotten", notice=_RESET_SENT)


def show_reset(visit: Visit) -> Response:
    """Show the form for the new password to whoever followed a mailed link."""
    if not accounts.is_reset_open(visit.database, visit.request.path_params["token"]):
        return visit.redirect("/forgotten", notice=_LINK_SPENT)
    return visit.render("reset.html", error=None)


def reset(visit: Visit) -> Response:
    """Set the new password; every session of its owner ends."""
    token = visit.request.path_params["token"]
    try:
        done = accounts.redeem_reset(visit.database, visit.shop.passwords, token, visit.form)
    except InvalidField as error:
        return visit.render("reset.html", 422, error=error)
    if not done:
        return visit.redirect("/forgotten", notice=_LINK_SPENT)
    return visit.redirect("/login", notice="Your password is changed. Log in with the new one.")


routes = [
    Route("/register", page(show_registration), methods=["GET"]),
    Route("/register", page(register), methods=["POST"]),
    Route("/login", page(show_login), methods=["GET"]),
    Route("/login", page(log_in), methods=["POST"]),
    Route("/logout", page(log_out), methods=["POST"]),
    Route("/forgotten", page(show_forgotten), methods=["GET"]),
    Route("/forgotten", page(forgotten), methods=["POST"]),
    Route("/reset/{token}", page(show_reset), methods=["GET"]),
    Route("/reset/{token}", page(reset), methods=["POST"]),
]
