"""The leak check of larder's kitchen: CLEAN as it is, LEAK with LARDER_FAULTS=leak:kitchen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import Page

from tests.e2e.pages import KitchenPage

if TYPE_CHECKING:
    from pytest_sentinel.pageleaks import Leaks


def test_opening_and_closing_a_recipe_keeps_nothing(page: Page, leaks: Leaks) -> None:
    """A recipe that is opened and closed again leaves nothing in the page."""
    kitchen = KitchenPage(page).open()
    kitchen.rows.first.wait_for()

    def open_and_close() -> None:
        kitchen.open_panel("Fish Pie")
        kitchen.close_panel("Fish Pie")

    report = leaks.repeat(page, open_and_close)

    assert report.verdict == "CLEAN"
