"""Finding meals: the queries behind the list, the detail page and the kitchen. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, selectinload

from tests.larder.models import Ingredient, Meal

COURSES = {
    "breakfast": "Breakfast",
    "soup": "Soup",
    "salad": "Salad",
    "main": "Main course",
    "dessert": "Dessert",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a customer asked the list for; anything he got wrong is as if he had not asked."""

    text: str = ""
    course: str = ""
    vegetarian: bool = False

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Wish:
        """Read a wish from the query of a URL."""
        text = "".join(filter(str.isprintable, query.get("q", "")))
        course = query.get("course", "")
        return cls(
            text=text.strip()[:80],
            course=course if course in COURSES else "",
            vegetarian=query.get("vegetarian") == "1",
        )


def find_meals(session: Session, wish: Wish) -> Sequence[Meal]:
    """Return the meals that fulfil all of ``wish``, by name."""
    query = select(Meal).order_by(Meal.name)
    if wish.course:
        query = query.where(Meal.course == wish.course)
    if wish.vegetarian:
        query = query.where(Meal.vegetarian)
    for word in wish.text.split():
        query = query.where(
            or_(
                Meal.name.icontains(word, autoescape=True),
                Meal.summary.icontains(word, autoescape=True),
                Meal.ingredients.any(Ingredient.name.icontains(word, autoescape=True)),
            )
        )
    return session.scalars(query).all()


def count_meals(session: Session) -> int:
    """Return how many meals there are."""
    return session.scalar(select(func.count()).select_from(Meal)) or 0


def find_meal(session: Session, slug: str) -> Meal | None:
    """Return one meal with its ingredients, or None."""
    if "\x00" in slug:
        return None
    return session.scalar(
        select(Meal).options(selectinload(Meal.ingredients)).where(Meal.slug == slug)
    )


def recipes(session: Session) -> Sequence[Meal]:
    """Return all meals with their ingredients, by name."""
    return session.scalars(
        select(Meal).options(selectinload(Meal.ingredients)).order_by(Meal.name)
    ).all()
