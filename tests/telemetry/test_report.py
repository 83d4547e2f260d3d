"""`sentinel report`: one file that tells a run, in a real browser."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from pytest_sentinel.cli import main
from pytest_sentinel.telemetry.record import (
    Attempt,
    BrowserEvent,
    Crash,
    End,
    GateVerdict,
    Leftover,
    Line,
    Memory,
    PageFigures,
    Run,
    Visit,
    encode,
)
from pytest_sentinel.units import MIB
from tests.runs import slack

SETTINGS: dict[str, str | int | float | bool | None] = {"worker_memory": 512 * MIB}


def a_run(tests: int) -> list[Line]:
    """Return the record of a run on four workers in which everything happens."""
    lines: list[Line] = [
        Run("abc", 1000.0, workers=4, suite="shop <b>", branch_class="main", settings=SETTINGS)
    ]
    lines += [
        BrowserEvent("launched", f"gw{n}/browser-1", 1, 1001.0, f"gw{n}", "start", 0.3)
        for n in range(4)
    ]
    for number in range(tests):
        worker = f"gw{number % 4}"
        at = 1001.0 + number // 4
        lines.append(
            Attempt(
                f"tests/test_shop.py::test_{number}[chromium]",
                "passed",
                worker=worker,
                started=at,
                finished=at + 0.9,
                phases={"call": 0.9},
                engine="chromium",
                browsers=(f"{worker}/browser-1",),
                memory={
                    "worker": Memory(peak=60 * MIB),
                    "browser-1": Memory(90 * MIB, (100 + number % 50) * MIB),
                },
                page=PageFigures(
                    visits=(Visit("http://shop/", ttfb=0.05, fcp=0.2, lcp=0.4, cls=0.0),)
                ),
            )
        )
    crash = Crash("the browser died (SIGKILL)", "crashed", "SIGKILL", None, ("its last words",))
    leak = (Leftover("context", "with 1 page", "test_shop.py:7 in log_in"),)
    bad = "tests/test_shop.py::test_bad"
    end = 1002.0 + tests / 4
    lost = {"started": end, "finished": end + 1, "phases": {"call": 1.0}}
    again = {**lost, "finished": end + 2}
    worse, skipped = "tests/test_shop.py::test_worse", "tests/test_shop.py::test_skipped"
    lines += [
        Attempt(bad, "crashed", worker="gw0", failure="infrastructure", crash=crash, **lost),
        BrowserEvent("crashed", "gw0/browser-1", 1, end, "gw0", "SIGKILL"),
        Attempt(bad, "passed", 2, worker="gw0", leaks=leak, **again),
        Attempt(worse, "failed", worker="gw1", failure="product", **lost),
        Attempt(skipped, "skipped", worker="gw1", started=end, finished=end),
        GateVerdict("leaks: count == 0", "leaks: count == 0", "fail", 1.0, tests),
        GateVerdict("lcp: p(75) < 2s", "lcp: p(75) < 2s", "pass", 0.4, tests),
        GateVerdict("uptime: rate > 9%", "uptime: rate > 9%", "no data"),
        End(end + 3, 1),
    ]
    return lines


def written(directory: Path, lines: list[Line]) -> Path:
    """Write a record and return its directory."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "run.jsonl").write_bytes(b"".join(map(encode, lines)))
    verdict = directory / "leaks" / "test_bad" / "verdict.json"
    verdict.parent.mkdir(parents=True)
    path = ["window.app", "cache: Map", "Recipe"]
    told = {"leaks": [{"kind": "collection", "owner": "window.app.cache", "retainer_path": path}]}
    verdict.write_text(json.dumps(told))
    return directory


def report(*words: str) -> tuple[int, str]:
    """Run the command."""
    result = CliRunner().invoke(main, ["report", *words])
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def chromium(playwright: Any) -> Iterator[Any]:
    """A real browser."""
    browser = playwright.chromium.launch()
    yield browser
    browser.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("tests", [0, 40, 5000])
def test_a_run_can_be_read(tmp_path: Path, chromium: Any, width: int, tests: int) -> None:
    """Every chart has something in it, nothing is wider than the screen, nobody complains."""
    directory = written(tmp_path / "run", a_run(tests))
    assert report(str(directory)) == (0, f"{directory / 'report.html'}\n")
    page = chromium.new_page(viewport={"width": width, "height": 900})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))

    began = time.monotonic()
    page.goto((directory / "report.html").as_uri())
    page.wait_for_function("document.querySelectorAll('.chart .main-svg').length >= 2")
    took = time.monotonic() - began

    assert complaints == []
    assert {url.partition(":")[0] for url in requests} <= {"file", "data"}
    assert took < 3 * slack()
    charts = page.evaluate("""() => [...document.querySelectorAll('.chart')].map(chart => [
        chart.id,
        chart.querySelectorAll('.trace path, .points path, .boxes path, .js-line, path.box').length,
        chart.getBoundingClientRect().width <= innerWidth,
    ])""")
    expected = {"timeline", "durations"} | ({"memory", "vitals"} if tests else set())
    assert {name for name, _, _ in charts} == expected
    assert [name for name, drawn, fits in charts if not drawn or not fits] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.inner_text("h1") == "shop <b>"
    assert page.locator("#attempts tr").count() == tests + 5
    assert page.locator("#gates tr").count() == 4
    text = page.content()
    for told in (
        "its last words",
        "cache: Map",
        "test_shop.py:7 in log_in",
        "nothing was measured",
    ):
        assert told in text
    page.close()


def test_a_killed_run_is_told_as_far_as_it_came(tmp_path: Path) -> None:
    """Half a last line, and no end."""
    directory = written(tmp_path, a_run(4)[:6])
    with (directory / "run.jsonl").open("ab") as file:
        file.write(b'{"kind":"attempt","nodeid":"te')

    assert report(str(directory))[0] == 0
    assert "it was killed" in (directory / "report.html").read_text()


def test_other_viewers_get_their_files(tmp_path: Path) -> None:
    """JUnit has a case for each test by its last attempt; CTRF says how often it was tried."""
    directory = written(tmp_path, a_run(2))
    junit, ctrf = tmp_path / "junit.xml", tmp_path / "ctrf.json"

    found, said = report(str(directory), "--junit", str(junit), "--ctrf", str(ctrf))

    assert (found, said) == (0, f"{junit}\n{ctrf}\n")
    assert not (directory / "report.html").exists()
    cases = {case.attrib["name"]: [c.tag for c in case] for case in ET.parse(junit).getroot()}
    assert cases == {
        "test_0[chromium]": [], "test_1[chromium]": [], "test_bad": [],
        "test_worse": ["failure"], "test_skipped": ["skipped"],
    }  # fmt: skip
    told = json.loads(ctrf.read_text())["results"]
    assert told["summary"]["tests"] == 5
    assert (told["summary"]["passed"], told["summary"]["failed"]) == (3, 1)
    tried = {
        test["name"].rpartition("::")[2]: (test["retries"], test["flaky"]) for test in told["tests"]
    }
    assert tried["test_bad"] == (1, True)
    assert tried["test_worse"] == (0, False)


def test_without_a_record_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends with 1."""
    monkeypatch.chdir(tmp_path)

    found, said = report()

    assert found == 1
    assert "no readable record" in said
