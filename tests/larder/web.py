"""What the routes share: the Visit (a request, its form and its session) and how it is answered.

Law: a view is a plain function of a Visit and runs in a thread. A form without the CSRF token of
its session never reaches a view.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial, update_wrapper
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from tests.larder import identifiers, sessions
from tests.larder.catalogue import COURSES, SORTS, TIMES
from tests.larder.database import Database
from tests.larder.lockout import Lockout
from tests.larder.models import User
from tests.larder.notation import write_ingredient
from tests.larder.payment import Payments
from tests.larder.ratelimit import RateLimit
from tests.larder.security import Passwords, csrf_token, is_csrf_token
from tests.larder.settings import Settings

COOKIE = "larder_session"
STATIC = Path(__file__).with_name("static")

identifiers.register()


@dataclass(frozen=True, slots=True)
class Shop:
    """What lives as long as the server."""

    settings: Settings
    database: Database
    passwords: Passwords
    lockout: Lockout
    logins: RateLimit
    payments: Payments
    templates: Environment


def open_templates() -> Environment:
    """Return the templates with larder's filters; an unknown name in one is an error."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["money"] = lambda cents: f"€{cents / 100:.2f}"
    environment.filters["ingredient"] = write_ingredient
    environment.globals.update(courses=COURSES, times=TIMES, sorts=SORTS)
    return environment


class NotLoggedIn(HTTPException):
    """Raised when a page wants to know whose it is."""


class Visit:
    """One request, with the session of whoever sent it."""

    def __init__(self, request: Request, form: dict[str, str], upload: bytes = b"") -> None:
        self.request = request
        self.form = form
        self.upload = upload
        self.shop: Shop = request.app.state.shop
        self.database = self.shop.database
        self.user: User | None = None
        self._notice: str | None = None
        self._sent_token = request.cookies.get(COOKIE)
        self._token: str | None = None
        if self._sent_token:
            idle = self.shop.settings.session_idle
            with self.database.reading() as session:
                found = sessions.find_session(session, self._sent_token, idle)
            if found is not None:
                if sessions.is_stale(found, idle):
                    with self.database.writing() as session:
                        sessions.note_use(session, self._sent_token)
                self._token = self._sent_token
                self.user = found.user
                self._notice = found.notice

    def check_form(self) -> None:
        """Refuse a form that did not come from a page of this very session."""
        candidate = self.form.get("csrf") or self.request.headers.get("x-csrf-token", "")
        if self._token is None or not is_csrf_token(candidate, self._token):
            raise HTTPException(403, "This form has expired. Go back, reload the page, try again.")

    def customer(self) -> User:
        """Return who is logged in; a stranger is asked to log in instead of getting an answer."""
        if self.user is None:
            raise NotLoggedIn(401, "Log in first.")
        return self.user

    def admin(self) -> User:
        """Return the admin who is logged in; customers are refused."""
        if self.customer().role != "admin":
            raise HTTPException(403, "This is for the people who run the shop.")
        return self.customer()

    def csrf(self) -> str:
        """Return the token that a form of this session must bring back."""
        # A session is stored when a form is first shown, not for everyone who looks at a meal.
        if self._token is None:
            with self.database.writing() as session:
                self._token = self._open_anonymous(session, None)
        return csrf_token(self._token)

    def log_in(self, user: User, notice: str) -> None:
        """Begin a session of ``user`` under a new token; the one before dies."""
        with self.database.writing() as session:
            if self._token is not None:
                sessions.close_session(session, self._token)
            self._token = sessions.open_session(
                session, self.shop.settings.session_lifetime, user_id=user.id, notice=notice
            )
        self.user = user

    def log_out(self) -> None:
        """End the session; its cookie is worth nothing from now on, wherever it was copied to."""
        if self._token is not None:
            with self.database.writing() as session:
                sessions.close_session(session, self._token)
        self._token = None
        self.user = None

    def render(self, template: str, status: int = 200, **context: Any) -> Response:
        """Answer with a page."""
        html = self.shop.templates.get_template(template).render(
            user=self.user,
            path=self.request.url.path,
            notice=self._take_notice,
            csrf=self.csrf,
            # To the scripts of pages. Those of the server are nobody's business.
            faults=" ".join(f.text for f in self.shop.settings.faults if f.text == "leak:kitchen"),
            **context,
        )
        return HTMLResponse(html, status)

    def redirect(self, path: str, notice: str | None = None) -> Response:
        """Answer with "see ``path``", where ``notice`` will be shown once."""
        if notice is not None:
            with self.database.writing() as session:
                if self._token is None:
                    self._token = self._open_anonymous(session, notice)
                else:
                    sessions.set_notice(session, self._token, notice)
        return RedirectResponse(path, 303)

    def ask_to_log_in(self) -> Response:
        """Send a stranger to the login page, and from there back to where he wanted to go."""
        return self.redirect(f"/login?next={quote(self.request.url.path)}")

    def finish(self, response: Response) -> Response:
        """Give the browser the cookie that it is to keep, if that changed."""
        # Pages show who is logged in. None may come back from a cache after the logout.
        response.headers["Cache-Control"] = "no-store"
        if self._token == self._sent_token:
            return response
        secure = self.shop.settings.is_https
        if self._token is None:
            response.delete_cookie(COOKIE, httponly=True, samesite="lax", secure=secure)
        else:
            response.set_cookie(
                COOKIE,
                self._token,
                max_age=max(1, int(self.shop.settings.session_lifetime)),
                httponly=True,
                samesite="lax",
                secure=secure,
            )
        return response

    def _open_anonymous(self, session: Any, notice: str | None) -> str:
        return sessions.open_session(session, self.shop.settings.session_lifetime, notice=notice)

    def _take_notice(self) -> str | None:
        notice, self._notice = self._notice, None
        if notice is not None and self._token is not None:
            with self.database.writing() as session:
                sessions.set_notice(session, self._token, None)
        return notice


