"""What a page holds, read from a real headless Chromium."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Error, Page, Playwright, expect

from pytest_sentinel.errors import NotMeasurable
from pytest_sentinel.memory import pagereading
from pytest_sentinel.memory.limits import COUNTS, SIZES
from pytest_sentinel.memory.pagereading import (
    PageReading,
    biggest_constructors,
    read_by_script,
    read_page,
)
from pytest_sentinel.units import MIB

pytestmark = pytest.mark.browser

PAGE = "<title>Larder</title><button>Cook</button><input><div></div>"


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """A browser of our own: Playwright's if it is there, else the system's."""
    browser = playwright.chromium.launch()
    # Its last processes come with its first picture.
    page = browser.new_page()
    page.screenshot()
    page.close()
    yield browser
    browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A small page in a context of its own."""
    context = chromium.new_context()
    page = context.new_page()
    page.set_content(PAGE)
    yield page
    context.close()


def test_two_readings_of_a_page_at_rest_are_equal(page: Page) -> None:
    """Every number is the same, and the heap is within 64 KiB."""
    read_page(page)
    before, after = read_page(page), read_page(page)

    assert [getattr(after, name) for name in COUNTS] == [getattr(before, name) for name in COUNTS]
    assert abs(after.heap - before.heap) < 64 * 1024
    assert (after.engine, after.settled) == ("chromium", True)


def test_what_playwright_brings_along_is_no_growth(page: Page) -> None:
    """The first locators and expectations of a test add no listener between two readings."""
    before = read_page(page)
    page.locator("button").click()
    page.get_by_role("textbox").fill("")
    expect(page.locator("div")).to_have_count(1)
    page.wait_for_function("document.title")

    assert read_page(page).listeners == before.listeners


def test_the_heap_holds_objects_and_array_buffers(page: Page) -> None:
    """Buffers are part of the heap, as in performance.memory; strings are in the heap alone."""
    before = read_page(page)
    page.evaluate("window.buffer = new Uint8Array(20 * 2**20).fill(1); 0")
    page.evaluate("window.text = Array(2**20).fill('').map(() => 'abcdefgh').join(''); 0")
    after = read_page(page)
    claimed = page.evaluate("performance.memory.usedJSHeapSize")

    assert 20 * MIB <= after.buffers - before.buffers < 21 * MIB
    assert 28 * MIB <= after.heap - before.heap < 30 * MIB
    assert after.array_buffers - before.array_buffers == 1
    # What the page is told is rounded by up to a tenth.
    assert claimed == pytest.approx(after.heap, rel=0.2)


def test_garbage_is_not_counted(page: Page) -> None:
    """What nobody holds any more has been collected before the reading."""
    before = read_page(page)
    page.evaluate("new Uint8Array(20 * 2**20).fill(1); Array.from({length: 1e5}, () => ({})); 0")

    assert abs(read_page(page).heap - before.heap) < MIB


def test_nodes_and_listeners_are_exact(page: Page) -> None:
    """Nodes count whether they are in the document or only kept; so do their listeners."""
    before = read_page(page)
    page.evaluate("""() => {
        window.kept = document.createElement('p');
        const div = document.querySelector('div');
        for (let i = 0; i < 50; i++) {
            div.append(document.createElement('i'));
            window.kept.append(document.createElement('b'));
            window.kept.addEventListener('click', () => i);
        }
    }""")
    after = read_page(page)

    assert after.nodes - before.nodes == 101
    assert after.listeners - before.listeners == 50


def test_a_frame_is_a_frame_and_a_document(page: Page) -> None:
    """An embedded document is counted twice over: as what shows it, and as itself."""
    before = read_page(page)
    page.evaluate("document.body.append(document.createElement('iframe'))")
    after = read_page(page)

    assert (after.frames - before.frames, after.documents - before.documents) == (1, 1)


