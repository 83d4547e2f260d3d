"""Recommendations: what is offered, in which order, why, and what never is.

The meals of a test have ingredients that no other meal has, so that only they speak for each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Page, Playwright, expect

from tests.e2e.actors import Actor, Dish
from tests.e2e.pages import Customer, MealPage, RecommendationsPage
from tests.larder.payment import DECLINED_CARD
from tests.larder.process import Larder

AddMeal = Callable[..., Dish]


@pytest.fixture
def goods() -> Callable[..., str]:
    """Write the ingredients of a meal: call it with their names, which become this test's own."""
    own = uuid4().hex[:8]

    def write(*names: str) -> str:
        return "\n".join(f"10 g {own} {name}" for name in names)

    return write


def test_a_stranger_is_shown_something_and_asked_to_log_in(page: Page) -> None:
    """Who is not known yet sees six meals, and how to see better ones."""
    offers = RecommendationsPage(page).open()

    expect(offers.cards).to_have_count(6)
    page.get_by_role("main").get_by_role("link", name="Log in").click()
    expect(page).to_have_url(re.compile(r"/login\?next=/recommendations$"))


def test_a_new_customer_is_offered_what_sells_best(
    page: Page, start_larder: Callable[..., Larder], playwright: Playwright
) -> None:
    """Without a taste of his own he gets that of all, and after it the menu by its names."""
    larder = start_larder()
    request = playwright.request.new_context()
    for number, slugs in enumerate((["miso-soup", "fish-pie"], ["miso-soup"], ["miso-soup"])):
        buyer = Actor(request, larder.url)
        buyer.register(Customer("Bob", f"bob-{number}@example.test", "a-good-password"))
        buyer.buy(*(Dish("", slug) for slug in slugs))
    request.dispose()

    page.goto(f"{larder.url}/recommendations")

    offers = RecommendationsPage(page)
    expect(offers.names).to_have_text(
        [
            "Miso Soup",
            "Fish Pie",
            "Apple Crumble",
            "Apple Porridge",
            "Beef Stew",
            "Beetroot Borscht",
        ]
    )
    expect(offers.reason("Miso Soup")).to_have_text("popular with our customers")
    expect(offers.reason("Beef Stew")).to_have_text("waiting to be discovered")


def test_an_order_is_a_reason(
    page: Page, shopper: Actor, add_meal: AddMeal, goods: Callable[..., str]
) -> None:
    """What goes with an order is offered first, and says which order."""
    bought = add_meal(ingredients=goods("plums"))
    similar = add_meal(ingredients=goods("plums", "poppy seeds"))
    shopper.buy(bought)

    offers = RecommendationsPage(page).open()

    expect(offers.names.first).to_have_text(similar.name)
    expect(offers.reason(similar.name)).to_contain_text(f"because you ordered {bought.name}")


def test_a_like_is_a_reason(
    page: Page, shopper: Actor, add_meal: AddMeal, goods: Callable[..., str]
) -> None:
    """The button on a meal's page tells its taste, and it can be taken back."""
    liked = add_meal(ingredients=goods("plums"))
    similar = add_meal(ingredients=goods("plums"))
    meal, offers = MealPage(page), RecommendationsPage(page)

    meal.visit(liked.slug).like.click()
    expect(meal.like).to_have_attribute("aria-pressed", "true")
    offers.open()
    expect(offers.names.first).to_have_text(similar.name)
    expect(offers.reason(similar.name)).to_contain_text(f"because you liked {liked.name}")

    meal.visit(liked.slug).like.click()
    expect(meal.like).to_have_attribute("aria-pressed", "false")
    offers.open()
    expect(page.get_by_text(f"because you liked {liked.name}")).to_have_count(0)


def test_only_customers_can_like(page: Page, add_meal: AddMeal) -> None:
    """A stranger has no button."""
    meal = MealPage(page).visit(add_meal().slug)

    expect(meal.login).to_be_visible()
    expect(meal.like).to_have_count(0)


def test_the_reason_names_what_both_have(
    page: Page, shopper: Actor, add_meal: AddMeal, goods: Callable[..., str]
) -> None:
    """Up to two ingredients are named, in order."""
    bought = add_meal(ingredients=goods("plums", "almonds", "cream"))
    similar = add_meal(ingredients=goods("cream", "plums", "almonds", "rum"))
    shopper.buy(bought)

    offers = RecommendationsPage(page).open()

    expect(offers.reason(similar.name)).to_have_text(
        re.compile(rf"^because you ordered {bought.name}, also with \w+ almond and \w+ cream$")
    )


def test_one_egg_is_like_two_eggs(
    page: Page, shopper: Actor, add_meal: AddMeal, goods: Callable[..., str]
) -> None:
    """Ingredients are compared without regard to their number."""
    bought = add_meal(ingredients=goods("quail egg", "potato"), course="dessert")
    similar = add_meal(ingredients=goods("quail eggs", "potatoes"), course="soup")
    shopper.buy(bought)

    offers = RecommendationsPage(page).open()

    expect(offers.names.first).to_have_text(similar.name)


