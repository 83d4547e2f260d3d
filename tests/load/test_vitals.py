"""Web vitals of pages: complete, those of the browser, and of windows that a page opens, too."""

from __future__ import annotations

import os

import pytest
from playwright.async_api import async_playwright

from pytest_sentinel.browsers import prepare
from pytest_sentinel.load.vitals import Vitals
from tests import loops
from tests.larder.process import Larder

pytestmark = pytest.mark.browser

NAMES = ("ttfb", "fcp", "lcp", "cls", "inp")
PAGES = ("/meals", "/kitchen", "/login", "/register", "/forgotten")


@pytest.fixture(scope="module", autouse=True)
def _browser_is_found() -> None:
    """Have Playwright find a browser."""
    prepare(os.environ)


def test_vitals_are_those_of_the_browser(larder: Larder) -> None:
    """On five pages each vital is there, and what the page's own entries say, to 10 % or 10 ms."""
    entries = """() => new Promise((done) => {
      const found = {};
      const note = (type, take) => new PerformanceObserver((list) => take(list.getEntries()))
        .observe({type, buffered: true});
      note("paint", (all) => all.forEach((e) => {
        if (e.name === "first-contentful-paint") found.fcp = e.startTime / 1000; }));
      note("largest-contentful-paint", (all) => { found.lcp = all.at(-1).startTime / 1000; });
      note("layout-shift", (all) => {
        found.cls = all.filter((e) => !e.hadRecentInput).reduce((sum, e) => sum + e.value, 0); });
      const interactions = {};
      const interact = (all) => all.forEach(({interactionId: id, duration}) => {
        if (id) interactions[id] = Math.max(interactions[id] ?? 0, duration / 1000); });
      note("first-input", interact);
      new PerformanceObserver((list) => interact(list.getEntries()))
        .observe({type: "event", buffered: true, durationThreshold: 16});
      found.cls = 0;
      found.ttfb = performance.getEntriesByType("navigation")[0].responseStart / 1000;
      setTimeout(() => {
        found.inp = Math.max(...Object.values(interactions));
        done(found);
      }, 300);
    })"""

    async def visit() -> tuple[list[dict[str, float]], Vitals]:
        own = []
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch()
            context = await browser.new_context(base_url=larder.url)
            step = ["start"]
            vitals = Vitals(lambda: step[0])
            await vitals.watch(context)
            page = await context.new_page()
            await vitals.follow(page)
            for path in PAGES:
                step[0] = path
                await page.goto(path)
                await page.get_by_role("heading", level=1).click()
                own.append(await page.evaluate(entries))
            await vitals.ask(context, 5.0)
            await browser.close()
        return own, vitals

    own, vitals = loops.run(visit())
    loads = vitals.loads()

    assert [load.page for load in loads] == list(PAGES)
    for load, entry in zip(loads, own, strict=True):
        for name in NAMES:
            value = getattr(load, name)
            assert value == pytest.approx(entry[name], rel=0.1, abs=0.01), (name, load, entry)


def test_pages_that_are_left_at_once_are_complete(larder: Larder) -> None:
    """A flow that clicks and goes on has every vital of every page, time after time."""

    async def visit() -> list[Vitals]:
        found = []
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch()
            for _ in range(3):
                context = await browser.new_context(base_url=larder.url)
                found.append(vitals := Vitals(lambda: "step"))
                await vitals.watch(context)
                page = await context.new_page()
                await vitals.follow(page)
                for path in PAGES:
                    await page.goto(path)
                    await page.get_by_role("heading", level=1).click()
                await vitals.ask(context, 5.0)
                await context.close()
            await browser.close()
        return found

    for vitals in loops.run(visit()):
        loads = vitals.loads()
        assert len(loads) == len(PAGES)
        assert not [load for load in loads if None in [getattr(load, name) for name in NAMES]]


def test_vitals_of_a_page_that_a_page_has_opened(larder: Larder) -> None:
    """What it said before anybody listened is asked for; a page without an entry has no value."""

    async def visit() -> Vitals:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch()
            context = await browser.new_context(base_url=larder.url)
            vitals = Vitals(lambda: "step")
            await vitals.watch(context)
            page = await context.new_page()
            await vitals.follow(page)
            await page.goto("/meals")
            async with context.expect_page() as opened:
                await page.evaluate("() => { open('/kitchen') }")
            popup = await opened.value
            await vitals.follow(popup)
            await popup.goto("/login")
            await page.close()
            await vitals.ask(context, 5.0)
            await browser.close()
        return vitals

    loads = loops.run(visit()).loads()

    assert len(loads) == 3
    assert all(load.ttfb is not None and load.inp is None for load in loads)
    assert loads[-1].lcp is not None
