"""From where a request comes: by a name of this machine, or by one that somebody gave it. No I/O.

A web page may have its own name resolve to 127.0.0.1 (DNS rebinding): for the browser that shows it
the service is of the page's origin then, and its answers can be read. The name is still in the
``Host`` header. A service without a token listens on loopback only, so only loopback names are its
own; a web page cannot have the token, so with one any name will do.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from pytest_sentinel.errors import RequestRefused

_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\[\]:]+)(?::[0-9]*)?")
_SHOWN = 100  # characters of a strange name


def is_ours(host: str, listen: str) -> bool:
    """Tell whether the text of a ``Host`` header names this machine, with or without a port.

    Any loopback address does, ``localhost`` with what is below it (RFC 6761), and the address that
    is listened on.
    """
    found = _HOST.fullmatch(host.strip())
    if found is None:
        return False
    name = found[1].lower().removesuffix(".")
    bare = name.strip("[]")
    if bare == listen.lower() or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if address.version == 6 else None
    return (mapped or address).is_loopback


def check(hosts: Sequence[str], origins: Sequence[str], listen: str, *, has_token: bool) -> None:
    """Turn away web pages, by all the headers of a request that give one away.

    Args:
        hosts: every ``Host`` header; a request of HTTP/1.0 may have none, which no browser sends.
        origins: every ``Origin`` header, empty ones too.
        listen: the address that is listened on.
        has_token: whether the service asks for a token.

    Raises:
        RequestRefused: the request is, or may be, a web page's.
    """
    if origins:
        raise RequestRefused(403, "web pages are not served", "Connect with Playwright.")
    if has_token or not hosts or (len(hosts) == 1 and is_ours(hosts[0], listen)):
        return
    raise RequestRefused(
        403,
        f"{', '.join(hosts)[:_SHOWN]!a} is no name of this machine, and there is no token",
        "Connect to 127.0.0.1 or localhost, or start the service with --token-file.",
    )
