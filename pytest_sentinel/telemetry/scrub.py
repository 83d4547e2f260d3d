"""Take secrets out of text before it is written anywhere. Pure.

Passwords in URLs, whatever looks like a token in a query or a header, cookies, and long words that
only a machine makes. A secret that looks like prose cannot be told; what is never written is the
only safe thing, so bodies, headers and queries of requests are not kept at all.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

HIDDEN = "[hidden]"

_NAMES = (
    r"[\w-]*(?:token|secret|passw(?:or)?d|pwd|api[_-]?key|signature|session(?:[_-]?id)?|jwt"
    r"|credential)[\w-]*"
)
_PAIR = re.compile(
    rf"""(?P<name>(?<![\w-])(?:{_NAMES}["']?\s*[=:]\s*["']?))(?P<value>[^\s"'&;,}}\])]+)""",
    re.IGNORECASE,
)
# Words that mean something else outside of a query.
_QUERY = re.compile(r"(?P<name>[?&](?:auth|sig|key|code|sid|state)=)(?P<value>[^\s\"'&#)]+)")
_HEADER = re.compile(
    r"""(?P<name>(?:proxy-)?authorization["']?\s*[:=]\s*["']?)(?P<value>[^"'\r\n,}]+)""",
    re.IGNORECASE,
)
_COOKIE = re.compile(
    r"""(?P<name>(?:set-)?cookie["']?\s*[:=]\s*["']?)(?P<value>[^"'\r\n]+)""", re.IGNORECASE
)
_SCHEME = re.compile(r"(?P<name>\b(?:Bearer|Basic|Digest)\s+)(?P<value>[\w.~+/=-]{6,})")
_USER = re.compile(r"(?P<name>\b\w[\w+.-]*://)(?P<value>[^\s/@]+)@")
_JWT = re.compile(r"\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?")
_KNOWN = re.compile(
    r"\b(?:gh[pousr]_\w{20,}|sk-[\w-]{16,}|xox[abpr]-[\w-]{10,}|AKIA[A-Z0-9]{16})\b"
)


def scrub(text: str) -> str:
    """Return ``text`` with what looks like a secret replaced by ``[hidden]``."""
    text = _HEADER.sub(rf"\g<name>{HIDDEN}", text)
    text = _COOKIE.sub(rf"\g<name>{HIDDEN}", text)
    text = _SCHEME.sub(rf"\g<name>{HIDDEN}", text)
    text = _USER.sub(rf"\g<name>{HIDDEN}@", text)
    text = _JWT.sub(HIDDEN, text)
    text = _KNOWN.sub(HIDDEN, text)
    text = _QUERY.sub(rf"\g<name>{HIDDEN}", text)
    return _PAIR.sub(rf"\g<name>{HIDDEN}", text)


def bare_url(url: str) -> str:
    """Return an address without user, query and fragment; of ``data:`` and such, the scheme."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if not parts.netloc:
        return f"{parts.scheme}:" if parts.scheme not in ("file", "") else parts.path
    return scrub(urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")))
