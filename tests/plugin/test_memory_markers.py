"""Memory limits in a whole run: one scratch suite in one process, and spread over two workers."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

pytestmark = pytest.mark.browser

SUITE = """
import unittest

import pytest

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
        with page.expect_event("crash"), pytest.raises(Exception):
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
    block = memory.limit(page, heep="+5 MB")
    raise RuntimeError("not refused at once")


def test_readings(page, memory):
    page.evaluate(BUFFER, 30)
    reading = memory.read(page)
    assert (reading.buffers >> 20, reading.frames) == (30, 1)
    by_page, only = memory.read_browser(page), memory.read_browser()
    assert by_page.processes == memory.read_browser(page.context).processes >= 4
    assert 0.5 < by_page.pss / only.pss < 2
    assert 1 == memory.read_worker().processes
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
"""

BAD = """
import pytest

pytestmark = pytest.mark.limit_worker_memory


@pytest.mark.limit_page_heap("lots")
def test_size():
    pass


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.limit_browser_memory("300 MB", grow="50 MB")
def test_keyword(number):
    pass
"""


@dataclass(frozen=True)
class Ran:
    """A run of the scratch suite.

    Attributes:
        words: how each test ended, as ``-v`` has it.
        texts: what each failure said, in all and in its first line.
    """

    status: int
    words: dict[str, str]
    texts: dict[str, tuple[str, str]]
    output: str
    artifacts: set[str]


def run(directory: Path, tests: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a suite of one file in a process of its own."""
    (directory / "test_it.py").write_text(tests)
    temporary = directory / "tmp"
    temporary.mkdir()
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:locust", "-p", "no:cacheprovider", *options],
        cwd=directory,
        env={**ours, "TMPDIR": str(temporary)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="module", params=["0", "2"], ids=["n0", "n2"])
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The scratch suite, run without workers and with two."""
    directory = tmp_path_factory.mktemp("suite")
    options = ("-n", request.param, "-rA", "--junitxml=junit.xml", "--screenshot=only-on-failure")
    done = run(directory, SUITE, "-o", "console_output_style=classic", *options)
    words, texts = {}, {}
    for line in done.stdout.partition("short test summary info")[2].splitlines():
        word, _, rest = line.partition(" ")
        if "::" in rest:
            words[rest.split(" - ")[0].rpartition("::")[2].removesuffix("[chromium]")] = word
    for case in ET.parse(directory / "junit.xml").iter("testcase"):
        failure = case.find("failure")
        if failure is not None:
            name = case.attrib["name"].removesuffix("[chromium]")
            texts[name] = failure.text or "", failure.attrib["message"].splitlines()[0]
    kept = {path.parent.name for path in (directory / "test-results").rglob("test-failed-1.png")}
    return Ran(done.returncode, words, texts, done.stdout, kept)


def test_every_test_ends_as_its_limits_say(ran: Ran) -> None:
    """Broken limits are MEMORY, a test's own failure is its own, all others pass."""
    endings = {
        "MEMORY": {
            *("test_text", "test_buffer", "test_session_page", "test_unit_over"),
            *("test_browser_grows", "test_browser_asked_for_late", "test_browser_peak"),
            *("test_browser_and_page", "test_worker_over", "test_block_over"),
            "test_block_ceiling",
        },
        "FAILED": {
            *("test_own_failure", "test_unit_own_failure", "test_block_own_failure"),
            *("test_block_unknown_name", "test_crashed_page"),
        },
        "PASSED": {
            *("test_within", "test_closest", "test_nothing_to_measure", "test_unit_within"),
            *("test_browser_within", "test_browser_after_the_peak", "test_worker_within"),
            *("test_block_within", "test_readings", "test_two_browsers"),
            "test_no_browser_of_ours",
        },
        "XFAIL": {"test_expected"},
    }

    assert ran.words == {name: word for word, names in endings.items() for name in names}
    assert ran.status == 1
    assert "16 failed, 11 passed, 1 xfailed" in ran.output


def test_artifacts_of_a_test_over_its_limit_are_kept(ran: Ran) -> None:
    """The screenshot shows the page as it was at the end of the body."""
    assert "test-it-py-testpageheap-test-text-chromium" in ran.artifacts
    assert "test-it-py-testpageheap-test-within-chromium" not in ran.artifacts


def test_a_page_heap_is_told_with_its_page_and_its_constructors(ran: Ran) -> None:
    """The first line is reading and limit; then the page's counters and the biggest classes."""
    text, message = ran.texts["test_text"]
    lines = text.splitlines()

    assert message.startswith("limit_page_heap: heap 61.")
    assert lines[0].endswith(" MiB, 40 MiB allowed")
    assert lines[1] == "  about:blank"
    assert "nodes 4, listeners 26, documents 1" in lines[2]
    assert lines[3] == "  biggest constructors (bytes of their own, number):"
    assert lines[4].split()[0] == "60.7"
    assert lines[4].endswith("(string)")
    assert len(lines) == 9


