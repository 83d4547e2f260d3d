"""The rules of the menu: adding, changing and removing meals, and liking them.

Who may do so is checked by the routes.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tests.larder.accounts import InvalidField
from tests.larder.catalogue import COURSES, find_meal
from tests.larder.database import Database
from tests.larder.images import read_image
from tests.larder.models import Image, Like, Meal
from tests.larder.notation import read_ingredient, slug_of

LARGEST_STOCK = 1_000_000

# What stands in the place of a meal in the URLs of the shop.
_RESERVED = frozenset({"new"})


def add_meal(database: Database, form: dict[str, str], upload: bytes) -> Meal:
    """Add the meal that ``form`` describes; raise InvalidField if it cannot be."""
    meal = Meal(slug="", stock=0)
    image = _fill(meal, form, upload)
    meal.slug = slug_of(meal.name)
    meal.stock = _whole("stock", form, 0, LARGEST_STOCK)
    if meal.slug in _RESERVED:
        raise InvalidField("name", "Choose another name; this one is taken by the shop.")
    try:
        with database.writing() as session:
            _keep(session, meal, image)
            session.add(meal)
    except IntegrityError:
        raise InvalidField("name", "There is a meal of this name already.") from None
    return meal


def change_meal(database: Database, slug: str, form: dict[str, str], upload: bytes) -> Meal | None:
    """Make of a meal what ``form`` says; its URL stays. None when there is no such meal.

    The stock is changed by as much as whoever filled in the form changed it: what was sold in the
    meantime stays sold.

    Raises:
        InvalidField: the form cannot be taken; nothing is changed.
    """
    wanted, seen = (
        _whole("stock", form, 0, LARGEST_STOCK),
        _whole("stock_seen", form, 0, LARGEST_STOCK),
    )
    with database.writing() as session:
        meal = find_meal(session, slug)
        if meal is None:
            return None
        image = _fill(meal, form, upload)
        if image is None and form.get("drop_image") == "1":
            meal.image = None
        _keep(session, meal, image)
        session.flush()
        counted = Meal.stock + (wanted - seen)
        changed = session.execute(
            update(Meal)
            .where(Meal.id == meal.id, counted.between(0, LARGEST_STOCK))
            .values(stock=counted)
            .returning(Meal.id)
        )
        if changed.scalar() is None:
            raise InvalidField("stock", "More were sold meanwhile. Reload and count again.")
        _forget_unused_images(session)
    return meal


def remove_meal(database: Database, slug: str) -> bool:
    """Take a meal from the menu, from every cart too; orders keep its name and price."""
    with database.writing() as session:
        removed = session.scalar(delete(Meal).where(Meal.slug == slug).returning(Meal.id))
        _forget_unused_images(session)
    return removed is not None


def set_like(database: Database, user_id: int, meal_id: int, likes: bool) -> None:
    """Remember that a customer likes a meal, or that he does not any longer."""
    with database.writing() as session:
        found = session.get(Like, (user_id, meal_id))
        if found is None and likes:
            session.add(Like(user_id=user_id, meal_id=meal_id))
        elif found is not None and not likes:
            session.delete(found)


def _fill(meal: Meal, form: dict[str, str], upload: bytes) -> Image | None:
    meal.name = _line("name", form, 80, "Give the meal a name, in at most 80 letters.")
    meal.course = form.get("course", "")
    if meal.course not in COURSES:
        raise InvalidField("course", "Choose one of the courses.")
    meal.summary = _line("summary", form, 200, "Describe the meal in at most 200 letters.")
    meal.price_cents = _price(form)
    meal.minutes = _whole("minutes", form, 1, 600)
    meal.vegetarian = form.get("vegetarian") == "1"
    ingredients = []
    for position, text in enumerate(_lines("ingredients", form, 30), 1):
        ingredient = read_ingredient(text)
        if ingredient is None:
            raise InvalidField("ingredients", f"Write it like '100 g flour', not '{text[:40]}'.")
        ingredient.position = position
        ingredients.append(ingredient)
    meal.steps = "\n".join(_lines("steps", form, 30))
    image = read_image(upload) if upload else None
    meal.ingredients = ingredients
    return image


def _keep(session: Session, meal: Meal, image: Image | None) -> None:
    if image is not None:
        meal.image = image.digest
        if session.get(Image, image.digest) is None:
            session.add(image)


def _forget_unused_images(session: Session) -> None:
    used = select(Meal.image).where(Meal.image.is_not(None))
    session.execute(delete(Image).where(Image.digest.not_in(used)))


def _line(field: str, form: dict[str, str], longest: int, wanted: str) -> str:
    text = form.get(field, "").strip()
    if not 1 <= len(text) <= longest or not text.isprintable():
        raise InvalidField(field, wanted)
    return text


def _lines(field: str, form: dict[str, str], most: int) -> list[str]:
    lines = [line.strip() for line in form.get(field, "").splitlines() if line.strip()]
    if not 1 <= len(lines) <= most:
        raise InvalidField(field, f"Write 1 to {most} lines.")
    if not all(line.isprintable() and len(line) <= 200 for line in lines):
        raise InvalidField(field, "Write at most 200 letters a line.")
    return lines


def _price(form: dict[str, str]) -> int:
    try:
        price = Decimal(form.get("price", "").strip()[:20])
        cents = int(price * 100) if price.is_finite() else 0
    except (InvalidOperation, OverflowError):
        cents, price = 0, Decimal(0)
    if not 1 <= cents <= 100_000 or price * 100 != cents:
        raise InvalidField("price", "Name a price from 0.01 to 1000 euros, such as 6.80.")
    return cents


def _whole(field: str, form: dict[str, str], least: int, most: int) -> int:
    text = form.get(field, "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 9 and least <= int(text) <= most):
        raise InvalidField(field, f"Write a whole number from {least} to {most}.")
    return int(text)
