"""What to offer a customer next, and why: a plain function of what is known, without a database.

A meal is worth offering for what it shares with meals that the customer ordered or liked: their
ingredients, their course, the people who bought both. The meal that speaks loudest for it is the
reason. Who is new is offered what sells best. Equal facts give equal answers, in equal order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

COUNT = 6

# How much each may add for one meal of the customer's; what goes into a meal tells most.
_INGREDIENTS, _TOGETHER, _COURSE = 0.5, 0.4, 0.15
# So many vegetarian choices without another one are no accident.
_VEGETARIAN_AFTER = 3


@dataclass(frozen=True, slots=True)
class Dish:
    """What there is to know of a meal; its ingredients by their plain names."""

    id: int
    name: str
    course: str
    vegetarian: bool
    ingredients: frozenset[str]


@dataclass(frozen=True, slots=True)
class Taste:
    """What a customer ordered, and what he likes, by the ids of meals."""

    ordered: frozenset[int] = frozenset()
    liked: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many customers bought each meal, and how many bought this one and that one."""

    buyers: Mapping[int, int] = field(default_factory=dict)
    together: Mapping[tuple[int, int], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A meal to offer; ``reason`` and ``detail`` are told to the customer."""

    meal_id: int
    score: float
    reason: str
    detail: str


def recommend(
    dishes: Sequence[Dish],
    taste: Taste,
    crowd: Crowd,
    excluded: Set[int],
    count: int = COUNT,
) -> list[Recommendation]:
    """Return up to ``count`` meals that are new to the customer and not ``excluded``, best first.

    What his taste leaves open is filled with what sells best.
    """
    known = [dish for dish in dishes if dish.id in taste.ordered or dish.id in taste.liked]
    known_ids = {dish.id for dish in known}
    candidates = [d for d in dishes if d.id not in known_ids and d.id not in excluded]
    if len(known) >= _VEGETARIAN_AFTER and all(dish.vegetarian for dish in known):
        candidates = [dish for dish in candidates if dish.vegetarian]
    offers = {dish: _judge(dish, known, taste, crowd) for dish in candidates}

    def rank(dish: Dish) -> tuple[float, int, str, int]:
        return -offers[dish].score, -crowd.buyers.get(dish.id, 0), dish.name, dish.id

    return [offers[dish] for dish in sorted(candidates, key=rank)[:count]]


def plain(ingredient: str) -> str:
    """Return the singular of an ingredient, so that two eggs are known for an egg."""
    name = ingredient.lower()
    if name.endswith("oes"):
        return name[:-2]
    return name[:-1] if name.endswith("s") and not name.endswith("ss") else name


def _judge(dish: Dish, known: Sequence[Dish], taste: Taste, crowd: Crowd) -> Recommendation:
    pulls = [(_pull(dish, base, crowd), base) for base in known]
    score = round(sum(strength for strength, _ in pulls), 6)
    if score == 0:
        buyers = crowd.buyers.get(dish.id, 0)
        reason = "popular with our customers" if buyers else "waiting to be discovered"
        return Recommendation(dish.id, 0.0, reason, "")
    _, best = min(pulls, key=lambda pull: (-pull[0], pull[1].name, pull[1].id))
    deed = "ordered" if best.id in taste.ordered else "liked"
    reason = f"because you {deed} {best.name}"
    return Recommendation(dish.id, score, reason, _detail(dish, best, crowd))


def _pull(dish: Dish, base: Dish, crowd: Crowd) -> float:
    fewest = min(len(dish.ingredients), len(base.ingredients))
    shared = len(dish.ingredients & base.ingredients) / fewest if fewest else 0.0
    buyers = crowd.buyers.get(base.id, 0)
    together = crowd.together.get((base.id, dish.id), 0) / buyers if buyers else 0.0
    same_course = dish.course == base.course
    return _INGREDIENTS * shared + _TOGETHER * together + _COURSE * same_course


def _detail(dish: Dish, base: Dish, crowd: Crowd) -> str:
    if shared := sorted(dish.ingredients & base.ingredients):
        return f"also with {' and '.join(shared[:2])}"
    if crowd.together.get((base.id, dish.id)):
        return "often bought together"
    return f"also a {dish.course}"
