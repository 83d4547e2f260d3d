"""Mistakes in markers end the run before it begins: all at once, each with its place and a cure."""

from __future__ import annotations

import re

import pytest

from tests.runs import Scratch

SUITE = '''
import unittest


class Mute:
    def __repr__(self):
        raise RuntimeError


@pytest.mark.leak_check(iterations="many")
def test_iterations(page): ...

@pytest.mark.leak_check(settle=-1)
def test_settle(page): ...

@pytest.mark.fresh_browser(3)
def test_fresh(page): ...

@pytest.mark.limit_page_heap(40)
def test_small(page): ...

@pytest.mark.limit_browser_memory("300 MB", growth=50)
def test_growth(browser): ...

@pytest.mark.limit_worker_memory(Mute())
def test_mute(): ...

@pytest.mark.allow_leak("context")
def test_reason(): ...

@pytest.mark.limit_page_heap("40 MB")
@pytest.mark.limit_page_heap("80 MB")
def test_twice(page): ...

@pytest.mark.leak_check
def test_without_page(): ...

@pytest.mark.leak_check
async def test_async(page): ...

@pytest.mark.parametrize("size", [1, pytest.param(2, marks=pytest.mark.limit_page_heap("2%"))])
def test_parameter(page, size): ...


@pytest.mark.leak_check(iterations=2)
class TestClass:
    def test_one(self, page): ...

    def test_two(self, page): ...


class TestUnit(unittest.TestCase):
    @pytest.mark.leak_check
    def test_unit(self): ...


def test_added(page):
    """
    >>> 1
    1
    """


@pytest.mark.usefixtures("page")
@pytest.mark.leak_check(iterations=8)
def test_good(): ...

pytestmark = pytest.mark.limit_worker_memory()
'''
KIT = """
def pytest_collection_modifyitems(items):
    for item in items:
        if "doctest" in type(item).__name__.lower():
            item.add_marker(pytest.mark.limit_page_heap("0 MB"))
"""
# By test: what the line says, and where; a name stands for the line of its first decorator.
EXPECTED = {
    "test_iterations": "iterations='many' is neither a whole number",
    "test_settle": "settle=-1 is not more than zero",
    "test_fresh": "fresh_browser takes no arguments, not 3",
    "test_small": "limit_page_heap: 40 is less than 1 MB",
    "test_growth": "limit_browser_memory: 50 is less than 1 MB",
    "test_mute": "limit_worker_memory: <Mute> is not a size",
    "test_reason": "allow_leak must give a reason",
    "test_twice": "limit_page_heap is given more than once",
    "test_without_page": "leak_check needs the fixture page",
    "test_async": "leak_check needs Playwright's sync API",
    "test_parameter": "limit_page_heap: '2%' is not a size",
    "TestClass": "iterations=2 is less than 8",
    "test_unit": "leak_check needs a test function",
}


@pytest.fixture
def scratch(pytester: pytest.Pytester) -> Scratch:
    """A suite with every mistake."""
    return Scratch(pytester, SUITE, KIT)


def line_of(scratch: Scratch, name: str) -> int:
    """Return the line at which the decorators of a test or class begin."""
    lines = (scratch.path / "test_it.py").read_text().splitlines()
    line = next(n for n, text in enumerate(lines) if re.search(rf"(def |class |^){name}\b", text))
    while lines[line - 1].lstrip().startswith("@"):
        line -= 1
    return line + 1


@pytest.mark.parametrize(
    "options",
    ["", "--collect-only", "-n 1", "-n 2", "--sentinel-leaks=off", "-n 1 --dist loadfile"],
)
def test_every_mistake_is_told_before_the_run(scratch: Scratch, options: str) -> None:
    """Exit status 4, and a line each: test, fault, a good marker, and where the marker stands."""
    result = scratch.run("--doctest-modules", *options.split())

    told = [*result.outlines, *result.errlines]
    rows = [line for line in told if re.search(r"\((of the \w+, )?test_it\.py(:\d+)?\)$", line)]
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert not [line for line in told if "INTERNALERROR" in line]
    assert len(rows) == len(EXPECTED) + 2, "\n".join(rows)
    for name, fault in EXPECTED.items():
        [row] = [row for row in rows if fault in row]
        where = "of the class, " if name == "TestClass" else ""
        assert row.endswith(f"({where}test_it.py:{line_of(scratch, name)})")
        assert "test_it.py::" in row
        assert "write " in row or "a good value is" in row or "keep one" in row
    assert [row for row in rows if "'0 MB' is not a size above 0" in row]
    [row] = [row for row in rows if "limit_worker_memory: () is not one size" in row]
    assert row.endswith(f"(of the module, test_it.py:{line_of(scratch, 'pytestmark')})")


WITHOUT = """
@pytest.mark.limit_page_heap("2 MB")
def test_page(): ...

@pytest.mark.limit_browser_memory("300 MB")
def test_browser(): ...

@pytest.mark.limit_worker_memory("9 GB")
def test_worker(): ...
"""


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_limit_on_nothing_warns(pytester: pytest.Pytester, workers: str) -> None:
    """A test without a page or browser passes, and a warning says that nothing was checked."""
    scratch = Scratch(pytester, WITHOUT)

    result = scratch.run("-n", workers)

    result.assert_outcomes(passed=3, warnings=2)
    text = result.stdout.str()
    assert "limit_page_heap could not be checked: no page was open when the test ended" in text
    assert "limit_browser_memory could not be checked: no browser of this process was used" in text


def test_a_warning_of_a_limit_on_nothing_may_be_an_error(pytester: pytest.Pytester) -> None:
    """Under ``-W error`` the test fails for it."""
    scratch = Scratch(pytester, WITHOUT)

    scratch.run("-W", "error").assert_outcomes(passed=1, failed=2)
