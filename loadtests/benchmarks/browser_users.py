"""Browser users against those of locust-plugins (PlaywrightUser): memory, flows, CPU, HTTP.

Both run the same flow of three pages on the same shop, one after the other, with the same browser.
For what HTTP users lose, Locust and the shop that they call have a core to themselves; browsers,
whatever else drives them, and the shop that those visit have the others.
    pip install --no-deps --target peer locust-plugins
    python loadtests/benchmarks/browser_users.py --peer peer
The exit status is 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from pytest_sentinel.browsers import prepare  # noqa: E402
from pytest_sentinel.memory.processes import read_memory  # noqa: E402
from tests.larder.process import Larder, running_larder  # noqa: E402

MIB = 1024**2
WARM_UP = 12.0

HEAD = """
import json, os, time
from locust import FastHttpUser, User, constant, constant_pacing, constant_throughput, events
from locust import task as http_task

SINK = open(os.environ["SINK"], "a", buffering=1)
PACE = float(os.environ["PACE"])

@events.request.add_listener
def write_down(request_type, name, response_time, exception, **facts):
    row = [time.time(), request_type, name.rpartition("/")[2], response_time, bool(exception)]
    SINK.write(json.dumps(row) + "\\n")
"""
HTTP = """
class Caller(FastHttpUser):
    host = os.environ["CALLED"]
    fixed_count = int(os.environ["CALLERS"])
    wait_time = constant_throughput(20)

    @http_task
    def health(self):
        self.client.get("/health")
"""
OURS = """
from pytest_sentinel.load import BrowserUser, task

class Shopper(BrowserUser):
    wait_time = constant_pacing(PACE) if PACE else constant(0)
    lease_timeout = 120.0
    vitals = bool(int(os.environ["VITALS"]))

    @task
    async def flow(self, page, step):
        async with step("meals"):
            await page.goto("/meals")
        async with step("meal"):
            await page.get_by_role("region", name="Meals").get_by_role("link").first.click()
            await page.get_by_role("heading", name="How we cook it").wait_for()
        async with step("kitchen"):
            await page.get_by_role("link", name="Kitchen").click()
            await page.locator("#kitchen li button").first.click()
"""
# Its own launch, but for the binary: the same headless browser as ours, not the full one.
PEER = """
from locust_plugins.users.playwright import PlaywrightUser, event, pw

class Shopper(PlaywrightUser):
    wait_time = constant_pacing(PACE) if PACE else constant(0)

    async def _pwprep(self):
        from playwright.async_api import async_playwright
        self.playwright = await async_playwright().start()
        self.browser = await self.playwright.chromium.launch(
            headless=True,
            args=["--disable-gpu", "--disable-setuid-sandbox", "--disable-accelerated-2d-canvas",
                  "--no-zygote", "--frame-throttle-fps=10",
                  "--disable-blink-features=AutomationControlled", "--disable-translate"],
        )

    @http_task
    @pw
    async def flow(self, page):
        host = self.host
        async with event(self, "meals"):
            await page.goto(host + "/meals")
        async with event(self, "meal"):
            await page.get_by_role("region", name="Meals").get_by_role("link").first.click()
            await page.get_by_role("heading", name="How we cook it").wait_for()
        async with event(self, "kitchen"):
            await page.get_by_role("link", name="Kitchen").click()
            await page.locator("#kitchen li button").first.click()
"""


@dataclass
class Reading:
    """What one run came to, within its steady part."""

    who: str
    users: int
    pace: float
    flows: float = 0.0  # a minute
    cpu: float = 0.0  # seconds for a flow
    pss: float = 0.0  # MiB, the median of the whole tree
    steps: list[float] = field(default_factory=list)  # ms
    http: list[float] = field(default_factory=list)  # ms
    failed: int = 0


def main() -> int:
    """Run every pair that was asked for, print a table, and compare with the targets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, required=True, help="where locust-plugins lies")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--users", type=int, nargs="+", default=[1, 4, 8, 16])
    parser.add_argument("--only", choices=["paced", "flat", "http"], nargs="+",
                        default=["paced", "flat", "http"])  # fmt: skip
    parser.add_argument("--no-vitals", action="store_true", help="measure no vitals, as the peer")
    options = parser.parse_args()
    prepare(os.environ)
    readings: list[Reading] = []
    with (
        tempfile.TemporaryDirectory() as scratch,
        tempfile.TemporaryDirectory() as other,
        running_larder(Path(scratch)) as shop,
        running_larder(Path(other)) as called,
    ):
        bench = Bench(Path(scratch), shop, called, options)
        for mode, pace in (("paced", 3.0), ("flat", 0.0)):
            for users in options.users if mode in options.only else ():
                readings += [bench.run(who, users, pace) for who in ("ours", "peer")]
        if "http" in options.only:
            readings += [bench.run(who, 0, 3.0, callers=2) for who in ("alone", "burned")]
            readings += [bench.run(who, 4, 3.0, callers=2) for who in ("ours", "peer")]
    return compare(readings)


