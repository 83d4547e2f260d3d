"""The meals: the list with its search, the page of a meal, and the kitchen."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect
from pytest_playwright import CreateContextCallback

from tests.e2e.pages import KitchenPage, MealsPage, ShopPage
from tests.larder.process import Larder


def test_the_list_shows_all_meals_by_name(page: Page) -> None:
    """Without a wish every meal is there, in alphabetical order."""
    meals = MealsPage(page).open()

    expect(meals.names).to_have_count(24)
    names = meals.names.all_inner_texts()
    assert names == sorted(names)


def test_a_meal_has_its_page(page: Page) -> None:
    """The link in the list leads to price, time, ingredients and recipe."""
    MealsPage(page).open().choose("Lentil Soup")

    expect(ShopPage(page).heading).to_have_text("Lentil Soup")
    expect(page.get_by_role("definition").first).to_have_text("€6.80")
    expect(page.get_by_role("list", name="Ingredients for one")).to_contain_text("80 g brown")
    expect(page.get_by_role("list", name="How we cook it").get_by_role("listitem")).to_have_count(3)


def test_an_unknown_meal_is_not_found(page: Page) -> None:
    """A meal that is not on the list answers 404 with a way back."""
    response = page.goto("/meals/stone-soup")

    assert response is not None
    assert response.status == 404
    page.get_by_role("link", name="See the meals").click()
    expect(MealsPage(page).names).to_have_count(24)


def test_the_list_is_filtered_while_typing(page: Page) -> None:
    """Matches appear without a page load, also by ingredient, and the URL can be shared."""
    meals = MealsPage(page).open()
    page.evaluate("window.stayed = true")

    meals.search.press_sequentially("lentil")

    expect(meals.names).to_have_text(["Lentil Salad", "Lentil Soup"])
    expect(meals.count).to_have_text("2 of 24 meals")
    expect(page).to_have_url(re.compile(r"/meals\?q=lentil$"))
    assert page.evaluate("window.stayed")


def test_filters_narrow_each_other(page: Page) -> None:
    """Course, diet and text must all fit."""
    meals = MealsPage(page).open()

    meals.course.select_option("Main course")
    expect(meals.count).to_have_text("7 of 24 meals")
    meals.vegetarian.check()
    expect(meals.count).to_have_text("3 of 24 meals")
    meals.search.fill("rice")
    expect(meals.names).to_have_text(["Chickpea Curry", "Mushroom Risotto"])


def test_a_search_without_a_match_says_so(page: Page) -> None:
    """Nothing found is told in words, and a percent sign is only a letter."""
    page.goto("/meals?q=100%25")

    expect(page.get_by_text("No meal fits.")).to_be_visible()
    expect(MealsPage(page).count).to_have_text("0 of 24 meals")


def test_the_search_works_without_javascript(new_context: CreateContextCallback) -> None:
    """The form alone finds the same meals."""
    meals = MealsPage(new_context(java_script_enabled=False).new_page()).open()

    meals.search.fill("apple")
    meals.submit.click()

    expect(meals.names).to_have_text(["Apple Crumble", "Apple Porridge"])


def test_the_kitchen_opens_and_closes_a_recipe(page: Page) -> None:
    """A panel shows the recipe for as many as come, and goes when it is closed."""
    kitchen = KitchenPage(page).open()
    expect(kitchen.state).to_have_text("24 recipes")

    panel = kitchen.open_panel("Beef Stew")
    panel.get_by_label("Persons").fill("4")
    expect(panel).to_contain_text("800 g beef shoulder")
    panel.get_by_label("Brown the beef").check()
    kitchen.close_panel("Beef Stew")

    expect(panel).to_have_count(0)


def test_the_kitchen_keeps_nothing_of_a_closed_recipe(page: Page) -> None:
    """However often a panel opens and closes, no closed panel is remembered."""
    kitchen = KitchenPage(page).open()

    for _ in range(3):
        kitchen.open_panel("Fish Pie")
        kitchen.close_panel("Fish Pie")

    expect(kitchen.rows).to_have_count(24)
    assert page.evaluate("[kitchen.history.length, kitchen.open.size]") == [0, 0]


def test_the_planted_leak_keeps_every_closed_recipe(
    page: Page, start_larder: Callable[..., Larder]
) -> None:
    """With LARDER_FAULTS=leak:kitchen each closing adds a detached panel to the history."""
    larder = start_larder(LARDER_FAULTS="leak:kitchen")
    page.goto(f"{larder.url}/kitchen")
    kitchen = KitchenPage(page)

    for _ in range(3):
        kitchen.open_panel("Fish Pie")
        kitchen.close_panel("Fish Pie")

    kept = "kitchen.history.map(({ticket, panel}) => [ticket.meal.name, panel.isConnected])"
    assert page.evaluate(kept) == [["Fish Pie", False]] * 3
