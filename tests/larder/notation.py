"""How meals are written: their ingredients in forms and files, their names in URLs. No database."""

from __future__ import annotations

import re
import unicodedata

from tests.larder.models import Ingredient

_INGREDIENT = re.compile(r"(?P<amount>\d{1,5}(\.\d{1,3})?) ?(?P<unit>g|ml|tbsp|tsp)? (?P<name>.+)")


def slug_of(name: str) -> str:
    """Return what stands for a name in URLs; letters without a plain form are spelt by number."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    return (slug or "-".join(f"{ord(letter):x}" for letter in name[:10]))[:80]


def read_ingredient(text: str) -> Ingredient | None:
    """Read ``100 g flour`` or ``2 eggs``; None when it is no ingredient."""
    match = _INGREDIENT.fullmatch(text)
    if match is None or len(match["name"]) > 80:
        return None
    return Ingredient(name=match["name"], amount=float(match["amount"]), unit=match["unit"] or "")


def write_ingredient(part: Ingredient) -> str:
    """Write an ingredient as it is read."""
    return " ".join(filter(None, (f"{part.amount:g}", part.unit, part.name)))
