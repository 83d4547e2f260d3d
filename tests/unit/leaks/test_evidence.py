"""Where the evidence of a check is kept: distinct, bounded, safe names."""

from __future__ import annotations

import itertools
import json
import re
import string
from pathlib import Path

import pytest

from pytest_sentinel.leaks.evidence import folder_name, keep_evidence
from pytest_sentinel.leaks.verdict import Leak, LeakReport

REPORT = LeakReport("LEAK", (Leak("heap", "window.kept"),), snapshots=(b"{}", b"{}"))
NAMES = (
    "tests/test_a.py::test_menu",
    "tests/test_b.py::test_menu",
    "tests/test_a.py::TestMenu::test_menu",
    "tests/test_a.py::TestOther::test_menu",
    "tests/test_a.py::test_menu[a/b]",
    "tests/test_a.py::test_menu[a:b]",
    "tests/test_a.py::test_menu[../../etc]",
    "tests/test_a.py::test_menu[\N{LATIN SMALL LETTER O WITH DIAERESIS}]",
    "tests/test_a.py::test_menu[\N{PILE OF POO}\udc80]",
    "tests/test_a.py::test_menu[" + "x" * 3000 + "]",
    "tests/test_a.py::test_menu[" + "x" * 3000 + "y]",
    "tests/test_a.py::test_menu[a::b]",
    "tests/test_a.py::test_Menu",
    "menu.yaml",
    "a::...",
    "a::\N{SNOWMAN}",
)


def test_no_two_tests_have_one_name() -> None:
    """Tests of one name in other files, classes or parameters differ, also without case."""
    assert len({folder_name(name).lower() for name in NAMES}) == len(NAMES)


@pytest.mark.parametrize("name", NAMES, ids=[string.ascii_letters[n] for n in range(len(NAMES))])
def test_a_name_is_safe_and_bounded(name: str) -> None:
    """Nothing but letters, digits and three signs, no leading dot, at most 70 characters."""
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,69}", folder_name(name))


def test_each_check_has_a_directory_of_its_own(tmp_path: Path) -> None:
    """Two checks in a test, and the attempts of one, keep their evidence side by side."""
    folders = [keep_evidence(REPORT, tmp_path / "leaks", name) for name in (*NAMES[:2], NAMES[0])]

    assert len(set(folders)) == 3
    assert folders[2].name == f"{folders[0].name}-2"
    for folder, name in zip(folders, itertools.chain(NAMES[:2], NAMES[:1]), strict=True):
        assert json.loads((folder / "verdict.json").read_text())["test"] == name
        assert len(list(folder.glob("*.heapsnapshot.gz"))) == 2
