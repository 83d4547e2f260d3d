"""Locust and pytest on the browsers of one service, at the same time.

With ``SHARED_POOL_SECONDS=60`` at full size: a minute of twelve users, and all tests of the shop.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.larder.process import Larder
from tests.load.locustkit import booked, locust
from tests.runs import CACHE, slack
from tests.service.serving import service

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
CAP = 3
SECONDS = int(os.environ.get("SHARED_POOL_SECONDS", "25"))
USERS = 12 if SECONDS >= 60 else 6
# Those that are under way for as long as the load is; what comes after it would share with nobody.
TESTS = ("tests/e2e",) if SECONDS >= 60 else ("tests/e2e/test_meals.py", "tests/e2e/test_menu.py")
MIXED = f"""
import sys

sys.path.insert(0, {str(ROOT / "loadtests")!r})

from mixed import Caller, Shopper
"""


def test_load_and_a_suite_share_a_pool(tmp_path: Path, larder: Larder) -> None:
    """Both end green; both are owners in the status, and neither holds more than its cap."""
    seen: list[Counter[str]] = []
    over = threading.Event()
    (tmp_path / "pool").mkdir()
    (tmp_path / "load").mkdir()
    options = ("--max", "2", "--contexts-per-browser", "4", "--per-owner", str(CAP))
    with service(tmp_path / "pool", *options, "--acquire-timeout", "60 s") as pool:

        def watch() -> None:
            while not over.wait(0.2):
                seen.append(Counter(lease["owner"] for lease in pool.leases()))

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            told = ("--headless", "-r", "4", "-u", str(USERS), "-t", f"{SECONDS}s")
            where = ("--host", larder.url, "--sentinel-pool", pool.ws)
            with locust(tmp_path / "load", MIXED, *told, *where) as run:
                suite = _suite(pool.ws)
                assert run.wait() == 0, run.text()
                report = run.report()
        finally:
            over.set()
            watching.join()
        shown = pool.command("status").stdout

    assert suite.returncode == 0, suite.stdout[-3000:]
    outcomes = booked(report)
    assert outcomes["passed"] > 3
    assert (outcomes["failed"], outcomes["infrastructure"]) == (0, 0)
    waits = [figures["wait"] for figures in report["iterations"].values()]
    assert sum(wait["count"] for wait in waits) >= outcomes["passed"]
    sys.stderr.write(f"{outcomes}, waits {waits}\n{suite.stdout[-300:]}\n{shown}\n")
    both = [counts for counts in seen if len(counts) > 1]
    assert both, "they never held leases at the same time"
    assert {"locust"} < set().union(*both)
    assert max(max(counts.values()) for counts in both) <= CAP
    assert "ready" in shown


def _suite(ws: str) -> subprocess.CompletedProcess[str]:
    """Run end-to-end tests of the shop on the pool, on two workers."""
    names = ("locust", "html", "django", "rerunfailures", "cacheprovider")
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", *TESTS, "-n", "2", "-q"),
            *("--sentinel-pool", ws, "--sentinel-record=off"),
            *(word for name in names for word in ("-p", f"no:{name}")),
        ],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": CACHE},
        capture_output=True,
        text=True,
        timeout=300 * slack(),
        check=False,
    )
