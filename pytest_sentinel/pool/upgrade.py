"""What a client of the lease port asks for, and the words in which it is answered. No I/O.

Law: nothing of a request reaches a browser server but what is on ``_FORWARDED``; its path never
does. A refusal is a plain HTTP answer whose body says why and what to do: Playwright shows it.
"""

from __future__ import annotations

import hmac
import http
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

import h11

from pytest_sentinel.errors import PoolRefused, RequestRefused
from pytest_sentinel.pool import callers
from pytest_sentinel.units import parse_duration

HEAD_LIMIT: Final = 64 * 1024  # pytest-playwright puts all launch options into one header
LONGEST_WAIT: Final = 3600.0
_OWNER_LIMIT = 200
_ASKABLE = ("owner", "wait", "token")
_FORWARDED = frozenset(
    {b"connection", b"upgrade", b"user-agent", b"x-playwright-browser"}
    | {b"sec-websocket-" + word for word in (b"key", b"version", b"extensions", b"protocol")}
)
STATUS_OF_REFUSAL = {
    "full": 429,
    "owner-cap": 429,
    "engine": 404,
    "memory": 503,
    "draining": 503,
    "breaker": 503,
    "timeout": 503,
    "gone": 503,
    "closed": 503,
}


@dataclass(frozen=True, slots=True)
class Ask:
    """A lease that is asked for; ``wait`` in seconds, None when the client does not say."""

    engine: str
    owner: str
    wait: float | None


class HeadReader:
    """Reads the head of one request, in whatever pieces it comes."""

    def __init__(self) -> None:
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)

    def feed(self, data: bytes) -> h11.Request | None:
        """Return the request when ``data`` completes its head, else None.

        Raises:
            RequestRefused: it is no HTTP, or longer than HEAD_LIMIT.
        """
        try:
            self._connection.receive_data(data)
            event = self._connection.next_event()
        except h11.RemoteProtocolError as error:
            if error.error_status_hint == 431:
                raise RequestRefused(431, f"the head is longer than {HEAD_LIMIT} bytes") from None
            raise RequestRefused(400, "this is no HTTP request") from None
        if event is h11.NEED_DATA:
            return None
        if not isinstance(event, h11.Request):
            raise RequestRefused(400, "this is no HTTP request")
        return event

    def rest(self) -> bytes:
        """Return what came after the head."""
        return bytes(self._connection.trailing_data[0])


def is_upgrade(request: h11.Request) -> bool:
    """Tell whether a request asks for a WebSocket."""
    words = [word.strip().lower() for word in value(request, b"upgrade").split(",")]
    return request.method == b"GET" and "websocket" in words


def asks_ready(request: h11.Request) -> bool:
    """Tell whether a request asks if it is worth to come; whatever its query says."""
    path = request.target.partition(b"?")[0]
    return request.method in (b"GET", b"HEAD") and path == b"/ready"


def value(request: h11.Request, name: bytes) -> str:
    """Return the first header of this name, or an empty text."""
    return next(iter(values(request, name)), "")


def values(request: h11.Request, name: bytes) -> list[str]:
    """Return every header of this name."""
    return [text.decode("latin-1") for found, text in request.headers if found == name]


def read_ask(
    request: h11.Request,
    engines: Iterable[str],
    token: bytes | None,
    peer: str,
    listen: str = "127.0.0.1",
) -> Ask:
    """Return what an upgrade asks for.

    ``token`` is what it must show, in a header or in its query; None lets everybody in. ``peer``
    stands for the owner where none is named; ``listen`` is the address that was asked.

    Raises:
        RequestRefused: it has no token, comes from a web page, or asks for what is not to be had.
    """
    path, _, query = request.target.decode("latin-1").partition("?")
    try:
        asked = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise RequestRefused(400, "the query is not NAME=VALUE&NAME=VALUE") from None
    told = dict(asked)
    check_token(request, told.get("token"), token)
    check_caller(request, token, listen)
    unknown = sorted({name for name, _ in asked} - set(_ASKABLE))
    if unknown:
        raise RequestRefused(
            400,
            f"{unknown[0]!a} is nothing that can be asked for",
            "A lease takes owner=NAME and wait=30s; how browsers are launched is told to"
            " `sentinel serve`.",
        )
    if len(told) < len(asked):
        raise RequestRefused(400, "the query says the same thing twice")
    return Ask(
        engine=_engine(path, value(request, b"x-playwright-browser"), tuple(engines)),
        owner=_owner(told.get("owner"), peer),
        wait=_wait(told.get("wait")),
    )


