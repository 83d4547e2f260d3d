"""Which certificates are trusted: those of the system, and what the environment names.

Python reads ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``, and Node.js, on which Playwright runs,
``NODE_EXTRA_CA_CERTS``. Here both read all of them.
"""

from __future__ import annotations

import functools
import os
from collections.abc import MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

_PYTHONS = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_NODES = "NODE_EXTRA_CA_CERTS"
_AS_PYTHON = "--use-openssl-ca"


def share_authorities(environ: MutableMapping[str, str]) -> None:
    """Have a Node.js that is started with ``environ`` trust what Python trusts."""
    options = environ.get("NODE_OPTIONS", "")
    if any(environ.get(name) for name in _PYTHONS) and _AS_PYTHON not in options:
        environ["NODE_OPTIONS"] = f"{options} {_AS_PYTHON}".strip()


def make_context() -> ssl.SSLContext:
    """Return how to connect by TLS: the other side must show a certificate that is trusted."""
    return _make_context(os.environ.get(_NODES), *map(os.environ.get, _PYTHONS))


@functools.lru_cache(4)
def _make_context(more: str | None, *_: str | None) -> ssl.SSLContext:
    import ssl  # seldom needed, and slow to load

    context = ssl.create_default_context()
    if more:
        with suppress(OSError):  # Node.js ignores a bad one, too
            context.load_verify_locations(more)
    return context
