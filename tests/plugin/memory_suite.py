"""The scratch suite of test_memory_markers.py, which says how each of its tests must end."""

import unittest

import pytest
from playwright.sync_api import Error

BUFFER = "size => { window.buffer = new Uint8Array(size * 2**20).fill(1) }"
TEXT = "size => { window.text = Array(size * 2**17).fill('').map(() => 'abcdefgh').join('') }"
NODES = "n => { for (; n > 0; n--) document.body.append(document.createElement('i')) }"


@pytest.mark.limit_page_heap("40 MB")
class TestPageHeap:
    def test_within(self, page):
        page.evaluate(TEXT, 10)
        page.evaluate("new Uint8Array(100 * 2**20).fill(1); 0")

    def test_text(self, page):
        page.evaluate(TEXT, 60)

    def test_buffer(self, page):
        page.set_content("<title>Pantry</title>")
        page.evaluate(BUFFER, 60)

    @pytest.mark.limit_page_heap("90 MB")
    def test_closest(self, page):
        page.evaluate(BUFFER, 60)

    def test_own_failure(self, page):
        page.evaluate(BUFFER, 60)
        assert page.title() == "Pantry"

    def test_session_page(self, kept_page):
        kept_page.evaluate(BUFFER, 60)

    def test_crashed_page(self, page):
        with page.expect_event("crash"), pytest.raises(Error):
            page.goto("chrome://crash")

    def test_nothing_to_measure(self, browser):
        pass


@pytest.fixture
def kept_page(browser):
    page = browser.new_page()
    yield page
    page.close()


class TestUnit(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def _page(self, page):
        self.page = page

    @pytest.mark.limit_page_heap("40 MB")
    def test_unit_over(self):
        self.page.evaluate(BUFFER, 60)

    @pytest.mark.limit_page_heap("40 MB")
    def test_unit_within(self):
        self.page.evaluate(BUFFER, 10)

    @pytest.mark.limit_page_heap("40 MB")
    def test_unit_own_failure(self):
        self.page.evaluate(BUFFER, 60)
        assert self.page.title() == "Pantry"


@pytest.mark.limit_browser_memory("1 GB", growth="60 MB")
def test_browser_within(page):
    page.set_content("<p>Bread</p>")
    page.evaluate("new Uint8Array(100 * 2**20).fill(1); 0")


@pytest.mark.limit_browser_memory("1 GB", growth="60 MB")
def test_browser_grows(page):
    page.evaluate(BUFFER, 100)


@pytest.mark.limit_browser_memory("1 GB", growth="60 MB")
def test_browser_asked_for_late(request):
    request.getfixturevalue("page").evaluate(BUFFER, 100)


@pytest.mark.limit_browser_memory("300 MB")
def test_browser_peak(page, memory):
    page.evaluate(BUFFER, 300)
    memory.read_browser(page)
    page.evaluate("window.buffer = null")
    assert memory.read(page).heap < 20 * 2**20


@pytest.mark.limit_browser_memory("300 MB")
def test_browser_after_the_peak(page):
    page.set_content("<p>Bread</p>")


@pytest.mark.limit_browser_memory("300 MB")
@pytest.mark.limit_page_heap("40 MB")
def test_browser_and_page(page):
    page.evaluate(BUFFER, 300)


@pytest.fixture
def held():
    lists = []
    yield lists
    lists.clear()


@pytest.mark.limit_worker_memory("500 MB")
def test_worker_over(held):
    held.append(b"x" * 500 * 2**20)


@pytest.mark.limit_worker_memory("500 MB")
def test_worker_within(held):
    held.append(b"x" * 10 * 2**20)


def test_block_within(page, memory):
    page.set_content("<button onclick='document.title = 1'>Cook</button>")
    with memory.limit(page, heap="+5 MB", nodes="+100", listeners=0, documents="3"):
        page.get_by_role("button").click()
        page.evaluate(TEXT, 2)


def test_block_over(page, memory):
    page.set_content("<button>Cook</button>")
    with memory.limit(page, heap="+5 MB", nodes="+100", listeners=0, documents="3"):
        page.evaluate(TEXT, 20)
        page.evaluate(NODES, 300)
        page.evaluate("addEventListener('resize', () => {})")


def test_block_ceiling(page, memory):
    page.evaluate(BUFFER, 30)
    with memory.limit(page, buffers="20 MB"):
        pass


def test_block_own_failure(page, memory):
    with memory.limit(page, heap="+5 MB"):
        page.evaluate(TEXT, 20)
        assert page.title() == "Pantry"


def test_block_unknown_name(page, memory):
    memory.limit(page, heep="+5 MB")
    raise RuntimeError("not refused at once")


def test_readings(page, memory):
    page.evaluate(BUFFER, 30)
    reading = memory.read(page)
    assert (reading.buffers >> 20, reading.frames) == (30, 1)
    by_page, only = memory.read_browser(page), memory.read_browser()
    assert by_page.processes == memory.read_browser(page.context).processes >= 4
    assert 0.5 < by_page.pss / only.pss < 2
    assert memory.read_worker().processes == 1
    assert 30 * 2**20 < memory.read_worker().pss < 800 * 2**20


def test_two_browsers(page, launch_browser, memory):
    second = launch_browser()
    try:
        with pytest.raises(Exception, match="2 are open; name a page"):
            memory.read_browser()
        assert memory.read_browser(second).pss > 0
    finally:
        second.close()


def test_no_browser_of_ours(memory, page):
    with pytest.raises(Exception, match="no such browser runs on behalf of this process"):
        memory.read_browser(object())


@pytest.mark.xfail(strict=True)
@pytest.mark.limit_page_heap("40 MB")
def test_expected(page):
    page.evaluate(BUFFER, 60)