def test_more_in_common_comes_first(
    page: Page, shopper: Actor, add_meal: AddMeal, goods: Callable[..., str]
) -> None:
    """The more of the ingredients are shared, the further up."""
    bought = add_meal(ingredients=goods("plums", "almonds", "cream"))
    some = add_meal(ingredients=goods("plums", "rum", "sugar"))
    most = add_meal(ingredients=goods("plums", "almonds", "sugar"))
    shopper.buy(bought)

    offers = RecommendationsPage(page).open()

    expect(offers.names.nth(0)).to_have_text(most.name)
    expect(offers.names.nth(1)).to_have_text(some.name)


def test_the_same_course_decides_between_equals(
    page: Page, shopper: Actor, add_meal: AddMeal, goods: Callable[..., str]
) -> None:
    """Of two meals with as much in common the one of the same course comes first."""
    bought = add_meal(ingredients=goods("plums"), course="dessert")
    other = add_meal(ingredients=goods("plums"), course="soup")
    same = add_meal(ingredients=goods("plums"), course="dessert")
    shopper.buy(bought)

    offers = RecommendationsPage(page).open()

    expect(offers.names.nth(0)).to_have_text(same.name)
    expect(offers.names.nth(1)).to_have_text(other.name)


def test_what_others_bought_with_it_is_offered(
    page: Page,
    shopper: Actor,
    somebody: Callable[[], Actor],
    add_meal: AddMeal,
    goods: Callable[..., str],
) -> None:
    """Two meals with nothing in common but their buyers speak for each other."""
    bought = add_meal(ingredients=goods("plums"), course="dessert")
    together = add_meal(ingredients=goods("herring"), course="salad")
    somebody().buy(bought, together)
    shopper.buy(bought)

    offers = RecommendationsPage(page).open()

    expect(offers.names.first).to_have_text(together.name)
    expect(offers.reason(together.name)).to_have_text(
        f"because you ordered {bought.name}, often bought together"
    )


def test_what_more_others_bought_with_it_comes_first(
    page: Page,
    shopper: Actor,
    somebody: Callable[[], Actor],
    add_meal: AddMeal,
    goods: Callable[..., str],
) -> None:
    """Each customer counts once, however often he orders."""
    bought = add_meal(ingredients=goods("plums"), course="dessert")
    by_one = add_meal(ingredients=goods("herring"), course="dessert")
    by_two = add_meal(ingredients=goods("leek"), course="dessert")
    eager = somebody()
    for _ in range(3):
        eager.buy(bought, by_one)
    eager.buy(by_two)
    somebody().buy(bought, by_two)
    shopper.buy(bought)

    offers = RecommendationsPage(page).open()

    expect(offers.names.nth(0)).to_have_text(by_two.name)
    expect(offers.names.nth(1)).to_have_text(by_one.name)


def test_the_strongest_reason_is_told(
    page: Page, shopper: Actor, add_meal: AddMeal, goods: Callable[..., str]
) -> None:
    """Of several meals that speak for one, the one with the most in common is named."""
    little = add_meal(ingredients=goods("plums", "rum"), course="soup")
    much = add_meal(ingredients=goods("plums", "almonds"), course="soup")
    offered = add_meal(ingredients=goods("plums", "almonds"))
    shopper.like(little)
    shopper.buy(much)

    offers = RecommendationsPage(page).open()

    expect(offers.reason(offered.name)).to_contain_text(f"because you ordered {much.name}")


@pytest.mark.parametrize("how", ["ordered", "liked"])
def test_what_is_known_is_not_offered(
    page: Page, shopper: Actor, add_meal: AddMeal, goods: Callable[..., str], how: str
) -> None:
    """Neither what the customer had nor what he likes is news to him."""
    one, other = add_meal(ingredients=goods("plums")), add_meal(ingredients=goods("plums"))
    fresh = add_meal(ingredients=goods("plums"))
    shopper.buy(one)
    if how == "ordered":
        shopper.buy(other)
    else:
        shopper.like(other)

    offers = RecommendationsPage(page).open()

    expect(offers.names.first).to_have_text(fresh.name)
    expect(offers.names.filter(has_text=other.name)).to_have_count(0)
    expect(offers.names.filter(has_text=one.name)).to_have_count(0)


def test_what_is_sold_out_is_not_offered(
    page: Page,
    shopper: Actor,
    somebody: Callable[[], Actor],
    add_meal: AddMeal,
    goods: Callable[..., str],
) -> None:
    """A meal leaves the list with its last piece."""
    bought = add_meal(ingredients=goods("plums"))
    last = add_meal(ingredients=goods("plums"), stock="1")
    shopper.buy(bought)
    offers = RecommendationsPage(page).open()
    expect(offers.names.first).to_have_text(last.name)

    somebody().buy(last)

    expect(offers.open().names.filter(has_text=last.name)).to_have_count(0)