class Bench:
    """Runs of Locust on one shop."""

    def __init__(
        self, scratch: Path, shop: Larder, called: Larder, options: argparse.Namespace
    ) -> None:
        self._scratch = scratch
        self._shop = shop
        self._called = called
        self._options = options
        self._number = 0

    def run(self, who: str, users: int, pace: float, callers: int = 0) -> Reading:
        """Run one configuration and return its reading."""
        self._number += 1
        directory = self._scratch / f"run-{self._number}"
        directory.mkdir()
        body = {"ours": OURS, "peer": PEER}.get(who, "") + (HTTP if callers else "")
        (directory / "locustfile.py").write_text(HEAD + body)
        sink = directory / "requests.jsonl"
        paths = [str(ROOT), *([str(self._options.peer.resolve())] if who == "peer" else [])]
        environ = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "SINK": str(sink), "PACE": str(pace), "CALLERS": str(callers),
            "CALLED": self._called.url,
            "VITALS": "0" if self._options.no_vitals else "1",
        }  # fmt: skip
        command = [sys.executable, "-m", "locust", "-f", "locustfile.py", "--headless",
                   "--only-summary", "--host", self._shop.url,
                   "-u", str(users + callers), "-r", "2",
                   "-t", f"{int(WARM_UP + users / 2 + self._options.seconds + 10)}s"]  # fmt: skip
        reading = Reading(who, users, pace)
        with (directory / "log.txt").open("w") as log:
            process = subprocess.Popen(
                command, cwd=directory, env=environ, stdout=log, stderr=log, start_new_session=True
            )
            try:
                self._measure(process.pid, users, sink, reading, apart=callers > 0)
            finally:
                end(process)
        if users and not reading.steps:
            sys.stderr.write((directory / "log.txt").read_text()[-3000:])
        show(reading)
        return reading

    def _measure(self, pid: int, users: int, sink: Path, reading: Reading, *, apart: bool) -> None:
        pause = threading.Event()
        pause.wait(WARM_UP + users / 2)
        root = psutil.Process(pid)
        burners = []
        if apart:
            burners = self._part(root, burn=reading.who == "burned")
        try:
            self._watch(root, pause, sink, reading)
        finally:
            for burner in burners:
                burner.kill()
                burner.wait()

    def _watch(
        self, root: psutil.Process, pause: threading.Event, sink: Path, reading: Reading
    ) -> None:
        began, cpu, readings = time.time(), cpu_of(root), []
        while time.time() - began < self._options.seconds:
            pause.wait(2.0)
            if (memory := read_memory(tree_of(root))) is not None:
                readings.append(memory.pss / MIB)
        ended = time.time()
        used = cpu_of(root) - cpu
        rows = [json.loads(line) for line in sink.read_text().splitlines()]
        rows = [row for row in rows if began <= row[0] < ended]
        steps = [row for row in rows if row[2] in ("meals", "meal", "kitchen")]
        flows = sum(row[2] == "kitchen" and not row[4] for row in steps)
        reading.flows = flows / (ended - began) * 60
        reading.cpu = used / flows if flows else 0.0
        reading.pss = statistics.median(readings)
        reading.steps = [row[3] for row in steps if not row[4]]
        reading.failed = sum(row[4] for row in steps)
        reading.http = [row[3] for row in rows if row[2] == "health"]

    def _part(self, locust: psutil.Process, *, burn: bool) -> list[subprocess.Popen[bytes]]:
        """Give Locust and the shop that HTTP users call the first core, all others the rest.

        With ``burn`` each other core gets a process that does nothing but keep it busy: what HTTP
        users lose beside that they lose to the machine, whose cores are not as apart as they look.
        """
        first, *rest = sorted(os.sched_getaffinity(0))
        for process in (locust, psutil.Process(self._called.pid)):
            pin(process, [first])
        if rest:
            for process in (*locust.children(recursive=True), psutil.Process(self._shop.pid)):
                pin(process, rest)
        burners = []
        for core in rest if burn else ():
            burners.append(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            pin(psutil.Process(burners[-1].pid), [core])
        return burners


def pin(process: psutil.Process, cores: list[int]) -> None:
    """Keep all threads of a process, and what it starts from now on, to these cores."""
    for thread in process.threads():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(thread.id, cores)


def tree_of(root: psutil.Process) -> list[int]:
    """Return the pids of a run, its own first."""
    return [root.pid, *(child.pid for child in root.children(recursive=True))]


def cpu_of(root: psutil.Process) -> float:
    """Return the CPU seconds of a tree, with those of children that have ended."""
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.Error:
            continue
    return total


def end(process: subprocess.Popen[bytes]) -> None:
    """End a run and all that it left."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _, left = psutil.wait_procs(family, 5)
    for one in left:
        try:
            one.kill()
        except psutil.Error:
            continue


def quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile, exactly."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def show(reading: Reading) -> None:
    """Print one row."""
    steps, http = reading.steps, reading.http
    print(
        f"{reading.who:6}{reading.users:4} users, pace {reading.pace:g} s: "
        f"{reading.flows:6.1f} flows/min, {reading.cpu:5.2f} s CPU each, "
        f"PSS {reading.pss:6.0f} MiB, "
        f"steps p50 {quantile(steps, 0.5):5.0f} p95 {quantile(steps, 0.95):5.0f} ms, "
        f"{reading.failed} failed"
        + (
            f"; HTTP p50 {quantile(http, 0.5):.2f} p95 {quantile(http, 0.95):.2f} ms"
            if http
            else ""
        ),
        flush=True,
    )


def compare(readings: Sequence[Reading]) -> int:
    """Print how the two compare, with the targets; return 1 when one is missed."""
    found: dict[Any, Reading] = {
        (r.who, r.pace, r.users, bool(r.http)): r for r in readings
    }  # fmt: skip
    checks: list[tuple[str, float, str, float]] = []

    def pair(pace: float, users: int, http: bool = False) -> tuple[Reading, Reading] | None:
        ours, peer = (found.get((who, pace, users, http)) for who in ("ours", "peer"))
        return (ours, peer) if ours and peer else None

    eight, one = pair(3.0, 8), pair(3.0, 1)
    if eight:
        ours, peer = eight
        checks.append(("8 paced: memory", ours.pss / peer.pss, "<=", 0.45))
        checks.append(("8 paced: flows", ours.flows / peer.flows, ">=", 1.0))
        checks.append(("8 paced: CPU for a flow", ours.cpu / peer.cpu, "<=", 1.0))
        if one:
            more = [(r.pss - s.pss) / 7 for r, s in zip(eight, one, strict=True)]
            print(f"each further user: ours {more[0]:.0f} MiB, peer {more[1]:.0f} MiB")
            checks.append(("8 paced: memory of a further user", more[0] / more[1], "<=", 0.2))
    for users in (8, 16):
        if both := pair(0.0, users):
            ours, peer = both
            checks.append((f"{users} flat out: flows", ours.flows / peer.flows, ">=", 1.5))
            checks.append((f"{users} flat out: memory", ours.pss / peer.pss, "<=", 0.45))
    http, alone = pair(3.0, 4, True), found.get(("alone", 3.0, 0, True))
    burned = found.get(("burned", 3.0, 0, True))
    if http and alone and burned:
        for share in (0.5, 0.95):
            base = quantile(alone.http, share)
            shifts = [quantile(reading.http, share) - base for reading in (*http, burned)]
            print(
                f"HTTP p{100 * share:.0f} shift: ours {shifts[0]:+.2f} ms,"
                f" peer {shifts[1]:+.2f} ms, beside cores that are kept busy {shifts[2]:+.2f} ms"
            )
        checks.append(("HTTP p95 shift, ms", shifts[0], "<=", 1.0))
        checks.append(("HTTP p95 shift less the peer's, ms", shifts[0] - shifts[1], "<=", 0.0))
    missed = 0
    for name, value, sign, target in checks:
        holds = value <= target if sign == "<=" else value >= target
        missed += not holds
        print(f"{'ok    ' if holds else 'MISSED'} {name}: {value:.2f} {sign} {target}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
