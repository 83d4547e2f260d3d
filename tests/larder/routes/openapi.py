"""``/openapi.json``: every route with what it takes and how it may answer, for programs to read.

Names, paths and summaries come from the routes themselves. What a form holds and which statuses a
route answers with is written down here, and held to what happens by the tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.larder import __version__


@dataclass(frozen=True, slots=True)
class Said:
    """What the routes do not say of themselves.

    Attributes:
        statuses: how it answers; the first is that of a good day.
        query, form, body: names of parameters, of fields of a form, of members of a JSON object.
        file: the field of a file, for a form that has one.
    """

    statuses: tuple[int, ...]
    query: tuple[str, ...] = ()
    form: tuple[str, ...] = ()
    body: tuple[str, ...] = ()
    file: str | None = None


_WISH = ("q", "course", "vegetarian", "minutes", "sort", "page")
_MEAL = ("name", "course", "summary", "price", "minutes", "vegetarian", "ingredients", "steps")

# 303 is a page that sends on: after something was done, or a stranger to the login.
OPERATIONS = {
    "GET /": Said((303,)),
    "GET /account": Said((200, 303)),
    "POST /account/name": Said((303, 422), form=("name",)),
    "POST /account/password": Said((303, 422), form=("old", "password")),
    "GET /admin": Said((200, 303, 403), query=("q",)),
    "POST /admin/users/{user}/unlock": Said((303, 404)),
    "GET /api/cart": Said((200, 401)),
    "POST /api/cart": Said((200, 401, 422), body=("meal", "quantity")),
    "POST /api/checkout": Said((201, 401, 409, 422, 504), body=("card", "total")),
    "GET /api/meals": Said((200,), query=_WISH),
    "GET /api/meals/{slug}": Said((200, 404)),
    "GET /api/recipes": Said((200,)),
    "GET /api/recommendations": Said((200,)),
    "GET /api/session": Said((200,)),
    "GET /cart": Said((200, 303)),
    "POST /cart": Said((303, 422), form=("meal", "quantity")),
    "POST /cart/{slug}": Said((303, 422), form=("quantity",)),
    "GET /checkout": Said((200, 303)),
    "POST /checkout": Said((303, 409, 422, 504), form=("card", "total")),
    "GET /forgotten": Said((200,)),
    "POST /forgotten": Said((303,), form=("address",)),
    "GET /health": Said((200, 503)),
    "GET /images/{digest}": Said((200, 404)),
    "GET /kitchen": Said((200,)),
    "GET /login": Said((200,), query=("next",)),
    "POST /login": Said((303, 422, 429), form=("address", "password", "next")),
    "POST /logout": Said((303,)),
    "GET /meals": Said((200,), query=_WISH),
    "GET /meals/new": Said((200, 303, 403)),
    "POST /meals/new": Said((303, 422), form=(*_MEAL, "stock"), file="image"),
    "GET /meals/{slug}": Said((200, 404)),
    "GET /meals/{slug}/change": Said((200, 303, 403, 404)),
    "POST /meals/{slug}/change": Said(
        (303, 404, 422), form=(*_MEAL, "stock", "stock_seen", "drop_image"), file="image"
    ),
    "POST /meals/{slug}/like": Said((303, 404), form=("likes",)),
    "GET /meals/{slug}/remove": Said((200, 303, 403, 404)),
    "POST /meals/{slug}/remove": Said((303, 404)),
    "GET /openapi.json": Said((200,)),
    "GET /orders": Said((200, 303)),
    "GET /orders/{number}": Said((200, 303, 404)),
    "GET /outbox": Said((200,), query=("to",)),
    "GET /recommendations": Said((200,)),
    "GET /register": Said((200,)),
    "POST /register": Said((303, 422), form=("name", "address", "password")),
    "GET /reset/{token}": Said((200, 303)),
    "POST /reset/{token}": Said((303, 422), form=("password",)),
}
# Malformed, without the token of its session, and too large.
_ANY_POST = (400, 403, 413)

_TEXT = {"type": "string"}
_WHOLE = {"type": "integer", "minimum": 0}
_PARAMETER = re.compile(r"\{(\w+)(?::(\w+))?\}")


def operations(routes: Iterable[BaseRoute]) -> dict[str, Route]:
    """Return the routes by ``METHOD /path``, as the document calls them."""
    return {
        f"{method} {_PARAMETER.sub(_plain, route.path)}": route
        for route in routes
        if isinstance(route, Route)
        for method in sorted(route.methods or ())
        if method != "HEAD"
    }


def _plain(match: re.Match[str]) -> str:
    return f"{{{match[1]}}}"


def document(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """Return the OpenAPI document of ``routes``."""
    paths: dict[str, dict[str, Any]] = {}
    for name, route in operations(routes).items():
        method, _, path = name.partition(" ")
        paths.setdefault(path, {})[method.lower()] = _operation(name, route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "larder", "version": __version__},
        "paths": paths,
        "components": {
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "larder_session"},
                "csrf": {"type": "apiKey", "in": "header", "name": "X-CSRF-Token"},
            }
        },
    }


def _operation(name: str, route: Route) -> dict[str, Any]:
    said, view = OPERATIONS[name], route.endpoint
    is_post = name.startswith("POST")
    summary, _, more = (view.__doc__ or "").partition("\n")
    parameters = [
        {
            "name": match[1],
            "in": "path",
            "required": True,
            "schema": _WHOLE if match[2] == "id" else _TEXT,
        }
        for match in _PARAMETER.finditer(route.path)
    ]
    parameters += [{"name": each, "in": "query", "schema": _TEXT} for each in said.query]
    statuses = (*said.statuses, *(_ANY_POST if is_post else ()), 503)
    found: dict[str, Any] = {
        "operationId": f"{view.__module__.rpartition('.')[2]}.{view.__name__}",
        "summary": summary,
        "parameters": parameters,
        "responses": {str(status): {"description": _MEANINGS[status]} for status in statuses},
    }
    if more.strip():
        found["description"] = " ".join(more.split())
    if is_post:
        found["security"] = [{"session": [], "csrf": []}]
        if content := _content(said):
            found["requestBody"] = {"required": True, "content": content}
    return found


def _content(said: Said) -> dict[str, Any]:
    if said.body:
        properties: dict[str, Any] = {each: {"type": ["string", "integer"]} for each in said.body}
        return {"application/json": {"schema": {"type": "object", "properties": properties}}}
    properties = dict.fromkeys(said.form, _TEXT)
    if said.file:
        properties[said.file] = {"type": "string", "format": "binary"}
    kind = "multipart/form-data" if said.file else "application/x-www-form-urlencoded"
    schema = {"type": "object", "properties": properties}
    return {kind: {"schema": schema}} if properties else {}


_MEANINGS = {
    200: "As asked for.",
    201: "Bought.",
    303: "Go there: done, or a stranger who has to log in first.",
    400: "It cannot be read.",
    401: "A stranger; log in first.",
    403: "Not from a form of this session, or not for customers.",
    404: "There is none.",
    409: "It cannot be bought as it is.",
    413: "Too large.",
    422: "A field cannot be taken; the answer says which.",
    429: "Too many tries; Retry-After says when.",
    503: "The database is gone.",
    504: "The payment service does not answer; nothing was charged.",
}


def show_document(request: Request) -> Response:
    """Describe every route."""
    return JSONResponse(document(request.app.routes))


routes = [Route("/openapi.json", show_document, methods=["GET"])]
