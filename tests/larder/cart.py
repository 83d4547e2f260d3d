"""The rules of carts: what a customer means to buy. It promises nothing; buying does.

A cart is kept with its customer, so it outlives a logout and is the same on all his devices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session, joinedload

from tests.larder.accounts import InvalidField
from tests.larder.database import Database
from tests.larder.models import CartLine, Meal, User

LARGEST_QUANTITY = 20


@dataclass(frozen=True, slots=True)
class Cart:
    """The lines of a cart by name of the meal, and what they cost today."""

    lines: Sequence[CartLine]

    @property
    def total_cents(self) -> int:
        """Return the sum at today's prices."""
        return sum(line.quantity * line.meal.price_cents for line in self.lines)

    @property
    def count(self) -> int:
        """Return how many meals there are, each as often as it is there."""
        return sum(line.quantity for line in self.lines)


def cart_of(session: Session, user_id: int) -> Cart:
    """Return a customer's cart."""
    query = (
        select(CartLine)
        .join(CartLine.meal)
        .options(joinedload(CartLine.meal))
        .where(CartLine.user_id == user_id)
        .order_by(Meal.name, Meal.id)
    )
    return Cart(session.scalars(query).all())


def put_into_cart(database: Database, user_id: int, slug: str, text: str) -> Meal:
    """Add so many of a meal to what is in the cart already.

    Raises:
        InvalidField: there is no such meal, not that many, or it is no quantity.
    """
    quantity = _quantity(text, least=1)
    with database.writing() as session:
        meal = _lock(session, user_id, slug)
        line = session.get(CartLine, (user_id, meal.id))
        there = line.quantity if line is not None else 0
        _check(meal, there + quantity)
        if line is None:
            session.add(CartLine(user_id=user_id, meal_id=meal.id, quantity=quantity))
        else:
            line.quantity += quantity
    return meal


def set_quantity(database: Database, user_id: int, slug: str, text: str) -> None:
    """Have so many of a meal in the cart, or none with 0.

    Raises:
        InvalidField: there is no such meal, not that many, or it is no quantity.
    """
    quantity = _quantity(text, least=0)
    with database.writing() as session:
        meal = _lock(session, user_id, slug)
        line = session.get(CartLine, (user_id, meal.id))
        if line is None:
            return
        if quantity == 0:
            session.delete(line)
            return
        _check(meal, quantity)
        line.quantity = quantity


def take_cart(session: Session, user_id: int) -> list[tuple[int, int]]:
    """Empty a cart and return meals and quantities; of two who do so at once, one gets them."""
    taken = session.execute(
        delete(CartLine)
        .where(CartLine.user_id == user_id)
        .returning(CartLine.meal_id, CartLine.quantity)
    ).all()
    # In the order of their ids: two buyers who lock meals in one order cannot lock each other out.
    return sorted((meal_id, quantity) for meal_id, quantity in taken)


def give_back(session: Session, user_id: int, meals: dict[int, int]) -> None:
    """Put back what was taken and not bought, beside what came into the cart meanwhile."""
    _lock_cart(session, user_id)
    for meal_id, quantity in meals.items():
        line = session.get(CartLine, (user_id, meal_id))
        if line is None:
            session.add(CartLine(user_id=user_id, meal_id=meal_id, quantity=quantity))
        else:
            line.quantity = min(LARGEST_QUANTITY, line.quantity + quantity)


def _lock(session: Session, user_id: int, slug: str) -> Meal:
    _lock_cart(session, user_id)
    meal = session.scalar(select(Meal).where(Meal.slug == slug.replace("\x00", "")))
    if meal is None:
        raise InvalidField("meal", "There is no such meal.")
    return meal


def _lock_cart(session: Session, user_id: int) -> None:
    # PostgreSQL lets two writers in; SQLite, which ignores this, only one.
    session.execute(select(User.id).where(User.id == user_id).with_for_update())


def _check(meal: Meal, quantity: int) -> None:
    if meal.stock < quantity:
        left = f"Only {meal.stock} left of {meal.name}." if meal.stock else ""
        raise InvalidField("quantity", left or f"{meal.name} is sold out.")
    if quantity > LARGEST_QUANTITY:
        raise InvalidField("quantity", f"We cook at most {LARGEST_QUANTITY} of a meal at a time.")


def _quantity(text: str, least: int) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 5 and int(text) >= least):
        raise InvalidField("quantity", f"Write a whole number from {least} on.")
    return int(text)
