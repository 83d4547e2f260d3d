"""`sentinel gate --preset slo` on the record of an ordinary run has something to say.

Where a run has none of a thing, that gate has no data; everywhere else it has.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from pytest_sentinel.cli import main
from pytest_sentinel.telemetry.journal import read_record
from pytest_sentinel.telemetry.record import Attempt, Run, Sample
from tests.larder.process import Larder, running_larder
from tests.load.locustkit import FLOW, locust
from tests.runs import Scratch, slack, wait_until
from tests.service.serving import Service, service

pytestmark = pytest.mark.browser

SUITE = """
@pytest.mark.parametrize("number", range(4))
def test_page(page, number):
    page.set_content(f"<title>{number}</title>")
    assert page.title() == str(number)

def test_plain():
    pass
"""
LEASED = """
def test_page(page):
    page.set_content("<title>a</title>")
    assert page.title() == "a"

def test_long_enough_to_be_looked_at(page):
    threading.Event().wait(3)
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Service:
    """One service for the tests here."""
    options = ("--min", "1", "--max", "2")
    with service(tmp_path_factory.mktemp("service"), *options) as found:
        wait_until(found.browsers, 30 * slack(), "a warm browser")
        yield found


@pytest.fixture(scope="module")
def larder(tmp_path_factory: pytest.TempPathFactory) -> Larder:
    """One shop for the load runs here."""
    with running_larder(tmp_path_factory.mktemp("larder")) as found:
        yield found


def judged(record: Path, *words: str) -> dict[str, tuple[str, float | None]]:
    """Return state and value of each gate of the preset, by its metric."""
    wanted = ["gate", "--preset", "slo", "--format", "json", *words, str(record)]
    result = CliRunner().invoke(main, wanted)
    rows = json.loads(result.output)["gates"]
    return {row["gate"].partition(":")[0]: (row["state"], row["value"]) for row in rows}


def without_data(found: dict[str, tuple[str, float | None]]) -> set[str]:
    """Return the metrics that nobody measured."""
    return {metric for metric, (state, _) in found.items() if state == "no data"}


def test_a_suite_on_its_own_browsers(pytester: pytest.Pytester) -> None:
    """All but the uptime of a service, which there is not."""
    scratch = Scratch(pytester, SUITE)
    assert scratch.run("-n", "2").ret == 0
    (scratch.path / "coverage.json").write_text('{"totals": {"percent_covered": 90.0}}')

    record = scratch.path / ".sentinel/runs/latest"
    found = judged(record, "--coverage", str(scratch.path / "coverage.json"))

    assert without_data(found) == {"uptime"}
    run = scratch.record()[0]
    assert isinstance(run, Run)
    assert run.slots >= 1
    used = found["pool_utilization"][1]
    assert used is not None
    assert 0 < used <= 2 / run.slots
    waits = [line.wait for line in scratch.attempts("test_page")]
    assert None not in waits
    # Whoever came first to a worker waited for the launch of its browser.
    assert max(wait or 0.0 for wait in waits) > 0.01
    assert [line.wait for line in scratch.attempts("test_plain")] == [None]


def test_a_suite_on_a_service(pytester: pytest.Pytester, shared: Service) -> None:
    """The service is looked at while the tests run: it is up, and so full."""
    scratch = Scratch(pytester, LEASED)
    assert scratch.run("-n", "2", f"--sentinel-pool={shared.ws}").ret == 0

    found = judged(scratch.path / ".sentinel/runs/latest")

    assert without_data(found) == {"coverage"}
    assert found["uptime"] == ("pass", 1.0)
    used = [each for each in scratch.record() if isinstance(each, Sample)]
    assert {each.metric for each in used} == {"uptime", "pool_utilization"}
    assert max(each.value for each in used if each.metric == "pool_utilization") in (1 / 8, 2 / 8)
    assert [each for each in scratch.record() if isinstance(each, Attempt) and not each.wait] == []


def test_a_service_that_is_gone_is_down(pytester: pytest.Pytester) -> None:
    """Nothing answers there: uptime is 0 %, and the run is none the slower for the asking."""
    scratch = Scratch(pytester, "def test_plain(): threading.Event().wait(0.5)")
    assert scratch.run("--sentinel-pool=ws://127.0.0.1:1").ret == 0

    assert judged(scratch.path / ".sentinel/runs/latest")["uptime"] == ("fail", 0.0)


HEADLESS = ("--headless", "--stop-timeout", "1", "-r", "10", "-u", "1", "-t", "5s")
LOAD = {"leaks", "coverage"}


def test_a_load_run_on_its_own_browsers(tmp_path: Path, larder: Larder) -> None:
    """All but what is of tests, and the uptime of a service."""
    options = (*HEADLESS, "--host", larder.url, "--sentinel-record", "run.jsonl")
    with locust(tmp_path, FLOW, *options) as run:
        assert run.wait() == 0, run.text()
        report = run.report()

    found = judged(tmp_path / "run.jsonl")
    assert without_data(found) == {*LOAD, "uptime"}
    assert found["pool_utilization"][1] == report["utilization"]
    waits = [
        line.count
        for line in read_record(tmp_path / "run.jsonl")
        if isinstance(line, Sample) and line.metric == "pool_wait"
    ]
    assert sum(waits) == report["iterations"]["Shopper.look"]["wait"]["count"]


def test_a_load_run_on_a_service(tmp_path: Path, larder: Larder, shared: Service) -> None:
    """The service is looked at, as in a run of tests; idle browsers of one's own count nothing."""
    place = ("--host", larder.url, "--sentinel-pool", shared.ws)
    with locust(tmp_path, FLOW, *HEADLESS, *place, "--sentinel-record", "run.jsonl") as run:
        assert run.wait() == 0, run.text()
        report = run.report()

    found = judged(tmp_path / "run.jsonl")
    assert without_data(found) == LOAD
    assert found["uptime"] == ("pass", 1.0)
    assert 0 <= report["utilization"] <= 0.5
