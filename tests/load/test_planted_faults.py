"""Faults planted in a shop break the gates that look for them, and those gates alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.larder.process import running_larder
from tests.load.locustkit import locust
from tests.load.test_suites import HEADLESS, SUITES

SLOW = 'load_requests{task="GET /api/recommendations"}: med < 1s'
FAILING = 'error_rate{task="POST /api/cart"}: rate < 10%'


@pytest.mark.parametrize(
    ("faults", "broken"),
    [
        pytest.param("", set(), id="none"),
        pytest.param("slow:recommendations:1500ms", {SLOW}, id="slow"),
        pytest.param("error:cart:0.5", {FAILING}, id="error"),
    ],
)
def test_a_fault_breaks_its_gate(tmp_path: Path, faults: str, broken: set[str]) -> None:
    """A slow route and a failing one end the run with 99; without a fault both gates pass."""
    directory = tmp_path / "shop"
    directory.mkdir()
    gates = [word for gate in (SLOW, FAILING) for word in ("--sentinel-gate", gate)]
    with running_larder(directory, {"LARDER_FAULTS": faults}) as shop:
        options = ("-u", "12", "-t", "6s", "--host", shop.url, *gates)
        with locust(tmp_path, SUITES / "api.py", *HEADLESS, *options) as run:
            status = run.wait()
            report = run.report()

    states = {gate["gate"]: gate["state"] for gate in report["gates"]}
    assert states == {gate: "fail" if gate in broken else "pass" for gate in (SLOW, FAILING)}
    # A Locust that was starved of its core says so, rather than judge.
    judged = 98 if report["doubts"] else 99 if broken else 0
    # Failed requests are status 1 to Locust, which the gates have the last word on.
    assert status == judged, run.text()
