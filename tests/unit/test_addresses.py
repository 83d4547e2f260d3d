"""Addresses as people write them."""

from __future__ import annotations

import pytest

from pytest_sentinel.addresses import Address, parse_address, parse_services


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9323", "127.0.0.1", 9323),
        (" pool.example.org ", "pool.example.org", 7),
        (":9323", "0.0.0.0", 9323),
        ("[::1]:9323", "::1", 9323),
        ("[::1]", "::1", 7),
        ("::1", "::1", 7),
        ("x:0", "x", 0),
    ],
)
def test_an_address_is_read(text: str, host: str, port: int) -> None:
    """A host, a port or both name an address."""
    assert parse_address(text, 7) == Address(host, port)


@pytest.mark.parametrize(
    "text",
    [
        *("", "a b", "host:", "host:x", "host:65536", "host:-1", "host:\uff11"),
        *("[::1", "[x]:1", "[::1]9", "-a", "a:1:2"),
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """Anything else raises."""
    with pytest.raises(ValueError):
        parse_address(text, 7)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("LocalHost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example.org", False),
    ],
)
def test_loopback_is_known_without_asking(host: str, expected: bool) -> None:
    """Only what can be nothing else counts as loopback."""
    assert Address(host, 1).is_loopback() is expected


def test_an_address_is_written_as_it_is_read() -> None:
    """Brackets keep a port apart from an IPv6 address."""
    assert [str(Address("::1", 2)), str(Address("a", 2))] == ["[::1]:2", "a:2"]


def test_a_list_of_services_is_read() -> None:
    """The port of leases is the default."""
    found = parse_services("ws://a, ws://b:1/,ws://[::1]:2")

    assert found == (Address("a", 9323), Address("b", 1), Address("::1", 2))


@pytest.mark.parametrize(
    "text",
    [
        *("", "a:1", "http://a", "ws://", "ws://a,", "ws://a,ws://a:9323"),
        *("ws://a/chromium", "ws://a?token=x", "ws://u:p@a", "ws://a#x", "ws://a:b"),
    ],
)
def test_what_is_no_list_of_services_is_refused(text: str) -> None:
    """A path, a token, a name given twice and other schemes raise."""
    with pytest.raises(ValueError):
        parse_services(text)