def test_array_buffers_belong_to_the_heap(ran: Ran) -> None:
    """They are told apart in the line of the page, and lead the constructors."""
    text, _ = ran.texts["test_buffer"]

    assert "heap 61.8 MiB, buffers 60 MiB" in text
    assert text.splitlines()[4].split()[:2] == ["60", "MiB"]
    assert "JSArrayBufferData" in text.splitlines()[4]


def test_growth_of_a_browser_is_told_from_start_to_end(ran: Ran) -> None:
    """The table has start, peak and end; growth is that of the column without files."""
    for name in ("test_browser_grows", "test_browser_asked_for_late"):
        text, message = ran.texts[name]
        lines = text.splitlines()

        assert message.startswith("limit_browser_memory: grew by 11")
        assert lines[0].endswith(" MiB, 60 MiB allowed")
        assert lines[1].split() == ["PSS", "processes", "without", "files"]
        assert [line.split()[0] for line in lines[2:5]] == ["start", "peak", "end"]
        assert lines[5].startswith("  PSS of browser-")


def test_the_peak_of_a_browser_counts_when_it_is_over(ran: Ran) -> None:
    """What was freed before the end of the test is in the peak, and not in the next test's."""
    text, message = ran.texts["test_browser_peak"]
    rows = [line.split() for line in text.splitlines()]
    peak, end = (float(row[1]) for row in rows if row[0] in ("peak", "end"))

    assert message.endswith(" MiB at the peak, 300 MiB allowed")
    assert peak > 300 > end


def test_two_broken_limits_are_one_failure(ran: Ran) -> None:
    """The first line names both; both have their details."""
    text, message = ran.texts["test_browser_and_page"]

    assert message.startswith("limit_browser_memory: ")
    assert " MiB at the peak, 300 MiB allowed; limit_page_heap: heap 302 MiB, 40 MiB" in text
    assert "PSS of browser-" in text
    assert "biggest constructors" in text


def test_the_worker_is_the_python_process_alone(ran: Ran) -> None:
    """The message says what is not in the number."""
    text, message = ran.texts["test_worker_over"]

    assert message.startswith("limit_worker_memory: ")
    assert " MiB at the peak, 500 MiB allowed" in text
    assert "Playwright's driver and the browsers are not in it" in text


def test_a_block_is_told_before_and_after(ran: Ran) -> None:
    """Every broken limit is in the first line; the table has what moved or was limited."""
    text, message = ran.texts["test_block_over"]
    rows = {line.split()[1]: line.split() for line in text.splitlines() if line.startswith("E  ")}

    assert message.startswith("memory.limit: heap +20.")
    assert message.endswith(
        " MiB, +5 MiB allowed; nodes +300, +100 allowed; listeners +1, +0 allowed"
    )
    assert rows["nodes"][2:] == ["6", "306", "+300", "+100", "exceeded"]
    assert rows["listeners"][4:] == ["+1", "+0", "exceeded"]
    assert rows["documents"][2:] == ["1", "1", "+0", "3"]
    assert "biggest constructors" in text


def test_a_ceiling_is_held_against_the_end_of_the_block(ran: Ran) -> None:
    """It is broken by what was there before as well."""
    assert ran.texts["test_block_ceiling"][1].startswith(
        "memory.limit: buffers 30 MiB, 20 MiB allowed"
    )


def test_a_block_that_fails_is_not_judged(ran: Ran) -> None:
    """The body's own failure stands alone."""
    assert "MemoryBudgetExceeded" not in ran.texts["test_block_own_failure"][0]


def test_an_unknown_counter_is_refused_at_once(ran: Ran) -> None:
    """The error lists the counters that there are."""
    message = ran.texts["test_block_unknown_name"][1]

    assert "memory.limit: 'heep' is no counter of a page; a good value is one of heap" in message


def test_a_page_that_cannot_be_read_fails_the_test_without_a_verdict(ran: Ran) -> None:
    """The limit was neither kept nor broken; the message says why nobody knows."""
    _, message = ran.texts["test_crashed_page"]

    assert message.startswith("memory limits: not checked; the page about:blank: ")
    assert "crashed" in message


def test_a_limit_that_could_not_be_checked_is_a_warning(ran: Ran) -> None:
    """A test with a browser and no page says so, and does not pass in silence."""
    assert "limit_page_heap could not be checked: no page was open when the test" in ran.output


@pytest.mark.parametrize("workers", ["0", "2"])
def test_bad_markers_end_the_run_before_it_begins(tmp_path: Path, workers: str) -> None:
    """Each is told once, with the first test that has it and a good one; the status is 4."""
    done = run(tmp_path, BAD, "-n", workers)

    assert done.returncode == 4
    assert (
        "ERROR: test_it.py::test_size: limit_page_heap: 'lots' is not a size; a good value is"
        ' limit_page_heap("40 MB")' in done.stdout
    )
    assert "test_it.py::test_size: limit_worker_memory: () is not one size" in done.stdout
    assert "test_it.py::test_keyword[1]: limit_browser_memory: 'grow' is no keyword" in done.stdout
    assert done.stdout.count("a good value is") == 3
    assert "INTERNALERROR" not in done.stdout
