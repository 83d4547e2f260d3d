"""A suite that names our types is checked by ``mypy --strict`` as any other code."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_sentinel import check_leaks
from pytest_sentinel.pageleaks import CheckOptions

SUITE = """
import pytest
from playwright.sync_api import Page

from pytest_sentinel import BrowserPool, LeakReport, Leaks, Memory, MemoryBudgetExceeded, PageLeak


def test_all(page: Page, leaks: Leaks, memory: Memory, browser_pool: BrowserPool) -> None:
    report = leaks.repeat(page, lambda: page.click("button"), iterations=20, allow=["window.x"])
    same: LeakReport = leaks.repeat(page, (page.reload, page.go_back), settle=0.5)
    assert report.verdict == same.verdict
    with pytest.raises(PageLeak), memory.limit(page, heap="+5 MB", nodes=0):
        leaks.watch(page, "window.x", "x").expect_collected()
    with pytest.raises(MemoryBudgetExceeded):
        assert memory.read(page).heap < memory.read_browser().pss
    assert browser_pool.statistics().crashes == 0
"""
WRONG = {
    'leaks.repeat(page, "click")': 'has incompatible type "str"',
    'leaks.repeat(page, print, iterations="many")': "incompatible type \"Literal['many']\"",
    "leaks.repeat(page, print, iteration=8)": 'Unexpected keyword argument "iteration"',
    "leaks.repeat(page, print).verdikt": 'has no attribute "verdikt"',
    "memory.limit(page, heap=1.5)": 'incompatible type "float"',
    "browser_pool.statistics().crash": 'has no attribute "crash"',
}


def test_a_suite_with_our_types_is_checked(tmp_path: Path) -> None:
    """What is right passes ``mypy --strict``; each wrong argument and name is found."""
    (tmp_path / "test_right.py").write_text(SUITE)
    rows = "".join(f"    {row}\n" for row in WRONG)
    head = SUITE.partition("    report")[0]
    (tmp_path / "test_wrong.py").write_text(f"{head}{rows}")

    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    found = [line for line in ran.stdout.splitlines() if ": error:" in line]
    assert len(found) == len(WRONG), ran.stdout + ran.stderr
    for error, message in zip(found, WRONG.values(), strict=True):
        assert error.startswith("test_wrong.py:")
        assert message in error


def test_the_typed_options_are_those_of_the_check() -> None:
    """``leaks.repeat`` takes what ``check_leaks`` takes."""
    parameters = inspect.signature(check_leaks).parameters.values()
    options = {one.name for one in parameters if one.kind is one.KEYWORD_ONLY}

    assert set(CheckOptions.__annotations__) == options


LIGHT = ("playwright", "numpy", "psutil", "msgspec", "click", "rich", "pytest", "asyncio")


@pytest.mark.parametrize("name", ["Leaks", "Memory", "BrowserPool"])
def test_types_are_imported_when_they_are_asked_for(name: str) -> None:
    """Importing the package imports nothing but the standard library; a type brings its own."""
    script = (
        "import sys, pytest_sentinel\n"
        f"print([name for name in {LIGHT!r} if name in sys.modules])\n"
        f"from pytest_sentinel import {name}\n"
        f"print({name}.__name__, {name!r} in dir(pytest_sentinel))"
    )

    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )

    assert ran.stdout.splitlines() == ["[]", f"{name} True"]
