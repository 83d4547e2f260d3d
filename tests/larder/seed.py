"""Plant the same meals into every new larder. What they are stands in data/meals.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tests.larder.models import Ingredient, Meal
from tests.larder.notation import read_ingredient, slug_of

MEALS = Path(__file__).with_name("data") / "meals.toml"


def plant(session: Session, stock: int) -> None:
    """Add the meals, ``stock`` of each, unless there are some; the caller holds the write lock."""
    if session.scalar(select(func.count()).select_from(Meal)):
        return
    for entry in tomllib.loads(MEALS.read_text(encoding="utf-8"))["meals"]:
        session.add(_meal(entry, stock))
        # One by one, so that the ids follow the file.
        session.flush()


def _meal(entry: dict[str, Any], stock: int) -> Meal:
    return Meal(
        slug=slug_of(entry["name"]),
        name=entry["name"],
        course=entry["course"],
        summary=entry["summary"],
        price_cents=round(entry["price"] * 100),
        minutes=entry["minutes"],
        vegetarian=entry["vegetarian"],
        steps="\n".join(entry["steps"]),
        stock=stock,
        ingredients=[_ingredient(n, text) for n, text in enumerate(entry["ingredients"], 1)],
    )


def _ingredient(position: int, text: str) -> Ingredient:
    ingredient = read_ingredient(text)
    if ingredient is None:
        raise ValueError(f"{MEALS.name}: {text!r} is no ingredient; write it like '100 g flour'")
    ingredient.position = position
    return ingredient
