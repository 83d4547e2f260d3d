"""An account that is guessed at closes for a while, and tells its owner by mail.

Law: nobody else learns of it. A closed account answers as one that is not there, also to the right
password; whoever follows the letter chooses a new password, which opens it at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.larder.models import Mail, User


@dataclass(frozen=True, slots=True)
class Lockout:
    """After ``failures`` in a row an account is closed for so many ``seconds``.

    ``link`` is where its owner chooses a new password.
    """

    failures: int
    seconds: float
    link: str


def is_locked(user: User) -> bool:
    """Tell whether an account is closed now."""
    return user.locked_until is not None and user.locked_until > datetime.now(UTC)


def note_failure(session: Session, address: str, rules: Lockout) -> None:
    """Count a wrong password for ``address``; the same is asked for one without an account."""
    user = session.scalar(select(User).where(User.address == address).with_for_update())
    if user is None or is_locked(user):
        return
    if user.locked_until is not None:
        user.locked_until, user.failed_logins = None, 0
    user.failed_logins += 1
    if user.failed_logins < rules.failures:
        return
    now = datetime.now(UTC)
    user.locked_until = now + timedelta(seconds=rules.seconds)
    session.add(
        Mail(
            recipient=user.address,
            subject="Your account is closed for a while",
            body=f"Somebody gave a wrong password {user.failed_logins} times in a row. Your "
            f"account opens again in {_spoken(rules.seconds)}, or at once when you choose a new "
            "password.",
            link=rules.link,
            sent_at=now,
        )
    )


def unlock(user: User) -> None:
    """Open an account, and forget what failed."""
    user.failed_logins, user.locked_until = 0, None


def _spoken(seconds: float) -> str:
    minutes = -(-seconds // 60)
    return "a minute" if minutes == 1 else f"{minutes:.0f} minutes"
