"""The list of meals with its search, the page of one meal with its picture, and liking it."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.larder import catalogue, menu
from tests.larder.models import Image, Meal
from tests.larder.web import Shop, Visit, page


def show_meals(visit: Visit) -> Response:
    """Show a page of the meals that fulfil the wish in the query."""
    wish = catalogue.Wish.from_query(visit.request.query_params)
    with visit.database.reading() as session:
        found = catalogue.find_meals(session, wish)
        total = catalogue.count_meals(session)
    return visit.render("meals.html", wish=wish, found=found, total=total)


def show_meal(visit: Visit) -> Response:
    """Show one meal."""
    meal = the_meal(visit)
    liked = False
    if visit.user is not None:
        with visit.database.reading() as session:
            liked = catalogue.is_liked(session, visit.user.id, meal.id)
    return visit.render("meal.html", meal=meal, liked=liked)


def like(visit: Visit) -> Response:
    """Take note that a customer likes a meal, or that he does not any longer."""
    meal = the_meal(visit)
    menu.set_like(visit.database, visit.customer().id, meal.id, visit.form.get("likes") == "1")
    return visit.redirect(f"/meals/{meal.slug}")


def show_image(request: Request) -> Response:
    """Answer with a picture. Its URL is the digest of its bytes, so it may be kept for ever."""
    shop: Shop = request.app.state.shop
    digest = request.path_params["digest"]
    with shop.database.reading() as session:
        image = session.get(Image, digest) if digest.isalnum() else None
    if image is None:
        raise HTTPException(404, "There is no such picture.")
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(image.data, media_type=image.media_type, headers=headers)


def go_to_meals(visit: Visit) -> Response:
    """Send the front door to the meals."""
    return visit.redirect("/meals")


def the_meal(visit: Visit) -> Meal:
    """Return the meal that the URL names; answer 404 if there is none."""
    with visit.database.reading() as session:
        meal = catalogue.find_meal(session, visit.request.path_params["slug"])
    if meal is None:
        raise HTTPException(404, "There is no such meal.")
    return meal


routes = [
    Route("/", page(go_to_meals), methods=["GET"]),
    Route("/meals", page(show_meals), methods=["GET"]),
    Route("/meals/{slug}", page(show_meal), methods=["GET"]),
    Route("/meals/{slug}/like", page(like), methods=["POST"]),
    Route("/images/{digest}", show_image, methods=["GET"]),
]
