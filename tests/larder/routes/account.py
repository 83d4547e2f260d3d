"""The page of one's own account: who I am, another name, another password."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from tests.larder import accounts
from tests.larder.accounts import InvalidField
from tests.larder.web import Visit, page


def show_account(visit: Visit) -> Response:
    """Show a customer what larder knows of him."""
    visit.customer()
    return visit.render("account.html", form={}, error=None)


def rename(visit: Visit) -> Response:
    """Change the customer's name."""
    try:
        accounts.rename(visit.database, visit.customer(), visit.form)
    except InvalidField as error:
        return visit.render("account.html", 422, form=visit.form, error=error)
    return visit.redirect("/account", notice="Your name is changed.")


def change_password(visit: Visit) -> Response:
    """Change the customer's password; he stays logged in here, and nowhere else."""
    user, shop = visit.customer(), visit.shop
    try:
        accounts.change_password(shop.database, shop.passwords, shop.lockout, user, visit.form)
    except InvalidField as error:
        return visit.render("account.html", 422, form={}, error=error)
    visit.log_in(user, notice="Your password is changed. All other devices are logged out.")
    return visit.redirect("/account")


routes = [
    Route("/account", page(show_account), methods=["GET"]),
    Route("/account/name", page(rename), methods=["POST"]),
    Route("/account/password", page(change_password), methods=["POST"]),
]
