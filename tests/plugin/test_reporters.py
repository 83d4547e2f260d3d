"""What other reporters make of a browser crash that was survived: a rerun, and a test passed."""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from pytest_sentinel.telemetry.journal import read_record
from pytest_sentinel.telemetry.record import Attempt
from tests.plugin.compat import lay, neighbours, run

pytestmark = pytest.mark.browser

CRASHES = """
import pathlib
import psutil
import pytest

def kill_browser(name):
    try:
        pathlib.Path(__file__).with_name(name).touch(exist_ok=False)
    except FileExistsError:
        return
    for process in psutil.Process().children(recursive=True):
        if "chromium" in process.name() and "--type=" not in " ".join(process.cmdline()):
            process.kill()

@pytest.fixture
def dies_in_setup(page):
    kill_browser("setup.once")
    page.goto("about:blank")

def test_before(page):
    page.goto("about:blank")

def test_crash(page):
    kill_browser("call.once")
    page.goto("about:blank")

def test_crash_in_setup(dies_in_setup):
    pass
"""
TESTS = ("test_before", "test_crash", "test_crash_in_setup")


def attempts(suite: Path) -> Counter[tuple[str, str]]:
    """Return the name and the outcome of each attempt in the record."""
    lines = read_record(suite / ".sentinel" / "runs" / "latest")
    return Counter((name_of(row.nodeid), row.outcome) for row in lines if isinstance(row, Attempt))


def name_of(nodeid: str) -> str:
    return nodeid.rpartition("::")[2].partition("[")[0]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_reporters_see_a_rerun(tmp_path: Path, workers: str) -> None:
    """HTML, JSON, Allure, JUnit, report log, instafail and TeamCity: three passed, two reruns."""
    suite = lay(tmp_path / "suite", {"test_it.py": CRASHES})
    path = neighbours(
        *("pytest-json-report", "allure-pytest", "pytest-reportlog", "pytest-instafail"),
        "teamcity-messages",
    )
    options = (
        *("--html=h.html", "--json-report", "--json-report-file=r.json", "--alluredir=allure"),
        *("--report-log=log.jsonl", "--instafail", "--teamcity", "--junitxml=junit.xml"),
    )

    ran = run(suite, "-v", "-n", workers, *options, PYTHONPATH=path)

    assert ran.status == 0, ran.stdout
    assert re.search(r"=+ 3 passed,.* 2 rerun in", ran.stdout)
    assert len(re.findall("CRASHED", ran.stdout)) == 2
    assert attempts(suite) == Counter(
        [(name, "passed") for name in TESTS] + [(name, "crashed") for name in TESTS[1:]]
    )
    told = json.loads((suite / "r.json").read_text())
    assert told["summary"] == {"passed": 3, "total": 3, "collected": 3}
    page = (suite / "h.html").read_text()
    blob = json.loads(html.unescape(re.findall('data-jsonblob="([^"]*)"', page)[0]))
    results = [row["result"] for rows in blob["tests"].values() for row in rows]
    assert Counter(results) == {"Passed": 3, "Rerun": 2}
    assert "2 Reruns" in page
    allure = [json.loads(file.read_text()) for file in suite.glob("allure/*-result.json")]
    assert Counter((row["name"].partition("[")[0], row["status"]) for row in allure) == Counter(
        [(name, "passed") for name in TESTS] + [(name, "broken") for name in TESTS[1:]]
    )
    assert len({row["historyId"] for row in allure}) == 3
    reports = map(json.loads, (suite / "log.jsonl").read_text().splitlines())
    reruns = [row for row in reports if row.get("outcome") == "rerun"]
    assert {(name_of(row["nodeid"]), row["when"], row["rerun"]) for row in reruns} == {
        ("test_crash", "call", 0),
        ("test_crash_in_setup", "setup", 0),
    }
    cases = list(ET.parse(suite / "junit.xml").iter("testcase"))
    assert sorted(name_of("::" + case.attrib["name"]) for case in cases) == sorted(TESTS)
    assert {child.tag for case in cases for child in case} == {"properties"}
    assert "testFailed" not in ran.stdout
    assert ran.stdout.count("##teamcity[testFinished") == 3


@pytest.mark.parametrize("workers", ["0", "2"])
def test_beside_sugar_and_rerunfailures(tmp_path: Path, workers: str) -> None:
    """Sugar counts each rerun once, and pytest-rerunfailures, not asked to repeat, names them."""
    suite = lay(tmp_path / "suite", {"test_it.py": CRASHES})
    path = neighbours("pytest-sugar")

    ran = run(suite, "-rR", "-n", workers, "--html=h.html", "--force-sugar", PYTHONPATH=path)

    assert ran.status == 0, ran.stdout
    plain = re.sub(r"\x1b\[[0-9;]*m", "", ran.stdout)
    assert re.search(r"3 passed", plain)
    assert re.search(r"1 rerun", plain)  # it counts calls, not set-ups
    assert len(re.findall("^CRASHED test_it", plain, re.MULTILINE)) == 2


def test_a_crash_under_reruns(tmp_path: Path) -> None:
    """With --reruns it is pytest-rerunfailures that repeats the test; the death is on record."""
    suite = lay(tmp_path / "suite", {"test_it.py": CRASHES})

    ran = run(suite, "--reruns", "1", "-n", "0")

    assert ran.status == 0, ran.stdout
    assert re.search(r"=+ 3 passed,.* 2 rerun in", ran.stdout)
    lines = read_record(suite / ".sentinel" / "runs" / "latest")
    lost = [row for row in lines if isinstance(row, Attempt) and row.crash is not None]
    assert [(name_of(row.nodeid), row.attempt, row.failure) for row in lost] == [
        ("test_crash", 1, "infrastructure"),
        ("test_crash_in_setup", 1, "infrastructure"),
    ]
