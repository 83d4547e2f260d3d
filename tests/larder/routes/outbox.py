"""``/outbox``: the letters that larder would have mailed. It exists only with LARDER_OUTBOX=1."""

from __future__ import annotations

from sqlalchemy import select
from starlette.responses import Response
from starlette.routing import Route

from tests.larder.models import Mail
from tests.larder.web import Visit, page


def show_outbox(visit: Visit) -> Response:
    """Show the latest letters, to one address if ``?to=`` names it."""
    recipient = visit.request.query_params.get("to", "").strip().lower().replace("\x00", "")
    query = select(Mail).order_by(Mail.id.desc()).limit(50)
    if recipient:
        query = query.where(Mail.recipient == recipient)
    with visit.database.reading() as session:
        mails = session.scalars(query).all()
    return visit.render("outbox.html", mails=mails, recipient=recipient)


routes = [Route("/outbox", page(show_outbox), methods=["GET"])]
