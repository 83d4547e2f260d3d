"""What an admin asks of the database: customers, orders, stock. Selling is not its business."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from tests.larder import lockout
from tests.larder.database import Database
from tests.larder.models import Meal, Order, OrderLine, User

_MOST = 50


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order in a list: of whom, and of how many things."""

    order: Order
    customer: str
    items: int


def find_users(session: Session, text: str) -> Sequence[tuple[User, bool]]:
    """Return the latest customers whose name or address has ``text``, each with his lock."""
    query = select(User).order_by(User.id.desc()).limit(_MOST)
    for word in "".join(filter(str.isprintable, text))[:80].split():
        query = query.where(
            or_(
                User.name.icontains(word, autoescape=True),
                User.address.icontains(word, autoescape=True),
            )
        )
    return [(user, lockout.is_locked(user)) for user in session.scalars(query)]


def latest_orders(session: Session) -> Sequence[OrderRow]:
    """Return the latest orders, the newest first."""
    items = func.coalesce(func.sum(OrderLine.quantity), 0)
    rows = session.execute(
        select(Order, User.name, items)
        .join(User, User.id == Order.user_id)
        .outerjoin(OrderLine, OrderLine.order_id == Order.id)
        .group_by(Order.id, User.name)
        .order_by(Order.id.desc())
        .limit(_MOST)
    )
    return [OrderRow(order, name, number) for order, name, number in rows]


def scarcest_meals(session: Session) -> Sequence[Meal]:
    """Return the meals of which there is least."""
    return session.scalars(select(Meal).order_by(Meal.stock, Meal.name).limit(_MOST)).all()


def unlock(database: Database, user_id: int) -> str | None:
    """Open an account and return its name, or None when there is none."""
    with database.writing() as session:
        user = session.get(User, user_id, with_for_update=True)
        if user is None:
            return None
        lockout.unlock(user)
        return user.name
