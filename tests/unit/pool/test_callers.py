"""From where a request comes, told from its headers."""

from __future__ import annotations

import pytest

from pytest_sentinel.errors import RequestRefused
from pytest_sentinel.pool import callers

LOCAL = [
    *("localhost", "LocalHost:9324", "localhost.", "localhost.:80", "app.localhost"),
    *(
        "127.0.0.1:9324",
        "127.8.9.10:1",
        "[::1]",
        "[::1]:9324",
        "[::ffff:127.0.0.1]:1",
        " localhost",
    ),
]
STRANGE = [
    *(
        "evil.example",
        "evil.example:9324",
        "localhost.evil.example",
        "notlocal",
        "127.0.0.1.nip.io",
    ),
    *(
        "10.0.0.1",
        "0.0.0.0",
        "0",
        "[::]",
        "[::1",
        "::1",
        "127.0.0.1@evil.example",
        "",
        " ",
        ":9324",
    ),
    *(
        "127.0.0.1:x",
        "localhost:1:2",
        "[localhost]",
        "[::ffff:10.0.0.1]",
        "localhost, evil.example",
    ),
]


@pytest.mark.parametrize("host", LOCAL)
def test_names_of_this_machine(host: str) -> None:
    """Loopback addresses and localhost are, in any spelling and with any port."""
    assert callers.is_ours(host, "127.0.0.1")
    callers.check([host], [], "127.0.0.1", has_token=False)


@pytest.mark.parametrize("host", STRANGE)
def test_names_that_somebody_gave_it(host: str) -> None:
    """Any other name is refused without a token, with what to do."""
    assert not callers.is_ours(host, "127.0.0.1")
    with pytest.raises(RequestRefused, match="localhost, or start the service with --token-file"):
        callers.check([host], [], "127.0.0.1", has_token=False)
    callers.check([host], [], "127.0.0.1", has_token=True)


def test_the_address_that_is_listened_on() -> None:
    """It is one of the service's names, whatever it is."""
    assert callers.is_ours("10.1.2.3:9323", "10.1.2.3")
    assert callers.is_ours("[FE80::1]:9323", "fe80::1")
    assert not callers.is_ours("10.1.2.4:9323", "10.1.2.3")


def test_a_host_that_comes_twice_is_refused() -> None:
    """Nobody knows which of the two is meant; one that does not come at all is no browser's."""
    with pytest.raises(RequestRefused):
        callers.check(["localhost", "localhost"], [], "127.0.0.1", has_token=False)
    callers.check([], [], "127.0.0.1", has_token=False)


@pytest.mark.parametrize("origins", [[""], ["null"], ["http://x", "http://x"], ["", ""]])
@pytest.mark.parametrize("has_token", [True, False])
def test_any_origin_is_a_web_page(origins: list[str], *, has_token: bool) -> None:
    """An empty one too, and two."""
    with pytest.raises(RequestRefused, match="web pages are not served"):
        callers.check(["localhost"], origins, "127.0.0.1", has_token=has_token)
