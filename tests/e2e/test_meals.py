"""The meals: the list with its search, the page of a meal, and the kitchen."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect
from pytest_playwright import CreateContextCallback

from tests.e2e.actors import Actor, Dish
from tests.e2e.pages import Customer, KitchenPage, MealPage, MealsPage
from tests.larder.process import Larder


@pytest.mark.limit_page_heap("20 MB")
def test_the_list_begins_with_twelve_meals_by_name(page: Page) -> None:
    """Without a wish there is the first page of all meals, in alphabetical order."""
    meals = MealsPage(page).open()

    expect(meals.names).to_have_count(12)
    expect(meals.count).to_have_text("24 of 24 meals")
    names = meals.names.all_inner_texts()
    assert names == sorted(names)


def test_every_meal_is_on_one_page_of_the_list(page: Page) -> None:
    """Whoever turns the pages sees each meal once, and knows where he is."""
    meals = MealsPage(page).open()
    first = meals.names.all_inner_texts()

    meals.turn("Next")
    expect(meals.pages.get_by_role("link", name="2", exact=True)).to_have_attribute(
        "aria-current", "page"
    )
    second = meals.names.all_inner_texts()

    assert len(second) == 12
    assert first + second == sorted({*first, *second})
    expect(meals.pages.get_by_role("link", name="Next")).to_have_count(0)


def test_a_page_of_the_list_can_be_shared(page: Page) -> None:
    """Its URL holds the wish and the number, and leads there."""
    page.goto("/meals?vegetarian=1&sort=price&page=2")
    meals = MealsPage(page)

    expect(meals.count).to_have_text("17 of 24 meals")
    expect(meals.names).to_have_count(5)
    expect(meals.vegetarian).to_be_checked()
    meals.turn("Previous")
    expect(page).to_have_url(re.compile(r"/meals\?vegetarian=1&sort=price$"))


@pytest.mark.parametrize("number", ["3", "999999", "0", "-1", "two", "%00"])
def test_a_page_that_is_not_there_is_one_that_is(page: Page, number: str) -> None:
    """A number too high shows the last page, and what is no number shows the first."""
    page.goto(f"/meals?page={number}")

    expected = "2" if number in {"3", "999999"} else "1"
    current = MealsPage(page).pages.locator("[aria-current=page]")
    expect(current).to_have_text(expected)


def test_a_meal_has_its_page(page: Page) -> None:
    """The link in the list leads to price, time, ingredients and recipe."""
    page.goto("/meals?q=lentil")
    MealsPage(page).choose("Lentil Soup")
    meal = MealPage(page)

    expect(meal.heading).to_have_text("Lentil Soup")
    expect(meal.facts.first).to_have_text("€6.80")
    expect(meal.ingredients).to_contain_text("80 g brown")
    expect(meal.steps).to_have_count(3)


def test_an_unknown_meal_is_not_found(page: Page) -> None:
    """A meal that is not on the list answers 404 with a way back."""
    response = page.goto("/meals/stone-soup")

    assert response is not None
    assert response.status == 404
    page.get_by_role("link", name="See the meals").click()
    expect(MealsPage(page).names).to_have_count(12)


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


def test_a_filter_begins_at_the_first_page(page: Page) -> None:
    """Who narrows the list on its second page sees the best of the matches, not their end."""
    page.goto("/meals?page=2")
    meals = MealsPage(page)

    meals.vegetarian.check()

    expect(meals.count).to_have_text("17 of 24 meals")
    expect(meals.pages.locator("[aria-current=page]")).to_have_text("1")
    expect(page).to_have_url(re.compile(r"/meals\?vegetarian=1$"))


def test_meals_can_be_sorted_by_price(page: Page) -> None:
    """The cheapest come first."""
    meals = MealsPage(page).open()

    meals.sort.select_option("Price")

    expect(meals.names.first).to_have_text("Rice Pudding")
    prices = [float(text[1:]) for text in page.locator(".price").all_inner_texts()]
    assert prices == sorted(prices)


def test_meals_can_be_chosen_by_their_time(page: Page) -> None:
    """Who is in a hurry sees what is ready soon."""
    meals = MealsPage(page).open()

    meals.minutes.select_option("15 minutes")
    meals.sort.select_option("Time")

    expect(meals.count).to_have_text("4 of 24 meals")
    expect(meals.names.first).to_have_text("Greek Salad")


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


def test_a_meal_is_text_and_never_markup(page: Page, add_meal: Callable[..., Dish]) -> None:
    """Markup in a meal is shown as it was written, in the list and on its page."""
    dish = add_meal(summary="<b>Bold</b> & 'quoted'", steps="<script>window.cooked = 1</script>")

    page.goto(f"/meals?q={dish.name}")
    expect(MealsPage(page).card(dish.name)).to_contain_text("<b>Bold</b> & 'quoted'")
    MealsPage(page).choose(dish.name)

    expect(MealPage(page).steps).to_have_text(["<script>window.cooked = 1</script>"])
    assert page.evaluate("window.cooked") is None


@pytest.mark.parametrize(
    ("stock", "told"), [("0", "sold out"), ("3", "only 3 left"), ("50", "plenty")]
)
def test_a_meal_says_whether_there_is_any(
    page: Page, shopper: Actor, add_meal: Callable[..., Dish], stock: str, told: str
) -> None:
    """Only what is there can be ordered, and what is rare says how rare."""
    dish = add_meal(stock=stock)

    meal = MealPage(page).visit(dish.slug)

    expect(meal.facts.last).to_have_text(told)
    expect(meal.order).to_have_count(0 if stock == "0" else 1)


def test_a_stranger_is_asked_to_log_in_to_order(page: Page, customer: Customer) -> None:
    """A meal can be read by everybody; the way to ordering it leads over the login and back."""
    meal = MealPage(page).visit("lentil-soup")
    expect(meal.order).to_have_count(0)

    meal.login.click()
    page.get_by_label("E-mail address").fill(customer.address)
    page.get_by_label("Password").fill(customer.password)
    page.get_by_role("main").get_by_role("button", name="Log in").click()

    expect(page).to_have_url(re.compile("/meals/lentil-soup$"))
    expect(meal.order).to_be_visible()


def test_programs_read_the_same_meals(page: Page) -> None:
    """The list and a meal are there as JSON, with the same search and pages."""
    found = page.request.get("/api/meals?q=lentil").json()
    meal = page.request.get("/api/meals/lentil-soup").json()
    unknown = page.request.get("/api/meals/stone-soup")

    assert [each["slug"] for each in found["meals"]] == ["lentil-salad", "lentil-soup"]
    assert (found["page"], found["pages"], found["found"]) == (1, 1, 2)
    assert (meal["price_cents"], len(meal["steps"])) == (680, 3)
    assert (unknown.status, unknown.json()) == (404, {"error": "There is no such meal."})


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


@pytest.fixture
def recipe(page: Page) -> Locator:
    """The button of a recipe in the kitchen, which opens and closes it.

    By CSS: what role locators cache inside the page fills up for longer than a check takes.
    """
    KitchenPage(page).open()
    button = page.locator("li[data-slug=fish-pie] > button")
    button.wait_for()
    return button


@pytest.mark.leak_check
def test_the_kitchen_keeps_nothing_of_a_closed_recipe(page: Page, recipe: Locator) -> None:
    """However often a panel opens and closes, no closed panel is remembered."""
    recipe.click()
    recipe.click()


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

    kept = "window.kitchen.history.map(({ticket, panel}) => [ticket.meal.name, panel.isConnected])"
    assert page.evaluate(kept) == [["Fish Pie", False]] * 3
