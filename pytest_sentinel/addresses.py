"""Network addresses as people write them: ``127.0.0.1:9323``, ``wss://host/prefix``. No I/O.

A name is never looked up here: only a literal loopback address counts as loopback, and the name
``localhost``, which is one by its definition (RFC 6761).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

LEASE_PORT = 9323
CONTROL_PORT = 9324
METRICS_PORT = 9325
_TLS_PORT = 443
_ENGINES = ("chromium", "firefox", "webkit")

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")

_PREFIX = re.compile(r"(/(?!\.\.?(/|$))[A-Za-z0-9._~-]+)*")


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a TCP port; port 0 lets the system choose one.

    Attributes:
        tls: whether one connects by TLS, as to a proxy that has the certificate.
        prefix: what such a proxy wants before every path, with a slash at its begin only.
    """

    host: str
    port: int
    tls: bool = False
    prefix: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}{self.prefix}"

    @property
    def ws(self) -> str:
        """As the URL of a WebSocket, without a slash at its end."""
        return f"{'wss' if self.tls else 'ws'}://{self}"

    def is_loopback(self) -> bool:
        """Tell whether only this machine can reach it."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_address(text: str, default_port: int) -> Address:
    """Return the address that ``text`` names: ``host``, ``host:port``, ``[::1]:port`` or ``:port``.

    ``:port`` alone means all interfaces of this machine (IPv4).

    Raises:
        ValueError: the text is no address.
    """
    text = text.strip()
    host, port = text, str(default_port)
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not (bracket and _is_ip6(host)) or (rest and not rest.startswith(":")):
            raise ValueError("is no address")
        port = rest[1:] if rest else port
    elif text.count(":") == 1:
        host, port = text.split(":")
        host = host or "0.0.0.0"  # noqa: S104 # nosec B104
    if not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise ValueError("has no port between 0 and 65535")
    if not (_HOST.fullmatch(host) or _is_ip6(host)):
        raise ValueError("is no address")
    return Address(host, int(port))


def parse_services(text: str) -> tuple[Address, ...]:
    """Return the services in a list such as ``ws://host:9323,wss://other.example.org/browsers``.

    Raises:
        ValueError: one of them is not ``ws[s]://host[:port][/prefix]`` and nothing else. The engine
            is chosen by the test, and a token does not belong on a command line.
    """
    found = []
    for word in text.split(","):
        address = _parse_url(word, {"ws": LEASE_PORT, "wss": _TLS_PORT})
        if address is None:
            raise ValueError("is no list of ws[s]://HOST[:PORT][/PREFIX]")
        if address.prefix.rpartition("/")[2] in _ENGINES:
            raise ValueError("names an engine, which the tests choose")
        found.append(address)
    if len(set(found)) < len(found):
        raise ValueError("names a service twice")
    return tuple(found)


def parse_control(text: str) -> Address:
    """Return the control port that ``text`` names: an address, or ``http[s]://host[:port][/prefix]``.

    Raises:
        ValueError: the text is neither.
    """
    address = _parse_url(text, {"http": CONTROL_PORT, "https": _TLS_PORT})
    return parse_address(text.strip().rstrip("/"), CONTROL_PORT) if address is None else address


def _parse_url(text: str, ports: Mapping[str, int]) -> Address | None:
    """Return the address in a URL of one of the schemes that ``ports`` has; None in no such URL."""
    parts = urlsplit(text.strip())
    if parts.scheme not in ports or "@" in parts.netloc:
        return None
    prefix = parts.path.rstrip("/")
    if parts.query or parts.fragment or not _PREFIX.fullmatch(prefix):
        raise ValueError("has more than a host, a port and a plain path in it")
    place = parse_address(parts.netloc, ports[parts.scheme])
    return Address(place.host, place.port, parts.scheme in ("wss", "https"), prefix)


def _is_ip6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False
