"""The page of what larder recommends, each meal with its reason."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from tests.larder.suggestions import suggest
from tests.larder.web import Visit, page


def show_recommendations(visit: Visit) -> Response:
    """Show what to try next; strangers see what sells best."""
    with visit.database.reading() as session:
        suggestions = suggest(session, visit.user.id if visit.user else None)
    return visit.render("recommendations.html", suggestions=suggestions)


routes = [Route("/recommendations", page(show_recommendations), methods=["GET"])]
