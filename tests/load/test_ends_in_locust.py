"""Ends of iterations as Locust's users, its exit status and the gates see them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.larder.process import Larder
from tests.load.locustkit import booked, locust
from tests.runs import slack, wait_until

pytestmark = pytest.mark.browser

GATES = ("--sentinel-gate", "error_rate: rate < 1%")

FAILING = """
import pytest


class Shopper(BrowserUser):
    wait_time = constant(0.1)
    vitals = False
    artifacts = "off"
    fixed_count = 2

    @task
    async def buy(self, page, step):
        self.turns = getattr(self, "turns", 0) + 1
        if self.turns == 2:
            async with step("price"):
                pytest.fail("the price is wrong")
        if self.turns == 3:
            pytest.skip("closed")
        if self.turns == 4:
            (HERE / f"left-{os.getpid()}-{self.user_number}").touch()
            raise SystemExit(3)


class Looker(BrowserUser):
    wait_time = constant(0.1)
    vitals = False
    fixed_count = 1

    @task
    async def look(self, page, step):
        async with step("meals"):
            await page.goto("/meals")
        (HERE / "looked").touch()
"""


@pytest.mark.parametrize("processes", [(), ("--processes", "2")], ids=["alone", "master"])
def test_users_go_on_after_whatever_a_task_raises(
    tmp_path: Path, larder: Larder, processes: tuple[str, ...]
) -> None:
    """Failures and skips are counted, no sidecar dies of them, and the gate is broken."""
    options = ("-u", "3", "-r", "10", "--host", larder.url, *GATES, *processes)
    with locust(tmp_path, FAILING, "--headless", *options) as run:
        run.until_there("looked")
        wait_until(lambda: len([*tmp_path.glob("left-*")]) == 2, 60 * slack(), run.text())
        # What the second has raised is in the report when it is told in the log.
        run.until("SystemExit: 3: a task ends with return")
        status = run.stop()
        report = run.report()

    outcomes = booked(report)
    assert outcomes["failed"] == 4
    assert outcomes["skipped"] == 2
    assert outcomes["infrastructure"] == 0
    assert report["steps"]["Shopper.buy/price"]["failures"] == 2
    assert report["iterations"]["Looker.look"]["passed"] > 0
    assert "the sidecar" not in run.text()
    assert report["gates"][0]["state"] == "fail"
    assert status == (98 if report["doubts"] else 99)


DEAF = """
import re


class Shopper(BrowserUser):
    wait_time = constant(0.1)
    vitals = False
    artifacts = "off"
    lease_timeout = 1.0
    iteration_timeout = 1.0

    @task
    async def buy(self, page, step):
        if not (HERE / "deaf").exists():
            (HERE / "deaf").touch()
            re.match("(a+)+$", "a" * 64 + "b")  # for years, and no signal is heard meanwhile
        async with step("seen"):
            (HERE / "seen").touch()
"""


def test_a_sidecar_that_says_nothing_any_more_is_ended_by_locust(tmp_path: Path) -> None:
    """Code that nothing can interrupt costs its iteration; the user goes on in another sidecar."""
    with locust(tmp_path, DEAF, "--headless", "-u", "1") as run:
        run.until_there("seen", 120)
        run.stop()
        report = run.report()

    assert "the sidecar said nothing for" in run.text()
    assert booked(report)["infrastructure"] >= 1


def test_most_iterations_that_never_ended_are_no_data(tmp_path: Path) -> None:
    """Whoever is cut off at the end of a run has measured nothing."""
    code = """
class Shopper(BrowserUser):
    wait_time = constant(0)
    vitals = False

    @task
    async def buy(self, page, step):
        async with step("begin"):
            pass
        if self.user_number:
            (HERE / "waiting").touch()
            await asyncio.Event().wait()
"""
    gates = (*GATES, "--sentinel-gate", 'load_iterations{task="Shopper.buy"}: p(95) < 1h')
    options = ("-u", "4", "-r", "10", "--stop-timeout", "1", "--sentinel-slots", "4", *gates)
    code = code.replace("if self.user_number:", "if self.user_number or (HERE / 'once').exists():")
    code = code.replace('(HERE / "waiting")', "(HERE / f'waiting-{self.user_number}')")
    code += "        (HERE / 'once').touch()\n"
    with locust(tmp_path, code, "--headless", *options) as run:
        for number in range(4):
            run.until_there(f"waiting-{number}")
        status = run.stop()
        report = run.report()

    assert booked(report)["dropped"] == 4, run.text()
    assert report["ended"] <= 1
    assert [gate["state"] for gate in report["gates"]] == ["no data", "no data"]
    assert status == 98
    assert f"only {report['ended']} of {report['begun']} iterations ended" in run.text()