def test_a_page_behind_a_dialog_is_not_waited_for(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that does not answer is said to be that, after the time limit."""
    monkeypatch.setattr(pagereading, "ANSWER_SECONDS", 0.3)
    page.on("dialog", lambda dialog: None)
    with page.expect_event("dialog") as asked:
        page.evaluate("setTimeout(() => alert('Sure?')); 0")

    with pytest.raises(NotMeasurable, match=r"about:blank: it did not answer for 0\.3 s"):
        read_page(page)

    asked.value.dismiss()
    assert read_page(page).nodes > 0


def test_a_crashed_page_is_said_to_be_that(page: Page) -> None:
    """The reading fails at once, with what Playwright says of the page."""
    with page.expect_event("crash"), pytest.raises(Error):
        page.goto("chrome://crash")

    with pytest.raises(NotMeasurable, match="crashed"):
        read_page(page)


def test_a_closed_page_is_said_to_be_that(page: Page) -> None:
    """There is nothing to read of it."""
    page.close()

    with pytest.raises(NotMeasurable, match="closed"):
        read_page(page)


def test_only_pages_of_the_sync_api_are_read() -> None:
    """What is no such page is refused by name."""
    with pytest.raises(NotMeasurable, match="'page': it is no page of Playwright's sync API"):
        read_page("page")  # type: ignore[arg-type]


def test_script_counts_what_stands_in_the_document(page: Page) -> None:
    """Nodes of frames and of open shadow trees count, as do style rules, also adopted ones."""
    before = read_by_script(page)
    page.evaluate("""() => {
        const shadow = document.querySelector('div').attachShadow({mode: 'open'});
        shadow.append(document.createElement('p'), document.createElement('p'));
        const sheet = new CSSStyleSheet();
        sheet.replaceSync('p { color: red } i { color: blue }');
        shadow.adoptedStyleSheets = [sheet];
        const frame = document.createElement('iframe');
        frame.srcdoc = '<!doctype html><html><head><style>b{}</style></head><body></body></html>';
        document.body.append(frame);
    }""")
    page.frames[1].wait_for_selector("style", state="attached")
    after = read_by_script(page)

    # The frame; a shadow root and two paragraphs; a document, its type, html, head, style, its
    # text, and body.
    assert after.nodes - before.nodes == 1 + 3 + 7
    assert after.css_rules - before.css_rules == 3
    assert (after.frames, after.workers) == (2, 0)


def test_what_an_engine_does_not_tell_raises() -> None:
    """A counter that was not read is no 0."""
    reading = PageReading("firefox", {"nodes": 12})

    assert reading.nodes == 12
    with pytest.raises(NotMeasurable, match="listeners: not available on firefox"):
        assert reading.listeners


def test_every_counter_that_can_be_limited_can_be_read(page: Page) -> None:
    """The names of limits are the attributes of a reading."""
    reading = read_page(page)

    assert list(reading.values) == [*SIZES, *COUNTS]
    assert [getattr(reading, name) for name in reading.values] == list(reading.values.values())


def test_the_biggest_constructors_are_named_with_bytes_and_number(page: Page) -> None:
    """A class of the page stands in the list with how many there are of it."""
    page.evaluate("""() => {
        class Basket { constructor(i) { this.a = this.b = this.c = this.d = i } }
        window.baskets = Array.from({length: 50000}, (_, i) => new Basket(i));
    }""")

    title, *rows = biggest_constructors(page, read_page(page))

    assert title == "biggest constructors (bytes of their own, number):"
    assert len(rows) == 5
    assert [row.split()[2:] for row in rows if row.endswith("Basket")] == [["50,000", "Basket"]]


def test_a_heap_too_big_for_a_snapshot_is_said_to_be_that(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No snapshot is taken that would take minutes, or more memory than there is."""
    reading = read_page(page)
    monkeypatch.setattr(pagereading, "available_memory", lambda: 1000)
    assert biggest_constructors(page, reading)[0].endswith(", and 1000 B are free")

    monkeypatch.setattr(pagereading, "SNAPSHOT_AT_MOST", 1000)
    assert biggest_constructors(page, reading)[0].endswith(" takes too long")


def test_without_numpy_the_way_to_get_it_is_shown(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The finding stands; what is missing is named."""
    monkeypatch.setitem(sys.modules, "pytest_sentinel.leaks.heapsnapshot", None)

    lines = biggest_constructors(page, read_page(page))

    assert lines == ["biggest constructors: need numpy: pip install 'pytest-sentinel[heap]'"]


def test_a_page_that_is_gone_costs_only_the_constructors(page: Page) -> None:
    """The list says why there is none, and raises nothing."""
    reading = read_page(page)
    page.close()

    [line] = biggest_constructors(page, reading)

    assert line.startswith("biggest constructors: BrowserContext.new_cdp_session")
