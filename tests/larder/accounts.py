"""The rules of accounts: registering, logging in, a new name, a new password.

Law: logging in and asking for a reset answer alike, with equal work, whether or not the address
has an account. Registering does tell, as in any shop that lets a new customer in at once.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tests.larder.database import Database
from tests.larder.lockout import Lockout, is_locked, note_failure, unlock
from tests.larder.models import Mail, PasswordReset, User
from tests.larder.security import Passwords, digest, new_token
from tests.larder.sessions import close_sessions_of

PASSWORD_LENGTH = range(8, 129)

_ADDRESS = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")


class InvalidField(Exception):
    """Raised when a form holds a value that cannot be taken; ``field`` names it."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


def register(database: Database, passwords: Passwords, form: dict[str, str]) -> User:
    """Create the account that ``form`` describes; raise InvalidField if it cannot be."""
    name, address = _name(form), _address(form)
    password_hash = passwords.hash(_new_password(form))
    user = User(
        name=name, address=address, password_hash=password_hash, created_at=datetime.now(UTC)
    )
    try:
        with database.writing() as session:
            session.add(user)
    except IntegrityError:
        raise InvalidField("address", "This address has an account already.") from None
    return user


def make_admin(database: Database, passwords: Passwords, form: dict[str, str]) -> None:
    """Create the admin that ``form`` describes, unless he is there; raise InvalidField if wrong.

    An account that a stranger opened with this address is taken from him.
    """
    address = _address(form)
    password_hash = passwords.hash(_new_password(form))
    # Two larders that start at once may both find nobody; one of them creates him.
    with suppress(IntegrityError), database.writing() as session:
        user = _find(session, address)
        if user is None:
            user = User(name="Admin", address=address, created_at=datetime.now(UTC))
            session.add(user)
        elif user.role == "admin":
            return
        else:
            close_sessions_of(session, user.id)
        user.role = "admin"
        user.password_hash = password_hash


def authenticate(
    database: Database, passwords: Passwords, rules: Lockout, form: dict[str, str]
) -> User | None:
    """Return the customer whose address and password ``form`` holds, or None for any reason."""
    address, password = _stored(form.get("address", "")), form.get("password", "")
    with database.reading() as session:
        user = _find(session, address)
    if len(password) >= PASSWORD_LENGTH.stop:
        return None
    stored = user.password_hash if user else None
    is_right = passwords.matches(stored, password)
    if user is None or not is_right:
        with database.writing() as session:
            note_failure(session, address, rules)
        return None
    if is_locked(user):
        return None
    is_outdated = passwords.is_outdated(user.password_hash)
    if user.failed_logins or is_outdated:
        renewed = passwords.hash(password) if is_outdated else user.password_hash
        with database.writing() as session:
            known = session.get_one(User, user.id, with_for_update=True)
            # Somebody may have chosen another password meanwhile: that one stays.
            if known.password_hash == user.password_hash:
                known.password_hash = renewed
                unlock(known)
    return user


def rename(database: Database, user: User, form: dict[str, str]) -> None:
    """Change the name of a customer; raise InvalidField if it cannot be."""
    name = _name(form)
    with database.writing() as session:
        session.execute(update(User).where(User.id == user.id).values(name=name))


def change_password(
    database: Database, passwords: Passwords, rules: Lockout, user: User, form: dict[str, str]
) -> None:
    """Set a new password for who knows the old one, and end all sessions of the customer.

    Raises:
        InvalidField: the old one is wrong, or the new one cannot be taken. Guessing here counts as
            guessing at the login.
    """
    password_hash = passwords.hash(_new_password(form))
    old = {"address": user.address, "password": form.get("old", "")}
    if authenticate(database, passwords, rules, old) is None:
        raise InvalidField("old", "This is not your password.")
    with database.writing() as session:
        session.execute(update(User).where(User.id == user.id).values(password_hash=password_hash))
        close_sessions_of(session, user.id)


def request_reset(database: Database, address: str, public_url: str, lifetime: float) -> None:
    """Mail a link that lets the owner of ``address`` choose a new password.

    An address without an account gets a letter too, which says so: the work is equal, and who
    forgot with which address he registered learns it, he alone.
    """
    address = address.strip().lower()
    if not _is_address(address):
        return
    token = new_token()
    now = datetime.now(UTC)
    with database.writing() as session:
        session.execute(delete(PasswordReset).where(PasswordReset.expires_at <= now))
        user = _find(session, address)
        if user is None:
            session.add(
                Mail(
                    recipient=address,
                    subject="No account with this address",
                    body="Somebody asked for a new password here, but this address has no account.",
                    link=f"{public_url}/register",
                    sent_at=now,
                )
            )
            return
        session.add(
            PasswordReset(
                token_digest=digest(token),
                user_id=user.id,
                expires_at=now + timedelta(seconds=lifetime),
            )
        )
        session.add(
            Mail(
                recipient=address,
                subject="Choose a new password",
                body="Follow this link to choose a new password. It works once. "
                "If you did not ask for it, leave it alone and nothing changes.",
                link=f"{public_url}/reset/{token}",
                sent_at=now,
            )
        )


def is_reset_open(database: Database, token: str) -> bool:
    """Tell whether a mailed ``token`` can still be used."""
    with database.reading() as session:
        return session.scalar(select(PasswordReset).where(*_open_reset(token))) is not None


def redeem_reset(
    database: Database, passwords: Passwords, token: str, form: dict[str, str]
) -> bool:
    """Set the new password and end all sessions of its owner; False when the link is spent.

    Raises:
        InvalidField: the password cannot be taken; the link stays good.
    """
    password_hash = passwords.hash(_new_password(form))
    with database.writing() as session:
        # Taking the row is the test: of two who redeem a link at once, one gets it.
        user_id = session.scalar(
            delete(PasswordReset).where(*_open_reset(token)).returning(PasswordReset.user_id)
        )
        if user_id is None:
            return False
        session.execute(delete(PasswordReset).where(PasswordReset.user_id == user_id))
        user = session.get_one(User, user_id, with_for_update=True)
        user.password_hash = password_hash
        unlock(user)
        close_sessions_of(session, user_id)
    return True


def _find(session: Session, address: str) -> User | None:
    return session.scalar(select(User).where(User.address == _stored(address)))


def _stored(address: str) -> str:
    # A NUL cannot be stored by PostgreSQL, nor asked for.
    return address.strip().lower().replace("\x00", "")


def _open_reset(token: str) -> tuple[ColumnElement[bool], ...]:
    return (
        PasswordReset.token_digest == digest(token),
        PasswordReset.expires_at > datetime.now(UTC),
    )


def _is_address(address: str) -> bool:
    return len(address) <= 254 and address.isprintable() and _ADDRESS.fullmatch(address) is not None


def _name(form: dict[str, str]) -> str:
    name = form.get("name", "").strip()
    if not 1 <= len(name) <= 80 or not name.isprintable():
        raise InvalidField("name", "Tell us your name, in at most 80 letters.")
    return name


def _address(form: dict[str, str]) -> str:
    address = form.get("address", "").strip().lower()
    if not _is_address(address):
        raise InvalidField("address", "This does not look like an e-mail address.")
    return address


def _new_password(form: dict[str, str]) -> str:
    password = form.get("password", "")
    if len(password) not in PASSWORD_LENGTH:
        raise InvalidField("password", "Choose a password of 8 to 128 letters.")
    return password
