"""Secrets and headers: password hashes, tokens, CSRF, and what every response must carry.

Nothing here touches the database or a template.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "X-Content-Type-Options": "nosniff",
    # For browsers that do not know frame-ancestors.
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    # A reset link is a secret in a URL; it must not travel to other sites.
    "Referrer-Policy": "same-origin",
}
_HTTPS_ONLY = {"Strict-Transport-Security": "max-age=31536000"}


class Passwords:
    """Argon2id hashes, with the same work for an account that does not exist."""

    def __init__(self, time_cost: int, memory_kib: int) -> None:
        self._hasher = PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=1)
        self._nobody = self._hasher.hash(secrets.token_urlsafe())

    def hash(self, password: str) -> str:
        """Return the hash to store."""
        return self._hasher.hash(password)

    def matches(self, stored: str | None, password: str) -> bool:
        """Tell whether ``password`` belongs to ``stored``; None costs the same and never does."""
        try:
            self._hasher.verify(stored or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Tell whether ``stored`` was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)


def new_token() -> str:
    """Return a secret that nobody can guess, for cookies and links."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """Return what the database may know of ``token``."""
    return hashlib.sha256(token.encode()).hexdigest()


def csrf_token(session_token: str) -> str:
    """Derive the form token that belongs to a session; it tells nothing about the session's."""
    return hmac.new(session_token.encode(), b"larder csrf", "sha256").hexdigest()


def is_csrf_token(candidate: str, session_token: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(candidate.encode(), csrf_token(session_token).encode())


class SecurityHeaders:
    """ASGI middleware that puts the security headers on every response."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._headers = {**_HEADERS, **(_HTTPS_ONLY if https else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and mend the head of its response."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)
