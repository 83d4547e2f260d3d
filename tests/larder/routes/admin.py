"""What the people who run the shop see: customers and their locks, the latest orders, the stock."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from tests.larder import backoffice
from tests.larder.web import Visit, page


def show_admin(visit: Visit) -> Response:
    """Show the latest customers, orders and what runs out; ``?q=`` finds customers."""
    visit.admin()
    wanted = visit.request.query_params.get("q", "")
    with visit.database.reading() as session:
        users = backoffice.find_users(session, wanted)
        orders = backoffice.latest_orders(session)
        meals = backoffice.scarcest_meals(session)
    return visit.render("admin.html", wanted=wanted, users=users, orders=orders, meals=meals)


def unlock(visit: Visit) -> Response:
    """Open a locked account before its time."""
    visit.admin()
    name = backoffice.unlock(visit.database, visit.request.path_params["user"])
    if name is None:
        raise HTTPException(404, "There is no such customer.")
    return visit.redirect("/admin", notice=f"The account of {name} is open again.")


routes = [
    Route("/admin", page(show_admin), methods=["GET"]),
    Route("/admin/users/{user:id}/unlock", page(unlock), methods=["POST"]),
]
