"""The pages on which admins add, change and remove meals."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from tests.larder import menu
from tests.larder.accounts import InvalidField
from tests.larder.images import LARGEST_IMAGE
from tests.larder.models import Meal
from tests.larder.notation import write_ingredient
from tests.larder.routes.meals import the_meal
from tests.larder.web import Visit, page

# Room for a picture as cameras make them, so that its owner is told in the form what is wrong.
_LARGEST_MEAL = 10 * LARGEST_IMAGE


def show_new(visit: Visit) -> Response:
    """Show the empty form of a meal."""
    visit.admin()
    return visit.render("meal_form.html", meal=None, form={}, error=None)


def add(visit: Visit) -> Response:
    """Add a meal."""
    visit.admin()
    try:
        meal = menu.add_meal(visit.database, visit.form, visit.upload)
    except InvalidField as error:
        return visit.render("meal_form.html", 422, meal=None, form=visit.form, error=error)
    return visit.redirect(f"/meals/{meal.slug}", notice=f"{meal.name} is on the menu.")


def show_change(visit: Visit) -> Response:
    """Show the form with what a meal is now."""
    visit.admin()
    meal = the_meal(visit)
    return visit.render("meal_form.html", meal=meal, form=_form_of(meal), error=None)


def change(visit: Visit) -> Response:
    """Change a meal."""
    visit.admin()
    slug = visit.request.path_params["slug"]
    try:
        meal = menu.change_meal(visit.database, slug, visit.form, visit.upload)
    except InvalidField as error:
        meal = the_meal(visit)
        return visit.render("meal_form.html", 422, meal=meal, form=visit.form, error=error)
    if meal is None:
        raise HTTPException(404, "There is no such meal.")
    return visit.redirect(f"/meals/{meal.slug}", notice=f"{meal.name} is changed.")


def show_removal(visit: Visit) -> Response:
    """Ask whether a meal shall really go."""
    visit.admin()
    return visit.render("meal_removal.html", meal=the_meal(visit))


def remove(visit: Visit) -> Response:
    """Take a meal from the menu."""
    visit.admin()
    meal = the_meal(visit)
    menu.remove_meal(visit.database, meal.slug)
    return visit.redirect("/meals", notice=f"{meal.name} is off the menu.")


def _form_of(meal: Meal) -> dict[str, str]:
    return {
        "name": meal.name,
        "course": meal.course,
        "summary": meal.summary,
        "price": f"{meal.price_cents / 100:.2f}",
        "minutes": str(meal.minutes),
        "vegetarian": "1" if meal.vegetarian else "",
        "stock": str(meal.stock),
        "stock_seen": str(meal.stock),
        "ingredients": "\n".join(write_ingredient(part) for part in meal.ingredients),
        "steps": meal.steps,
    }


# Before those of meals.py: "new" would be a meal there.
routes = [
    Route("/meals/new", page(show_new), methods=["GET"]),
    Route("/meals/new", page(add, files=1), methods=["POST"], max_body_size=_LARGEST_MEAL),
    Route("/meals/{slug}/change", page(show_change), methods=["GET"]),
    Route(
        "/meals/{slug}/change",
        page(change, files=1),
        methods=["POST"],
        max_body_size=_LARGEST_MEAL,
    ),
    Route("/meals/{slug}/remove", page(show_removal), methods=["GET"]),
    Route("/meals/{slug}/remove", page(remove), methods=["POST"]),
]
