"""Server-side sessions: a random token in a cookie, its digest in a row that ends with its time.

Law: a token never changes its rights. Whoever logs in gets a new one and the old one dies, so a
token that an attacker planted beforehand is worth nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session, joinedload

from tests.larder.models import LoginSession
from tests.larder.security import digest, new_token


def open_session(
    database: Session, lifetime: float, *, user_id: int | None = None, notice: str | None = None
) -> str:
    """Store a new session that lives ``lifetime`` seconds and return its token."""
    now = datetime.now(UTC)
    database.execute(delete(LoginSession).where(LoginSession.expires_at <= now))
    token = new_token()
    database.add(
        LoginSession(
            token_digest=digest(token),
            user_id=user_id,
            notice=notice,
            seen_at=now,
            expires_at=now + timedelta(seconds=lifetime),
        )
    )
    return token


def find_session(database: Session, token: str, idle: float) -> LoginSession | None:
    """Return the live session behind ``token`` with its user, unless it was ``idle`` seconds."""
    now = datetime.now(UTC)
    return database.scalar(
        select(LoginSession)
        .options(joinedload(LoginSession.user))
        .where(LoginSession.token_digest == digest(token))
        .where(LoginSession.expires_at > now)
        .where(
            LoginSession.seen_at.is_(None) | (LoginSession.seen_at > now - timedelta(seconds=idle))
        )
    )


def is_stale(found: LoginSession, idle: float) -> bool:
    """Tell whether it is time to write down that a session is in use; not at each request."""
    if found.seen_at is None:
        return True
    return datetime.now(UTC) - found.seen_at > timedelta(seconds=min(60.0, idle / 10))


def note_use(database: Session, token: str) -> None:
    """Write down that a session is in use now."""
    database.execute(
        update(LoginSession)
        .where(LoginSession.token_digest == digest(token))
        .values(seen_at=datetime.now(UTC))
    )


def close_session(database: Session, token: str) -> None:
    """Forget the session behind ``token``."""
    database.execute(delete(LoginSession).where(LoginSession.token_digest == digest(token)))


def close_sessions_of(database: Session, user_id: int) -> None:
    """Forget every session of a customer, on all his devices."""
    database.execute(delete(LoginSession).where(LoginSession.user_id == user_id))


def set_notice(database: Session, token: str, notice: str | None) -> None:
    """Keep ``notice`` for the next page of this session, or clear it."""
    database.execute(
        update(LoginSession).where(LoginSession.token_digest == digest(token)).values(notice=notice)
    )
