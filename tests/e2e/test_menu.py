"""The menu, as those who run the shop write it: adding, changing and removing meals."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.actors import Actor, Dish, png
from tests.e2e.pages import Customer, MealFormPage, MealPage, MealsPage
from tests.larder.process import ADMIN_ADDRESS, ADMIN_PASSWORD


@pytest.fixture
def chef(page: Page, base_url: str) -> Actor:
    """An admin who is logged in on ``page``."""
    chef = Actor(page.request, base_url)
    chef.log_in(Customer("Admin", ADMIN_ADDRESS, ADMIN_PASSWORD))
    return chef


@pytest.fixture
def new_name(staff: Actor) -> Iterator[str]:
    """A name that no meal has; the meal that gets it goes with the test."""
    name = f"Plum Dumplings {uuid4().hex[:10]}"
    yield name
    staff.remove_meal(Dish(name, name.lower().replace(" ", "-")))


def test_an_admin_adds_a_meal(page: Page, chef: Actor, new_name: str) -> None:
    """A meal that is written down is on the menu, with all that was written."""
    MealsPage(page).open().add.click()
    form = MealFormPage(page)
    form.write(Name=new_name)
    form.field("Course").select_option("Dessert")
    form.field("Vegetarian").check()
    form.submit.click()

    meal = MealPage(page)
    expect(meal.notice).to_have_text(f"{new_name} is on the menu.")
    expect(meal.facts).to_have_text(["€7.40", "Dessert", "35 minutes", "yes", "plenty"])
    expect(meal.ingredients.get_by_role("listitem")).to_have_text(
        ["3 plums", "120 g potatoes", "0.5 tsp cinnamon"]
    )
    expect(meal.steps).to_have_text(["Boil.", "Mash.", "Wrap."])


def test_an_admin_changes_a_meal(page: Page, chef: Actor, add_meal: Callable[..., Dish]) -> None:
    """The form shows what is, the meal becomes what was written, and its URL stays."""
    dish = add_meal(price="10.00")
    MealPage(page).visit(dish.slug).change.click()
    form = MealFormPage(page)
    expect(form.field("Price in euros")).to_have_value("10.00")
    expect(form.field("Ingredients for one")).to_have_value("100 g flour")

    form.field("Name").fill(f"{dish.name} Royal")
    form.field("Price in euros").fill("12.50")
    form.submit.click()

    expect(page).to_have_url(re.compile(f"/meals/{dish.slug}$"))
    expect(MealPage(page).heading).to_have_text(f"{dish.name} Royal")
    expect(MealPage(page).facts.first).to_have_text("€12.50")


def test_an_admin_removes_a_meal(page: Page, chef: Actor, add_meal: Callable[..., Dish]) -> None:
    """A meal goes only after a question, and is not found afterwards."""
    dish = add_meal()
    MealPage(page).visit(dish.slug).remove.click()
    expect(MealsPage(page).heading).to_have_text(f"Remove {dish.name}?")

    page.get_by_role("button", name="Remove for good").click()

    expect(MealsPage(page).notice).to_have_text(f"{dish.name} is off the menu.")
    response = page.goto(f"/meals/{dish.slug}")
    assert response is not None
    assert response.status == 404


def test_a_name_is_given_once(page: Page, chef: Actor, add_meal: Callable[..., Dish]) -> None:
    """Two meals cannot have one name, and nothing that was written is lost."""
    dish = add_meal()
    form = MealFormPage(page).open()

    form.write(Name=dish.name)
    form.send()

    expect(form.error).to_have_text("There is a meal of this name already.")
    expect(form.field("Name")).to_have_attribute("aria-invalid", "true")
    expect(form.field("Steps")).to_have_value("Boil.\nMash.\nWrap.")


@pytest.mark.parametrize(
    ("label", "text", "complaint"),
    [
        ("Name", "", "Give the meal a name, in at most 80 letters."),
        ("Name", "New", "Choose another name; this one is taken by the shop."),
        ("Summary", " ", "Describe the meal in at most 200 letters."),
        ("Price in euros", "0", "Name a price from 0.01 to 1000 euros, such as 6.80."),
        ("Price in euros", "1.005", "Name a price from 0.01 to 1000 euros, such as 6.80."),
        ("Minutes", "601", "Write a whole number from 1 to 600."),
        ("Stock", "-1", "Write a whole number from 0 to 1000000."),
        ("Ingredients for one", "some salt", "Write it like '100 g flour', not 'some salt'."),
        ("Steps", "\n\n", "Write 1 to 30 lines."),
    ],
)
def test_a_meal_that_makes_no_sense_is_refused(
    page: Page, chef: Actor, label: str, text: str, complaint: str
) -> None:
    """The complaint stands at the field it is about, and what was written stays in the form."""
    form = MealFormPage(page).open()

    form.write(**{label: text})
    form.send()

    expect(form.error).to_have_text(complaint)
    expect(form.field(label)).to_have_attribute("aria-invalid", "true")
    expect(form.field("Name" if label != "Name" else "Summary")).not_to_be_empty()


def test_a_customer_cannot_write_the_menu(page: Page, shopper: Actor) -> None:
    """Customers see no way to the form, and the form does not open for them."""
    meal = MealPage(page).visit("lentil-soup")
    expect(meal.change).to_have_count(0)
    expect(meal.remove).to_have_count(0)

    for path in ("/meals/new", "/meals/lentil-soup/change", "/meals/lentil-soup/remove"):
        answer = page.request.post(path, form={"csrf": shopper.csrf()})
        assert (answer.status, page.request.get(path).status) == (403, 403)

    expect(MealPage(page).visit("lentil-soup").heading).to_have_text("Lentil Soup")


def test_a_stranger_is_sent_to_the_login(page: Page) -> None:
    """The form of a meal wants to know who comes."""
    MealFormPage(page).open()

    expect(page).to_have_url(re.compile(r"/login\?next=/meals/new$"))


def test_what_is_sold_meanwhile_stays_sold(
    page: Page, chef: Actor, add_meal: Callable[..., Dish], somebody: Callable[[], Actor]
) -> None:
    """Who adds ten to the stock adds ten, also when some were sold while he wrote."""
    dish = add_meal(stock="3")
    page.goto(f"/meals/{dish.slug}/change")
    somebody().buy(dish)

    form = MealFormPage(page)
    form.field("Stock").fill("13")
    form.submit.click()

    expect(MealPage(page).notice).to_be_visible()
    assert page.request.get(f"/api/meals/{dish.slug}").json()["stock"] == 12


def test_a_meal_shows_its_picture(page: Page, chef: Actor, add_meal: Callable[..., Dish]) -> None:
    """A picture that is uploaded is shown, in the list and on the page of the meal."""
    dish = add_meal()
    page.goto(f"/meals/{dish.slug}/change")
    form = MealFormPage(page)
    picture = {"name": "dumplings.png", "mimeType": "image/png", "buffer": png(8)}
    form.picture.set_input_files(picture)  # type: ignore[arg-type]
    form.submit.click()

    expect(MealPage(page).plate).to_have_js_property("naturalWidth", 8)
    page.goto(f"/meals?q={dish.name}")
    card = MealsPage(page).card(dish.name)
    expect(card.locator("img")).to_have_js_property("naturalWidth", 8)


def test_a_picture_is_served_for_what_it_is(page: Page, chef: Actor, new_name: str) -> None:
    """It has the type that its bytes say, and may be kept: its URL means these bytes for ever."""
    picture = {"name": "x.gif", "mimeType": "image/gif", "buffer": png(9)}
    dish = chef.add_meal(name=new_name, image=picture)
    source = MealPage(page).visit(dish.slug).plate.get_attribute("src")

    answer = page.request.get(str(source))

    assert answer.body() == png(9)
    assert answer.headers["content-type"] == "image/png"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_picture_goes_with_its_meal(page: Page, chef: Actor, new_name: str) -> None:
    """What no meal shows is not kept; a meal can do without, too, and is drawn then."""
    picture = {"name": "x.png", "mimeType": "image/png", "buffer": png(10)}
    dish = chef.add_meal(name=new_name, image=picture)
    meal = MealPage(page).visit(dish.slug)
    source = str(meal.plate.get_attribute("src"))

    meal.change.click()
    MealFormPage(page).field("Remove the picture").check()
    MealFormPage(page).submit.click()

    expect(meal.notice).to_be_visible()
    expect(page.locator("article svg.plate")).to_have_count(1)
    assert page.request.get(source).status == 404


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        pytest.param(
            b'<svg xmlns="http://www.w3.org/2000/svg"/>', "Choose a PNG or JPEG picture.", id="svg"
        ),
        pytest.param(png()[:40], "Choose a PNG or JPEG picture.", id="half"),
        pytest.param(
            png() + b"\0" * 1024 * 1024, "Choose a picture of at most 1 MB.", id="too large"
        ),
        pytest.param(
            png().replace(b"\0\0\0\x08" * 2, b"\0\0\x0f\xa1" * 2),
            "Choose a picture of at most 4000 pixels a side.",
            id="too many pixels",
        ),
    ],
)
def test_what_is_no_picture_is_refused(
    page: Page, chef: Actor, data: bytes, complaint: str
) -> None:
    """A file is judged by its bytes; name and type, which anybody can write, count for nothing."""
    form = MealFormPage(page).open()
    form.write()
    picture = {"name": "dumplings.png", "mimeType": "image/png", "buffer": data}
    form.picture.set_input_files(picture)  # type: ignore[arg-type]

    form.send()

    expect(form.error).to_have_text(complaint)
