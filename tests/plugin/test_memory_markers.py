"""Memory limits in a whole run: one scratch suite in one process, and spread over two workers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.runs import OPTIONS

pytestmark = pytest.mark.browser

SUITE = Path(__file__).with_name("memory_suite.py")

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
        [sys.executable, "-m", "pytest", *OPTIONS, *options],
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
    done = run(directory, SUITE.read_text(), "-o", "console_output_style=classic", *options)
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
    assert re.search(r"buffers .*, nodes \d+, listeners \d+, documents 1, frames 1", lines[2])
    assert lines[3] == "  biggest constructors (bytes of their own, number):"
    assert lines[4].split()[0].startswith("60.")
    assert lines[4].endswith("(string)")
    assert len(lines) == 9


def test_array_buffers_belong_to_the_heap(ran: Ran) -> None:
    """They are told apart in the line of the page, and lead the constructors."""
    text, _ = ran.texts["test_buffer"]

    assert re.search(r"heap 61\.\d MiB, buffers 60 MiB", text)
    assert text.splitlines()[4].split()[:2] == ["60", "MiB"]
    assert "JSArrayBufferData" in text.splitlines()[4]


def test_growth_of_a_browser_is_told_from_start_to_end(ran: Ran) -> None:
    """The table has start, peak and end; growth is that of the column without files."""
    for name in ("test_browser_grows", "test_browser_asked_for_late"):
        text, message = ran.texts[name]
        lines = text.splitlines()

        assert message.startswith("limit_browser_memory: grew by 1")
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
    assert " MiB at the peak, 300 MiB allowed; limit_page_heap: heap 30" in text
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

    assert message.startswith("memory.limit: heap +20")
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
