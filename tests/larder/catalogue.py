"""Finding meals: the queries behind the list, the detail page and the kitchen. Reads only.

Changing meals is the business of menu.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session, selectinload

from tests.larder.models import Ingredient, Like, Meal

COURSES = {
    "breakfast": "Breakfast",
    "soup": "Soup",
    "salad": "Salad",
    "main": "Main course",
    "dessert": "Dessert",
}


# What the list can be narrowed to, and how it can be sorted; both by the value in the URL.
TIMES = {"15": "15 minutes", "30": "30 minutes", "60": "an hour"}
SORTS = {"": "Name", "price": "Price", "time": "Time"}

PAGE_SIZE = 12

_ORDERS = {"": (), "price": (Meal.price_cents,), "time": (Meal.minutes,)}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a customer asked the list for; anything he got wrong is as if he had not asked."""

    text: str = ""
    course: str = ""
    vegetarian: bool = False
    minutes: str = ""
    sort: str = ""
    page: int = 1

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Wish:
        """Read a wish from the query of a URL."""
        text = "".join(filter(str.isprintable, query.get("q", "")))
        course, minutes = query.get("course", ""), query.get("minutes", "")
        sort, page = query.get("sort", ""), query.get("page", "1")
        return cls(
            text=text.strip()[:80],
            course=course if course in COURSES else "",
            vegetarian=query.get("vegetarian") == "1",
            minutes=minutes if minutes in TIMES else "",
            sort=sort if sort in SORTS else "",
            page=int(page) if page.isascii() and page.isdigit() and len(page) < 7 else 1,
        )

    def url(self, page: int) -> str:
        """Return where ``page`` of this wish is found."""
        wanted = {
            "q": self.text,
            "course": self.course,
            "vegetarian": "1" if self.vegetarian else "",
            "minutes": self.minutes,
            "sort": self.sort,
            "page": str(page) if page > 1 else "",
        }
        query = urlencode({name: value for name, value in wanted.items() if value})
        return f"/meals?{query}" if query else "/meals"


@dataclass(frozen=True, slots=True)
class MealPage:
    """A page of a list: its meals, its number, how many pages there are and meals on them all."""

    meals: Sequence[Meal]
    number: int
    pages: int
    found: int


def find_meals(session: Session, wish: Wish) -> MealPage:
    """Return the page of meals that ``wish`` asks for, or the last where there are not so many."""
    query = _fulfilling(wish)
    found = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    pages = max(1, -(-found // PAGE_SIZE))
    number = min(max(1, wish.page), pages)
    # The id last: meals of one name must not change places from page to page.
    query = query.order_by(*_ORDERS[wish.sort], Meal.name, Meal.id)
    meals = session.scalars(query.limit(PAGE_SIZE).offset((number - 1) * PAGE_SIZE)).all()
    return MealPage(meals, number, pages, found)


def _fulfilling(wish: Wish) -> Select[Any]:
    query = select(Meal)
    if wish.course:
        query = query.where(Meal.course == wish.course)
    if wish.vegetarian:
        query = query.where(Meal.vegetarian)
    if wish.minutes:
        query = query.where(Meal.minutes <= int(wish.minutes))
    for word in wish.text.split():
        query = query.where(
            or_(
                Meal.name.icontains(word, autoescape=True),
                Meal.summary.icontains(word, autoescape=True),
                Meal.ingredients.any(Ingredient.name.icontains(word, autoescape=True)),
            )
        )
    return query


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


def is_liked(session: Session, user_id: int, meal_id: int) -> bool:
    """Tell whether a customer likes a meal."""
    return session.get(Like, (user_id, meal_id)) is not None
