"""What a scanner does to the shop: the document lists every route, and no request breaks one.

Each route is sent requests made up from its own description: what it asks for, what it does not,
and what has broken other shops. The ordinary run sends some 700; ``LARDER_SCAN=10000`` that many.
"""

from __future__ import annotations

import json
import os
import pkgutil
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.databases import Databases
from tests.larder import accounts, cart, routes, sessions
from tests.larder.database import Database
from tests.larder.models import User
from tests.larder.payment import ACCEPTED_CARD, DECLINED_CARD, SILENT_CARD
from tests.larder.process import ADMIN_ADDRESS, running_larder
from tests.larder.routes.openapi import OPERATIONS
from tests.larder.security import Passwords, csrf_token
from tests.larder.web import COOKIE

SCAN = int(os.environ.get("LARDER_SCAN") or 0)
HOW = settings(
    max_examples=-(-SCAN // len(OPERATIONS)) or 15,
    derandomize=not SCAN,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

# What is taken, so that requests get beyond the first check. A total fits by being left out.
FITTING = {
    "address": "ada@example.test",
    "card": ACCEPTED_CARD,
    "course": "main",
    "ingredients": "100 g flour",
    "meal": "beef-stew",
    "minutes": "15",
    "name": "Ada Byron",
    "old": "a-good-password",
    "password": "a-good-password",
    "price": "12.50",
    "quantity": "1",
    "slug": "fish-pie",
    "steps": "Cook it.",
    "stock": "5",
    "stock_seen": "5",
    "summary": "Made for a scanner.",
    "user": "1",
}
EXPECTED = (*sorted(set(FITTING.values())), DECLINED_CARD, SILENT_CARD, "2", "/meals", "soup")
NASTY = (
    *(
        "",
        " ",
        "\x00",
        "a\x00b",
        "'",
        "'; DROP TABLE users; --",
        "%",
        "%00",
        "_",
        "\\",
        "../../etc",
    ),
    *(
        "-1",
        "0",
        "0.1",
        "1e309",
        "NaN",
        "٣",
        "9" * 25,
        "9" * 5000,
        "a" * 5000,
        "<b>",
        "{{ 7 * 7 }}",
    ),
    *("\r\nSet-Cookie: a=b", "\u202e", "\ufffe", "💥", "https://evil.test", "//evil.test"),
)
TEXTS = st.sampled_from(EXPECTED) | st.sampled_from(NASTY) | st.text(max_size=20)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda each: st.lists(each, max_size=3) | st.dictionaries(TEXTS, each, max_size=3),
    max_leaves=6,
)
TYPES = (
    *("", "text/plain", "application/json", "application/x-www-form-urlencoded"),
    *("multipart/form-data", "multipart/form-data; boundary=x", "application/json; charset=utf-7"),
)


@dataclass
class Sent:
    """A request as it goes out, but for its session."""

    url: str
    who: str
    has_token: bool
    body: dict[str, Any] = field(default_factory=dict)
    is_one_of_its_own: bool = True


@st.composite
def requests_to(draw: st.DrawFn, name: str) -> Sent:
    """Make a request to a route up, from what the document says of it and from what it does not."""
    method, _, path = name.partition(" ")
    said = OPERATIONS[name]
    own = True
    while "{" in path:
        before, _, rest = path.partition("{")
        text = draw(_value(rest.partition("}")[0]).filter(bool))
        own = own and text.isalnum() and text.isascii()
        path = before + quote(text, safe="") + rest.partition("}")[2]
    # One that nobody asked for, too: links come with such.
    if query := draw(_some((*said.query, "utm_source"))):
        path += "?" + urlencode(query)
    who = draw(st.sampled_from(["customer", "admin", "customer", "stranger"]))
    sent = Sent(path, who, draw(st.sampled_from([True, True, True, False])))
    sent.is_one_of_its_own = own
    if method == "POST":
        sent.body = draw(_body(said.form, said.body, said.file))
    return sent


def _value(name: str) -> st.SearchStrategy[str]:
    return st.just(FITTING[name]) | TEXTS if name in FITTING else TEXTS


@st.composite
def _some(draw: st.DrawFn, names: tuple[str, ...]) -> dict[str, Any]:
    kept = [name for name in names if draw(st.integers(0, 5 if name in FITTING else 1))]
    return {name: draw(_value(name)) for name in kept}


@st.composite
def _body(
    draw: st.DrawFn, form: tuple[str, ...], members: tuple[str, ...], file: str | None
) -> dict[str, Any]:
    kind = draw(st.integers(0, 9))
    if kind == 0:
        headers = {"Content-Type": draw(st.sampled_from(TYPES))}
        return {"content": draw(st.binary(max_size=60)), "headers": headers}
    if members:
        odd = st.fixed_dictionaries(dict.fromkeys(members, TEXTS | st.integers()))
        value = draw(ANY_JSON if kind == 1 else odd if kind == 2 else _some(members))
        return {"content": json.dumps(value), "headers": {"Content-Type": "application/json"}}
    fields = draw(_some(form))
    if file is None:
        return {"data": fields}
    picture = draw(st.binary(max_size=60) | st.sampled_from([b"", b"GIF89a", b"\x89PNG\r\n\x1a\n"]))
    return {"data": fields, "files": {file: (draw(TEXTS), picture, "image/png")}}


class Scanner:
    """Sends requests to a shop, with a new session each."""

    def __init__(self, client: httpx.Client, database: Database, log: Path) -> None:
        self._client = client
        self._log = log
        self._database = database
        self._passwords = Passwords(1, 64)
        self.document = client.get("/openapi.json").json()
        form = {"name": "Ada", "address": "scanned@example.test", "password": "a-good-password"}
        self._users: dict[str, User] = {
            "customer": accounts.register(database, self._passwords, form),
        }
        with database.reading() as session:
            admins = session.query(User).filter_by(address=ADMIN_ADDRESS)
            self._users["admin"] = admins.one()

    def check(self, name: str, sent: Sent) -> None:
        """Send one request; the answer must be one that the document knows."""
        method, _, path = name.partition(" ")
        headers = dict(sent.body.get("headers", {}))
        body = {key: value for key, value in sent.body.items() if key != "headers"}
        user = self._users.get(sent.who)
        with self._database.writing() as session:
            token = sessions.open_session(session, 60.0, user_id=user.id if user else None)
        if user is not None and "checkout" in path:
            with suppress(accounts.InvalidField):
                cart.put_into_cart(self._database, user.id, "fish-pie", "1")
        headers["Cookie"] = f"{COOKIE}={token}"
        if sent.has_token:
            headers["X-CSRF-Token"] = csrf_token(token)
        self._client.cookies.clear()
        answer = self._client.request(
            method, sent.url, headers=headers, follow_redirects=False, **body
        )
        known = self.document["paths"][path][method.lower()]["responses"]
        assert answer.status_code != 500, f"{sent}\n{self._log.read_text()[-3000:]}"
        if sent.is_one_of_its_own:
            assert str(answer.status_code) in known, f"{sent} {answer.status_code}"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.fixture(scope="module")
def scanner(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Scanner]:
    """A scanner with a larder to itself."""
    directory = tmp_path_factory.mktemp("scanned")
    environment = {
        "LARDER_DATABASE_URL": databases.new(directory).url,
        "LARDER_LOCKOUT_FAILURES": "1000000",
        "LARDER_PAYMENT_TIMEOUT": "0.001",
    }
    # A connection that is kept would be a new one, in some test, whenever the server ends it.
    limits = httpx.Limits(max_keepalive_connections=0)
    with (
        running_larder(directory, environment) as larder,
        httpx.Client(base_url=larder.url, limits=limits) as client,
        closing(Database(larder.database_url)) as database,
    ):
        yield Scanner(client, database, larder.log)


def test_every_route_is_in_the_document(scanner: Scanner) -> None:
    """Each module's routes are there with a summary, and nothing that is no route."""
    served = set()
    for module in pkgutil.iter_modules(routes.__path__):
        for route in import_module(f"{routes.__name__}.{module.name}").routes:
            path = route.path.replace(":id", "")
            served |= {f"{method} {path}" for method in route.methods if method != "HEAD"}
    told = {
        f"{method.upper()} {path}": operation
        for path, methods in scanner.document["paths"].items()
        for method, operation in methods.items()
    }

    assert set(told) == served == set(OPERATIONS)
    assert all(operation["summary"].endswith(".") for operation in told.values())
    names = [operation["operationId"] for operation in told.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_no_request_breaks_a_route(name: str, scanner: Scanner) -> None:
    """Whatever is sent, the answer is one of those that the document names."""

    @HOW
    @given(requests_to(name))
    def each(sent: Sent) -> None:
        scanner.check(name, sent)

    each()
