"""The tables of larder. Rows only: rules live in the files named after what they rule.

A change here needs a migration in migrations/versions; a test holds the two together.
Tokens are stored as digests, so that whoever reads the database cannot log in with what he finds.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    LargeBinary,
    String,
    Text,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, also on SQLite, which forgets time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Read UTC."""
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """The root of all tables."""

    type_annotation_map = {datetime: UtcDateTime}


class User(Base):
    """A customer, or an admin. ``address`` is kept in lower case and is unique."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(80))
    password_hash: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    role: Mapped[str] = mapped_column(String(20), default="customer")
    failed_logins: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None]


class LoginSession(Base):
    """One browser's visit. Without a user it only carries the CSRF token and a notice.

    It ends at ``expires_at``, and before that when nobody has used it for long.
    """

    __tablename__ = "sessions"

    token_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int | None] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    notice: Mapped[str | None] = mapped_column(String(200))
    expires_at: Mapped[datetime] = mapped_column(index=True)
    seen_at: Mapped[datetime | None]

    user: Mapped[User | None] = relationship()


class PasswordReset(Base):
    """A mailed right to choose a new password, once and for a while."""

    __tablename__ = "password_resets"

    token_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[datetime]


class Mail(Base):
    """A letter that larder sent. ``link`` is what the reader is to follow, if anything."""

    __tablename__ = "outbox"

    id: Mapped[int] = mapped_column(primary_key=True)
    recipient: Mapped[str] = mapped_column(String(254), index=True)
    subject: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    link: Mapped[str | None] = mapped_column(String(300))
    sent_at: Mapped[datetime]


class Meal(Base):
    """Something to eat. ``steps`` holds one step of the recipe a line.

    ``stock`` is how many can still be sold; ``image`` is the digest of a row of images, if any.
    """

    __tablename__ = "meals"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(80), unique=True)
    name: Mapped[str] = mapped_column(String(80))
    course: Mapped[str] = mapped_column(String(20), index=True)
    summary: Mapped[str] = mapped_column(String(200))
    price_cents: Mapped[int]
    minutes: Mapped[int]
    vegetarian: Mapped[bool]
    steps: Mapped[str] = mapped_column(Text)
    stock: Mapped[int]
    image: Mapped[str | None] = mapped_column(String(64))

    ingredients: Mapped[list[Ingredient]] = relationship(
        order_by="Ingredient.position", cascade="all, delete-orphan", passive_deletes=True
    )


class Ingredient(Base):
    """What goes into a meal for one person; ``unit`` is empty where things are counted."""

    __tablename__ = "ingredients"

    meal_id: Mapped[int] = mapped_column(
        ForeignKey("meals.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    amount: Mapped[float] = mapped_column(Float)
    unit: Mapped[str] = mapped_column(String(20))


class Image(Base):
    """A picture under the digest of its bytes, so that its URL never means another one."""

    __tablename__ = "images"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    media_type: Mapped[str] = mapped_column(String(20))
    data: Mapped[bytes] = mapped_column(LargeBinary)


class Like(Base):
    """A customer likes a meal."""

    __tablename__ = "likes"

    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    meal_id: Mapped[int] = mapped_column(
        ForeignKey("meals.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class CartLine(Base):
    """So many of a meal, in the cart of a customer."""

    __tablename__ = "cart_lines"

    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    meal_id: Mapped[int] = mapped_column(
        ForeignKey("meals.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    quantity: Mapped[int]

    meal: Mapped[Meal] = relationship()


class Order(Base):
    """What a customer bought, or tried to: ``status`` is pending, paid or cancelled."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    placed_at: Mapped[datetime]
    total_cents: Mapped[int]
    status: Mapped[str] = mapped_column(String(20), index=True)
    payment_reference: Mapped[str | None] = mapped_column(String(64))

    lines: Mapped[list[OrderLine]] = relationship(order_by="OrderLine.position")


class OrderLine(Base):
    """A meal as it was sold: name and price stay what they were, whatever becomes of the meal."""

    __tablename__ = "order_lines"

    order_id: Mapped[int] = mapped_column(
        ForeignKey("orders.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True)
    meal_id: Mapped[int | None] = mapped_column(
        ForeignKey("meals.id", ondelete="SET NULL"), index=True
    )
    name: Mapped[str] = mapped_column(String(80))
    quantity: Mapped[int]
    price_cents: Mapped[int]