def check_token(request: h11.Request, asked: str | None, token: bytes | None) -> None:
    """Let a request pass that shows ``token``, in whichever of three ways.

    Raises:
        RequestRefused: it shows another, or none.
    """
    if token is None:
        return
    scheme, _, bearer = value(request, b"authorization").partition(" ")
    shown = bearer.strip() if scheme.lower() == "bearer" else value(request, b"x-sentinel-token")
    if is_token(shown or asked or "", token):
        return
    raise RequestRefused(
        401,
        "the token is wrong" if shown or asked else "a token is needed",
        "Send the one in the service's --token-file: as header `Authorization: Bearer TOKEN`, or"
        " as `?token=TOKEN`.",
    )


def is_token(shown: str, token: bytes) -> bool:
    """Tell whether ``shown`` is the token, in a time that says nothing of how near it came."""
    given = shown.encode("utf-8", "surrogateescape")
    return hmac.compare_digest(
        hmac.digest(b"sentinel", given, "sha256"), hmac.digest(b"sentinel", token, "sha256")
    )


def check_caller(request: h11.Request, token: bytes | None, listen: str) -> None:
    """Turn away web pages: what a browser under test shows may not reach for the browsers.

    Raises:
        RequestRefused: the request has an Origin, which no client of Playwright sends, or a Host
            that is none of this machine where there is no token.
    """
    callers.check(
        values(request, b"host"),
        values(request, b"origin"),
        listen,
        has_token=token is not None,
    )


def _engine(path: str, connecting: str, engines: tuple[str, ...]) -> str:
    served = ", ".join(f"/{name}" for name in engines)
    engine = path.removeprefix("/") or connecting
    if path[:1] != "/" or engine not in engines:
        raise RequestRefused(
            404, "there is no such engine here", f"This service has {served or 'none'}."
        )
    if connecting and connecting != engine:
        raise RequestRefused(
            400,
            f"a client for {connecting!a} cannot use /{engine}",
            f"Connect with playwright.{engine}.",
        )
    return engine


def _owner(text: str | None, peer: str) -> str:
    if not text:
        return peer
    if len(text) > _OWNER_LIMIT or not text.isprintable():
        raise RequestRefused(
            400, f"the owner is not {_OWNER_LIMIT} printable characters or less", "owner=ci-42-gw0"
        )
    return text


def _wait(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        seconds = parse_duration(text)
    except ValueError:
        seconds = LONGEST_WAIT + 1
    if seconds > LONGEST_WAIT:
        raise RequestRefused(400, "the wait is no duration of an hour or less", "wait=30s")
    return seconds


def from_pool(refused: PoolRefused) -> RequestRefused:
    """Return the HTTP form of a pool's refusal."""
    return RequestRefused(
        STATUS_OF_REFUSAL[refused.reason], refused.problem, refused.remedy, refused.retry_after
    )


def headers_for(request: h11.Request, host: str) -> dict[str, str]:
    """Return, by their names in small letters, the headers that a browser server gets.

    Of those that come twice the values are joined, as Node.js does it.
    """
    found = {"host": host}
    for name, text in _forwarded(request):
        key, words = name.lower().decode("ascii"), text.decode("latin-1")
        found[key] = f"{found[key]}, {words}" if key in found else words
    return found


def head_for(request: h11.Request, host: str, path: str) -> bytes:
    """Return the head that a browser server gets: its own path, and what it needs of the client."""
    lines = [b"GET " + path.encode("ascii") + b" HTTP/1.1", b"Host: " + host.encode("ascii")]
    lines += [name + b": " + text for name, text in _forwarded(request)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _forwarded(request: h11.Request) -> list[tuple[bytes, bytes]]:
    """Return the headers that a browser server gets, as the client spelled them."""
    items = request.headers.raw_items()
    return [(name, text) for name, text in items if name.lower() in _FORWARDED]


def refusal(refused: RequestRefused) -> bytes:
    """Return a refusal as it goes over the wire."""
    headers = []
    if refused.retry_after is not None:
        headers.append(f"Retry-After: {max(1, round(refused.retry_after))}")
    if refused.status == 401:
        headers.append("WWW-Authenticate: Bearer")
    return answer(refused.status, f"sentinel: {refused}\n", "text/plain; charset=utf-8", headers)


def without_body(whole: bytes) -> bytes:
    """Return an answer as ``HEAD`` gets it: with the length of a body, and without one."""
    return whole[: whole.index(b"\r\n\r\n") + 4]


def answer(status: int, body: str, kind: str, headers: Iterable[str] = ()) -> bytes:
    """Return a whole HTTP answer, after which the connection ends."""
    payload = body.encode()
    lines = [
        f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(payload)}",
        "Cache-Control: no-store",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + payload
