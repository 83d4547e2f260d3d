"""Addresses as people write them."""

from __future__ import annotations

import pytest

from pytest_sentinel.addresses import Address, parse_address, parse_control, parse_services


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


def test_a_service_may_be_behind_a_proxy() -> None:
    """With TLS, whose port is the default then, and with a prefix before its paths."""
    found = parse_services("wss://a,wss://b:8443/browsers/,ws://[::1]/x/y-1")

    assert found == (
        Address("a", 443, tls=True),
        Address("b", 8443, tls=True, prefix="/browsers"),
        Address("::1", 9323, prefix="/x/y-1"),
    )
    assert [address.ws for address in found] == [
        *("wss://a:443", "wss://b:8443/browsers", "ws://[::1]:9323/x/y-1")
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:1", Address("a", 1)),
        ("a", Address("a", 9324)),
        (":1/", Address("0.0.0.0", 1)),
        ("http://a/", Address("a", 9324)),
        ("http://a:1/x", Address("a", 1, prefix="/x")),
        ("https://a", Address("a", 443, tls=True)),
        ("https://[::1]:1/x/", Address("::1", 1, tls=True, prefix="/x")),
    ],
)
def test_a_control_port_is_read(text: str, expected: Address) -> None:
    """As an address, or as a URL."""
    assert parse_control(text) == expected


@pytest.mark.parametrize(
    "text", ["", "ws://a", "https://", "https://u:p@a", "http://a?b", "https://a/../b", "a/b"]
)
def test_what_is_no_control_port_is_refused(text: str) -> None:
    """Other schemes, users, queries and paths that are not plain raise."""
    with pytest.raises(ValueError):
        parse_control(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "a:1", "http://a", "ws://", "ws://a,", "ws://a,ws://a:9323"),
        *("ws://a/chromium", "ws://a?token=x", "ws://u:p@a", "ws://a#x", "ws://a:b"),
        *("wss://a/x/firefox", "ws://a/./x", "ws://a//x", "ws://a/x%20y", "WSS:a"),
    ],
)
def test_what_is_no_list_of_services_is_refused(text: str) -> None:
    """A path, a token, a name given twice and other schemes raise."""
    with pytest.raises(ValueError):
        parse_services(text)