def test_what_is_in_the_cart_is_not_offered(
    page: Page, shopper: Actor, add_meal: AddMeal, goods: Callable[..., str]
) -> None:
    """Nobody is told to buy what he is about to buy; taken out it is offered again."""
    bought = add_meal(ingredients=goods("plums"))
    similar = add_meal(ingredients=goods("plums"))
    shopper.buy(bought)
    shopper.put(similar)
    offers = RecommendationsPage(page).open()
    expect(offers.names).to_have_count(6)
    expect(offers.names.filter(has_text=similar.name)).to_have_count(0)

    shopper.post(f"/cart/{similar.slug}", {"quantity": "0"})

    expect(offers.open().names.first).to_have_text(similar.name)


@pytest.mark.parametrize("choices", [2, 3])
def test_who_always_chooses_vegetarian_is_offered_no_meat(
    page: Page, shopper: Actor, add_meal: AddMeal, goods: Callable[..., str], choices: int
) -> None:
    """Three vegetarian choices and no other are a habit; two are not yet."""
    greens = [add_meal(ingredients=goods("leek"), vegetarian="1") for _ in range(choices)]
    meaty = add_meal(ingredients=goods("leek"))
    green = add_meal(ingredients=goods("leek"), vegetarian="1")
    shopper.buy(*greens)

    offers = RecommendationsPage(page).open()

    expect(offers.names.filter(has_text=green.name)).to_have_count(1)
    expect(offers.names.filter(has_text=meaty.name)).to_have_count(1 if choices == 2 else 0)


def test_equal_meals_come_in_the_order_of_their_names(
    page: Page, shopper: Actor, add_meal: AddMeal, goods: Callable[..., str]
) -> None:
    """The list is the same each time, whatever order the meals were written in."""
    bought = add_meal(ingredients=goods("plums"))
    equals = [add_meal(ingredients=goods("plums")) for _ in range(4)]
    shopper.buy(bought)
    names = sorted(dish.name for dish in equals)

    for _ in range(2):
        offers = RecommendationsPage(page).open()
        assert offers.names.all_inner_texts()[:4] == names


def test_customers_are_offered_what_fits_themselves(
    page: Page,
    shopper: Actor,
    somebody: Callable[[], Actor],
    add_meal: AddMeal,
    goods: Callable[..., str],
) -> None:
    """What somebody else ordered is no reason to tell me."""
    bought = add_meal(ingredients=goods("plums"))
    add_meal(ingredients=goods("plums"))
    somebody().buy(bought)

    RecommendationsPage(page).open()

    expect(page.get_by_text("because you ordered")).to_have_count(0)


def test_what_was_not_paid_is_no_reason(
    page: Page, shopper: Actor, add_meal: AddMeal, goods: Callable[..., str], base_url: str
) -> None:
    """An order that the bank declined tells nothing."""
    wanted = add_meal(ingredients=goods("plums"))
    shopper.put(wanted)
    form: dict[str, Any] = {"csrf": shopper.csrf(), "card": DECLINED_CARD}
    assert shopper.request.post(f"{base_url}/checkout", form=form).status == 422

    RecommendationsPage(page).open()

    expect(page.get_by_text("because you ordered")).to_have_count(0)


def test_a_meal_that_left_the_menu_is_no_reason(
    page: Page, shopper: Actor, staff: Actor, add_meal: AddMeal, goods: Callable[..., str]
) -> None:
    """An order of a meal that is gone does no harm."""
    bought = add_meal(ingredients=goods("plums"))
    add_meal(ingredients=goods("plums"))
    shopper.buy(bought)

    staff.remove_meal(bought)

    offers = RecommendationsPage(page).open()
    expect(offers.cards).to_have_count(6)
    expect(page.get_by_text(bought.name)).to_have_count(0)


def test_an_offer_leads_to_its_meal(
    page: Page, shopper: Actor, add_meal: AddMeal, goods: Callable[..., str]
) -> None:
    """From the list it is one step to the meal, and one more into the cart."""
    bought = add_meal(ingredients=goods("plums"))
    similar = add_meal(ingredients=goods("plums"))
    shopper.buy(bought)

    RecommendationsPage(page).open().cards.first.get_by_role("link").click()

    expect(MealPage(page).heading).to_have_text(similar.name)
    expect(MealPage(page).order).to_be_visible()


def test_programs_are_offered_the_same(
    page: Page, shopper: Actor, add_meal: AddMeal, goods: Callable[..., str]
) -> None:
    """As JSON there are the same meals in the same order, with their reasons."""
    bought = add_meal(ingredients=goods("plums"))
    add_meal(ingredients=goods("plums"))
    shopper.buy(bought)

    offers = page.request.get("/api/recommendations").json()["recommendations"]

    expect(RecommendationsPage(page).open().names).to_have_text([each["name"] for each in offers])
    assert offers[0]["reason"] == f"because you ordered {bought.name}"
    assert offers[-1]["detail"] == "also a main course"
