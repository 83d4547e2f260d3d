"""Users that only speak HTTP, in a file that asks for gates: judged, summed up, and no browser."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.larder.process import Larder
from tests.load.locustkit import locust

CALLER = """
from locust import task as plain

from pytest_sentinel.load import require

require("load_requests: p(95) < 30s", "error_rate: rate < 1%")


class Caller(FastHttpUser):
    wait_time = constant_pacing(0.1)

    @plain
    def read(self):
        self.client.get("/health")
        self.client.get("/api/meals")
"""
HEADLESS = ("--headless", "-u", "2", "-r", "10", "-t", "2s")


@pytest.mark.parametrize("processes", [(), ("--processes", "2")], ids=["alone", "master"])
def test_the_gates_of_the_file_judge_the_run(
    tmp_path: Path, larder: Larder, processes: tuple[str, ...]
) -> None:
    """What the file requires is asked, of all workers together, and the summary has the figures."""
    summary_file = tmp_path / "summary.json"
    options = (*HEADLESS, *processes, "--host", larder.url, "--sentinel-summary", str(summary_file))
    with locust(tmp_path, CALLER, *options) as run:
        status = run.wait()
        report = run.report()
        assert run.sidecars() == []

    summary = json.loads(summary_file.read_text())
    assert [gate["state"] for gate in report["gates"]] == ["pass", "pass"], run.text()
    # On a machine that is busy with other things the generator may rightly doubt itself.
    assert status == (98 if report["doubts"] else 0), run.text()
    assert summary["endpoints"].keys() == {"GET /health", "GET /api/meals"}
    assert summary["iterations"] == summary["tasks"]["Caller.read"] > 5
    health = summary["endpoints"]["GET /health"]
    assert health["requests"] == report["requests"]["GET /health"]["count"]
    assert health["requests"] >= summary["iterations"]
    assert 0 < health["p50"] <= health["p95"] <= health["p99"]
    assert summary["seconds"] == pytest.approx(2, abs=1.5)


def test_the_command_lines_gates_stand_in_place_of_the_files(
    tmp_path: Path, larder: Larder
) -> None:
    """Whoever names a gate is asked that one, and no other."""
    gate = ("--sentinel-gate", "load_requests: p(50) < 0.01ms")
    with locust(tmp_path, CALLER, *HEADLESS, "--host", larder.url, *gate) as run:
        status = run.wait()
        report = run.report()

    assert [(gate["gate"], gate["state"]) for gate in report["gates"]] == [(gate[1], "fail")]
    assert status == (98 if report["doubts"] else 99), run.text()
