"""The kitchen: a single page that fetches the recipes as JSON and is JavaScript from there on."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.larder import catalogue
from tests.larder.models import Meal
from tests.larder.web import Visit, page


def show_kitchen(visit: Visit) -> Response:
    """Show the empty kitchen; static/kitchen.js fills it."""
    return visit.render("kitchen.html")


def list_recipes(visit: Visit) -> Response:
    """Answer with all meals and their recipes."""
    with visit.database.reading() as session:
        meals = catalogue.recipes(session)
    return JSONResponse({"meals": [recipe(meal) for meal in meals]})


def recipe(meal: Meal) -> dict[str, Any]:
    """Return a meal as the kitchen wants it."""
    return {
        "slug": meal.slug,
        "name": meal.name,
        "course": meal.course,
        "minutes": meal.minutes,
        "vegetarian": meal.vegetarian,
        "price_cents": meal.price_cents,
        "ingredients": [
            {"name": part.name, "amount": part.amount, "unit": part.unit}
            for part in meal.ingredients
        ],
        "steps": meal.steps.splitlines(),
    }


routes = [
    Route("/kitchen", page(show_kitchen), methods=["GET"]),
    Route("/api/recipes", page(list_recipes), methods=["GET"]),
]
