"""What recommending.py needs to know, from the database: the menu, one customer, all the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from tests.larder.catalogue import COURSES, recipes
from tests.larder.models import CartLine, Like, Meal, Order, OrderLine
from tests.larder.orders import PAID
from tests.larder.recommending import Crowd, Dish, Recommendation, Taste, plain, recommend

# What customers do lately; it bounds the work, too.
_LATEST_ORDERS = 2000


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A meal and why it is offered."""

    meal: Meal
    why: Recommendation


def suggest(session: Session, user_id: int | None) -> Sequence[Suggestion]:
    """Return what to offer a customer, or a stranger."""
    meals = {meal.id: meal for meal in recipes(session)}
    taste, excluded = Taste(), {meal.id for meal in meals.values() if not meal.stock}
    if user_id is not None:
        taste = _taste(session, user_id)
        excluded.update(
            session.scalars(select(CartLine.meal_id).where(CartLine.user_id == user_id))
        )
    dishes = [_dish(meal) for meal in meals.values()]
    crowd = _crowd(session, taste.ordered | taste.liked)
    return [
        Suggestion(meals[why.meal_id], why) for why in recommend(dishes, taste, crowd, excluded)
    ]


def _dish(meal: Meal) -> Dish:
    ingredients = frozenset(plain(part.name) for part in meal.ingredients)
    return Dish(meal.id, meal.name, COURSES[meal.course].lower(), meal.vegetarian, ingredients)


def _taste(session: Session, user_id: int) -> Taste:
    bought = (
        select(OrderLine.meal_id)
        .join(Order, Order.id == OrderLine.order_id)
        .where(Order.user_id == user_id, Order.status == PAID, OrderLine.meal_id.is_not(None))
    )
    liked = select(Like.meal_id).where(Like.user_id == user_id)
    return Taste(
        frozenset(meal_id for meal_id in session.scalars(bought) if meal_id is not None),
        frozenset(session.scalars(liked)),
    )


def _crowd(session: Session, known: frozenset[int]) -> Crowd:
    bought = _bought_lately().subquery()
    buyers = session.execute(
        select(bought.c.meal_id, func.count()).group_by(bought.c.meal_id)
    ).all()
    together: dict[tuple[int, int], int] = {}
    if known:
        this, other = _bought_lately().subquery(), _bought_lately().subquery()
        rows = session.execute(
            select(this.c.meal_id, other.c.meal_id, func.count())
            .join(other, other.c.user_id == this.c.user_id)
            .where(this.c.meal_id.in_(known), other.c.meal_id.not_in(known))
            .group_by(this.c.meal_id, other.c.meal_id)
        )
        together = {(one, two): count for one, two, count in rows}
    return Crowd({row[0]: row[1] for row in buyers}, together)


def _bought_lately() -> Select[Any]:
    latest = select(Order.id).where(Order.status == PAID).order_by(Order.id.desc())
    return (
        select(Order.user_id, OrderLine.meal_id)
        .join(OrderLine, OrderLine.order_id == Order.id)
        .where(Order.id.in_(latest.limit(_LATEST_ORDERS)), OrderLine.meal_id.is_not(None))
        .distinct()
    )
