"""The rules of buying: from a cart over a payment to an order.

Law: stock is taken by one conditional UPDATE in the transaction that takes the cart, so the last
meal goes to one buyer. No transaction is open while the payment service is asked; until it has
answered the order is pending, and an order that stays so gives its meals back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session, selectinload

from tests.larder.accounts import InvalidField
from tests.larder.cart import give_back, take_cart
from tests.larder.database import Database
from tests.larder.models import Meal, Order, OrderLine
from tests.larder.payment import PaymentDeclined, Payments, read_card

PENDING, PAID, CANCELLED = "pending", "paid", "cancelled"

# Longer than any payment takes. What is pending for longer was left by a larder that died.
_FORGOTTEN = timedelta(minutes=15)


class CannotBuy(Exception):
    """Raised when a cart cannot be bought as it is; it stays as it was."""


def check_out(database: Database, payments: Payments, user_id: int, form: dict[str, str]) -> Order:
    """Buy what is in the cart, with the card in ``form``, for the total that was shown.

    Raises:
        InvalidField: the card cannot be charged; the cart stays as it was.
        CannotBuy: the cart is empty, sold out in part, or costs something else by now.
        PaymentTimedOut: the payment service did not answer; the cart stays as it was.
    """
    card = read_card(form.get("card", ""))
    if card is None:
        raise InvalidField("card", "This is not a card number. Look for a digit that is wrong.")
    order = _reserve(database, user_id, form.get("total"))
    try:
        reference = payments.charge(card, order.total_cents, f"order-{order.id}")
    except PaymentDeclined:
        _cancel(database, order)
        raise InvalidField("card", "The bank declined this card. Try another one.") from None
    except BaseException:
        _cancel(database, order)
        raise
    with database.writing() as session:
        session.execute(
            update(Order)
            .where(Order.id == order.id, Order.status == PENDING)
            .values(status=PAID, payment_reference=reference)
        )
    return order


def orders_of(session: Session, user_id: int) -> Sequence[Order]:
    """Return what a customer bought, the latest first."""
    return session.scalars(
        select(Order)
        .options(selectinload(Order.lines))
        .where(Order.user_id == user_id, Order.status == PAID)
        .order_by(Order.id.desc())
    ).all()


def find_order(session: Session, user_id: int, order_id: int) -> Order | None:
    """Return an order of this customer, or None."""
    return session.scalar(
        select(Order)
        .options(selectinload(Order.lines))
        .where(Order.user_id == user_id, Order.id == order_id, Order.status == PAID)
    )


def cancel_forgotten(session: Session) -> None:
    """Give back the meals of orders whose payment nobody waits for any longer."""
    before = datetime.now(UTC) - _FORGOTTEN
    query = select(Order).where(Order.status == PENDING, Order.placed_at < before)
    for order in session.scalars(query.options(selectinload(Order.lines))):
        _undo(session, order)


def _reserve(database: Database, user_id: int, shown: str | None) -> Order:
    with database.writing() as session:
        cancel_forgotten(session)
        taken = take_cart(session, user_id)
        if not taken:
            raise CannotBuy("Your cart is empty.")
        lines = [
            _take_from_stock(session, meal_id, quantity, position)
            for position, (meal_id, quantity) in enumerate(taken, 1)
        ]
        total = sum(line.quantity * line.price_cents for line in lines)
        if shown is not None and shown != str(total):
            raise CannotBuy("Your cart has changed meanwhile. Look at it again.")
        order = Order(
            user_id=user_id,
            placed_at=datetime.now(UTC),
            total_cents=total,
            status=PENDING,
            lines=lines,
        )
        session.add(order)
    return order


def _take_from_stock(session: Session, meal_id: int, quantity: int, position: int) -> OrderLine:
    # The test and the taking are one statement: nobody can come in between.
    taken = session.execute(
        update(Meal)
        .where(Meal.id == meal_id, Meal.stock >= quantity)
        .values(stock=Meal.stock - quantity)
        .returning(Meal.name, Meal.price_cents)
    ).one_or_none()
    if taken is not None:
        name, price = taken
        return OrderLine(
            position=position, meal_id=meal_id, name=name, quantity=quantity, price_cents=price
        )
    meal = session.get(Meal, meal_id)
    if meal is None:
        raise CannotBuy("A meal in your cart is off the menu. Look at it again.")
    if meal.stock:
        raise CannotBuy(f"Only {meal.stock} left of {meal.name}. Take fewer.")
    raise CannotBuy(f"{meal.name} is sold out. Remove it from your cart.")


def _cancel(database: Database, order: Order) -> None:
    with database.writing() as session:
        current = session.get_one(Order, order.id, options=[selectinload(Order.lines)])
        _undo(session, current)


def _undo(session: Session, order: Order) -> None:
    # Whoever turns it from pending gives back, once.
    turned = session.scalar(
        update(Order)
        .where(Order.id == order.id, Order.status == PENDING)
        .values(status=CANCELLED)
        .returning(Order.id)
    )
    if turned is None:
        return
    sold = {line.meal_id: line.quantity for line in order.lines if line.meal_id is not None}
    for meal_id, quantity in sorted(sold.items()):
        session.execute(update(Meal).where(Meal.id == meal_id).values(stock=Meal.stock + quantity))
    give_back(session, order.user_id, sold)
