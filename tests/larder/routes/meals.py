"""The list of meals with its search, and the page of one meal."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from tests.larder import catalogue
from tests.larder.web import Visit, page


def show_meals(visit: Visit) -> Response:
    """Show the meals that fulfil the wish in the query."""
    wish = catalogue.Wish.from_query(visit.request.query_params)
    with visit.database.reading() as session:
        meals = catalogue.find_meals(session, wish)
        total = catalogue.count_meals(session)
    return visit.render("meals.html", wish=wish, meals=meals, total=total)


def show_meal(visit: Visit) -> Response:
    """Show one meal."""
    with visit.database.reading() as session:
        meal = catalogue.find_meal(session, visit.request.path_params["slug"])
    if meal is None:
        raise HTTPException(404, "There is no such meal.")
    return visit.render("meal.html", meal=meal)


def go_to_meals(visit: Visit) -> Response:
    """Send the front door to the meals."""
    return visit.redirect("/meals")


routes = [
    Route("/", page(go_to_meals), methods=["GET"]),
    Route("/meals", page(show_meals), methods=["GET"]),
    Route("/meals/{slug}", page(show_meal), methods=["GET"]),
]