View = Callable[[Visit], Response]


def page(view: View, *, files: int = 0) -> Callable[[Request], Awaitable[Response]]:
    """Make an endpoint of ``view``: read the form, find the session, check, answer.

    Of up to ``files`` files in the form the last is the visit's ``upload``.
    """

    async def endpoint(request: Request) -> Response:
        form: dict[str, str] = {}
        upload = b""
        if request.method == "POST":
            async with request.form(max_files=files, max_fields=20) as fields:
                for name, value in fields.items():
                    if isinstance(value, str):
                        form[name] = value
                    else:
                        upload = await value.read()
        return await run_in_threadpool(answer, view, request, form, upload)

    # By its name and its docstring the view is found in /openapi.json.
    return update_wrapper(endpoint, view)


def is_for_programs(request: Request) -> bool:
    """Tell whether whoever asks wants JSON, in good days and in bad ones."""
    return request.url.path.startswith("/api/")


def show_error(status: int, headline: str, request: Request, error: Exception) -> Response:
    """Answer with a plain page, or plain JSON, that needs neither session nor database."""
    shop: Shop = request.app.state.shop
    detail = error.detail if isinstance(error, HTTPException) else ""
    headers: Mapping[str, str] = getattr(error, "headers", None) or {}
    headers = {**headers, "Cache-Control": "no-store"}
    if is_for_programs(request):
        return JSONResponse({"error": detail or headline}, status, headers)
    html = shop.templates.get_template("error.html").render(
        user=None,
        path=request.url.path,
        notice=lambda: None,
        faults="",
        headline=headline,
        detail=detail,
    )
    return HTMLResponse(html, status, headers)


def error_page(status: int, headline: str) -> Callable[[Request, Exception], Response]:
    """Return the handler that answers an error with ``status`` and ``headline``."""
    return partial(show_error, status, headline)


def safe_path(path: str) -> str:
    """Return ``path`` if it leads to a page of this shop, else the front page."""
    is_local = path.startswith("/") and not path.startswith("//")
    return path if is_local and path.isprintable() and "\\" not in path else "/"


def answer(view: View, request: Request, form: dict[str, str], upload: bytes = b"") -> Response:
    """Have ``view`` answer a request whose body was read."""
    visit = Visit(request, form, upload)
    if request.method == "POST":
        visit.check_form()
    try:
        response = view(visit)
    except NotLoggedIn:
        if is_for_programs(request):
            raise
        response = visit.ask_to_log_in()
    return visit.finish(response)
