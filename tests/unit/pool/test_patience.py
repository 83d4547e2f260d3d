"""Who is away for a moment, and how long is waited."""

from __future__ import annotations

from itertools import islice

import pytest

from pytest_sentinel.pool.patience import Patience, gist, is_away, pauses, shown

CALL_LOG = "\nCall log:\n  - <ws connecting> ws://a/chromium\n"


@pytest.mark.parametrize(
    "problem",
    [
        "no service answers there: Connection refused",
        "no service answers there: no answer within 3 s",
        "no service answers there: it answers 502 <html>",
        "no service answers there: Remote end closed connection without response",
        "BrowserType.connect: WebSocket error: connect ECONNREFUSED 127.0.0.1:1" + CALL_LOG,
        "BrowserType.connect: WebSocket error: socket hang up" + CALL_LOG,
        "BrowserType.connect: WebSocket error: ws://a/chromium 503 Service Unavailable" + CALL_LOG,
        "WebSocket error: ws://a/chromium 503 Service Unavailable\nsentinel: the pool is draining.",
        "sentinel: the service stops",
    ],
)
def test_a_restart_is_waited_for(problem: str) -> None:
    """Nobody listens, a proxy answers alone, or the service says that it goes."""
    assert is_away(problem)


@pytest.mark.parametrize(
    "problem",
    [
        "its certificate is not trusted (unable to get issuer); the connection was reset",
        "WebSocket error: unable to verify the first certificate" + CALL_LOG,
        "ws://a/chromium 401 Unauthorized\nsentinel: the token is wrong.",
        "ws://a/chromium 503 Service Unavailable\nsentinel: no lease within 1 s: a long queue.",
        "no service answers there: it answers 404 not found",
        "Timeout 40000ms exceeded." + CALL_LOG,
    ],
)
def test_what_lasts_is_not_waited_for(problem: str) -> None:
    """A mistake stays one, and a service that is busy has been waited for."""
    assert not is_away(problem)


def test_the_services_own_words_are_kept() -> None:
    """Playwright's words around them are not."""
    told = "WebSocket error: ws://a 503 X\nsentinel: the pool is\n draining.\n - <ws error> b"

    assert gist(told) == "sentinel: the pool is draining."
    assert shown(told) == "the pool is draining."
    assert shown("connect ECONNREFUSED" + CALL_LOG) == "connect ECONNREFUSED"


def test_a_proxys_page_is_not_shown() -> None:
    """Of its HTML the status is enough, which stands before it."""
    told = "WebSocket error: ws://a 504 Gateway Time-out\n<html>\n<h1>504</h1>\n</html>\n - <ws x"

    assert gist(told) == "WebSocket error: ws://a 504 Gateway Time-out"
    assert gist(told.replace("<html", "<!DOCTYPE html><html")) == gist(told)
    assert is_away(told)


def test_pauses_grow_to_a_second() -> None:
    """The first tries come soon."""
    assert list(islice(pauses(), 6)) == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_patience_ends_and_begins_anew() -> None:
    """Who has waited in vain waits no more, until a service is back."""
    patience = Patience(10.0)

    assert patience.may_wait(["refused"], now=100.0, pause=1.0)
    assert patience.may_wait(["refused", "socket hang up"], now=104.0, pause=1.0)
    assert not patience.may_wait(["refused"], now=104.5, pause=1.0)
    assert not patience.may_wait(["refused"], now=900.0, pause=0.1)
    patience.found()
    assert patience.may_wait(["refused"], now=901.0, pause=0.1)
    assert not patience.may_wait(["refused", "the token is wrong"], now=901.0, pause=0.1)
