"""Network addresses as people write them: ``127.0.0.1:9323``, ``ws://host:9323``. No I/O.

A name is never looked up here: only a literal loopback address counts as loopback, and the name
``localhost``, which is one by its definition (RFC 6761).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

LEASE_PORT = 9323
CONTROL_PORT = 9324
METRICS_PORT = 9325

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a TCP port; port 0 lets the system choose one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

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
    """Return the services in a list such as ``ws://host:9323,ws://other:9323``.

    Raises:
        ValueError: one of them is not ``ws://host[:port]`` and nothing else. A path is chosen by
            the engine, and a token does not belong on a command line.
    """
    found = []
    for word in text.split(","):
        parts = urlsplit(word.strip())
        if parts.scheme != "ws" or "@" in parts.netloc:
            raise ValueError("is no list of ws://HOST[:PORT]")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("has more than ws://HOST[:PORT] in it")
        found.append(parse_address(parts.netloc, LEASE_PORT))
    if len(set(found)) < len(found):
        raise ValueError("names a service twice")
    return tuple(found)


def _is_ip6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False
