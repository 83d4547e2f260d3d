"""Browser users in real runs of Locust: what is counted, how a run ends, and what a fault costs."""

from __future__ import annotations

import json
import os
import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.larder.process import Larder, running_larder
from tests.load.locustkit import FLOW, Run, answers, booked, free_port, get, locust, post
from tests.runs import slack, wait_until

pytestmark = pytest.mark.browser

HEADLESS = ("--headless", "-r", "10")
MIXED = (
    FLOW
    + """
class Caller(FastHttpUser):
    wait_time = constant_pacing(0.2)

    from locust import task as _task

    @_task
    def health(self):
        self.client.get("/health")
"""
)


def test_steps_are_requests_and_iterations_are_booked(tmp_path: Path, larder: Larder) -> None:
    """Locust's table has a row for each step; the report has every iteration, with its vitals."""
    options = (*HEADLESS, "-u", "3", "-t", "8s", "--host", larder.url, "--json-file", "stats")
    with locust(tmp_path, MIXED, *options) as run:
        assert run.wait() == 0, run.text()
        report = run.report()
        rows = {(row["method"], row["name"]): row for row in json.loads(_stats(tmp_path))}

    outcomes = booked(report)
    assert outcomes["passed"] > 2
    assert (outcomes["failed"], outcomes["infrastructure"]) == (0, 0)
    steps = {name for kind, name in rows if kind == "STEP"}
    assert steps == {"Shopper.look/meals", "Shopper.look/kitchen"}
    assert {kind for kind, _ in rows} == {"STEP", "GET"}
    for name in steps:
        assert report["steps"][name]["count"] == rows[("STEP", name)]["num_requests"]
    assert report["requests"]["GET /health"]["count"] == rows[("GET", "/health")]["num_requests"]
    assert report["vitals"]["meals|lcp"]["count"] >= outcomes["passed"]
    assert report["iterations"]["Shopper.look"]["service"]["count"] == outcomes["passed"]
    assert list(report["memory"]) == ["local"]


def _stats(directory: Path) -> str:
    return next(directory.glob("stats*")).read_text()


def test_a_failed_step_is_a_failed_request(tmp_path: Path, larder: Larder) -> None:
    """It is told once, its iteration ends there, and Locust's exit status is 1."""
    code = """
class Shopper(BrowserUser):
    wait_time = constant(0.1)

    @task
    async def look(self, page, step):
        async with step("meals"):
            await page.goto("/meals")
        async with step("nowhere"):
            await page.click("text=Nowhere", timeout=50)
        (HERE / "went on").touch()
"""
    with locust(tmp_path, code, *HEADLESS, "-u", "1", "-t", "4s", "--host", larder.url) as run:
        assert run.wait() == 1, run.text()
        report = run.report()

    assert booked(report)["passed"] == 0
    assert report["steps"]["Shopper.look/nowhere"]["failures"] == booked(report)["failed"] > 0
    assert report["steps"]["Shopper.look/meals"]["failures"] == 0
    assert "ScenarioFailed" in run.text()
    assert "Page.click: Timeout 50ms exceeded." in run.text()
    assert not (tmp_path / "went on").exists()
    assert [path.suffix for path in (tmp_path / "sentinel-load").glob("*.png")] == [".png"]


@pytest.mark.parametrize(
    ("gates", "status"),
    [
        (["load_iterations: p(95) < 60s", "error_rate: rate < 1%"], 0),
        (['load_requests{task="Shopper.look/meals"}: med < 1ms', "error_rate: rate < 1%"], 99),
        (["load_iterations: p(95) < 60s", "uptime: rate > 99%"], 98),
    ],
    ids=["pass", "breach", "no data"],
)
def test_gates_decide_the_exit_status(
    tmp_path: Path, larder: Larder, gates: list[str], status: int
) -> None:
    """0 when all pass, 99 when one does not, 98 when there are no data."""
    told = [word for gate in gates for word in ("--sentinel-gate", gate)]
    options = (*HEADLESS, "-u", "1", "-t", "4s", "--host", larder.url, *told)
    with locust(tmp_path, FLOW, *options) as run:
        found = run.wait()
        doubts = run.report()["doubts"]

    # On a machine that is busy with other things the generator may rightly doubt itself.
    assert found == (98 if doubts else status), run.text()


def test_a_gate_that_makes_no_sense_stops_the_run_before_it_begins(tmp_path: Path) -> None:
    """Nobody waits for the end of a run to hear of a slip of the pen."""
    options = (*HEADLESS, "-u", "1", "-t", "60s", "--sentinel-gate", "loud_requests: p(95) < 1s")
    with locust(tmp_path, FLOW, *options) as run:
        assert run.wait(30) != 0
        assert "has no known metric" in run.text()


WAITING = """
class Shopper(BrowserUser):
    wait_time = constant(0)
    isolation = "iteration"

    @task
    async def wait(self, page, step):
        async with step("for ever"):
            await page.goto("/meals")
            (HERE / "waiting").touch()
            await asyncio.Event().wait()
"""


@pytest.mark.parametrize("victim", ["browsers", "drivers", "sidecars"])
def test_a_death_is_nobodys_failure_and_the_run_goes_on(
    tmp_path: Path, larder: Larder, victim: str
) -> None:
    """What was in flight is infrastructure; afterwards iterations pass as before."""
    code = FLOW.replace(
        'async with step("kitchen"):',
        """(HERE / "waiting").touch()
        await asyncio.sleep(1.0)
        async with step("kitchen"):""",
    )
    options = (*HEADLESS, "-u", "2", "--host", larder.url)
    with locust(tmp_path, code + _counting(), *options) as run:
        run.until_there("waiting")
        process = getattr(run, victim)()[0]
        process.send_signal(signal.SIGKILL)
        # Two users have one iteration each under way that the stop may still drop.
        _wait_for_more(run, 8)
        run.stop()
        outcomes = booked(run.report())

    assert 1 <= outcomes["infrastructure"] <= 4, run.text()
    assert outcomes["passed"] > outcomes["infrastructure"]
    assert outcomes["failed"] == 0


def test_a_sidecar_that_keeps_dying_is_left_alone_for_a_while(tmp_path: Path) -> None:
    """After three deaths in a row it is not started again; users hear why, and the run ends."""
    code = (
        FLOW
        + """
if os.environ.get("LOCUST_SKIP_MONKEY_PATCH"):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    with locust(tmp_path, code, *HEADLESS, "-u", "1", "-t", "10m") as run:
        # As long as it takes: each start of a sidecar takes a second, and more on a busy machine.
        run.until("was killed by signal 9; next try in")
        run.stop()
        report = run.report()

    outcomes = booked(report)
    assert outcomes["infrastructure"] >= 3
    assert outcomes["passed"] == outcomes["failed"] == 0
    assert "was killed by signal 9; next try in" in run.text()
    assert run.text().count("the sidecar was killed by signal 9") >= 3


FORKS = """
import time

class Shopper(BrowserUser):
    wait_time = constant(0.2)

    @task
    async def look(self, page, step):
        if not (HERE / "forked").exists():
            child = os.fork()
            if child == 0:
                time.sleep(600)
                os._exit(0)
            (HERE / "forked").write_text(str(child))
            os.kill(os.getpid(), signal.SIGKILL)
        await page.goto("/meals")
        (HERE / "looked").touch()
"""


def test_a_sidecar_that_dies_is_missed_although_its_child_lives(
    tmp_path: Path, larder: Larder
) -> None:
    """A child that a scenario forked holds the sidecar's end; the next sidecar starts at once."""
    with locust(tmp_path, FORKS, *HEADLESS, "-u", "1", "--host", larder.url) as run:
        run.until_there("looked")
        run.stop()
        with suppress(ProcessLookupError):
            os.kill(int((tmp_path / "forked").read_text()), signal.SIGKILL)
        assert booked(run.report())["infrastructure"] == 1


@pytest.mark.parametrize("ending", ["interrupt", "terminate"])
def test_the_end_of_a_run_drops_what_is_under_way(
    tmp_path: Path, larder: Larder, ending: str
) -> None:
    """Ctrl-C and SIGTERM cancel iterations after the time to stop, and book them as dropped."""
    options = (*HEADLESS, "-u", "2", "--stop-timeout", "1", "--host", larder.url)
    with locust(tmp_path, WAITING, *options) as run:
        run.until_there("waiting")
        run.stop(signal.SIGINT if ending == "interrupt" else signal.SIGTERM)
        outcomes = booked(run.report())

    assert outcomes == {"passed": 0, "failed": 0, "infrastructure": 0, "dropped": 2}


@pytest.mark.parametrize("processes", [(), ("--processes", "2")], ids=["alone", "master"])
def test_a_killed_locust_takes_its_browsers_along(
    tmp_path: Path, larder: Larder, processes: tuple[str, ...]
) -> None:
    """After a SIGKILL of Locust nothing of it lives; workers end when they miss their master."""
    options = (*HEADLESS, "-u", "2", "--host", larder.url, *processes)
    with locust(tmp_path, WAITING, *options) as run:
        run.until_there("waiting")
        run.process.kill()
        run.wait()
        assert run.leftovers(5.0 if not processes else 90.0) == []


DISTRIBUTED = (*HEADLESS, "--processes", "2")


def test_totals_of_workers_are_the_masters(tmp_path: Path, larder: Larder) -> None:
    """Two workers report all that they saw, also of the last moment, when the time is over."""
    code = MIXED + _counting()
    options = (*DISTRIBUTED, "-u", "6", "-t", "10s", "--host", larder.url)
    with locust(tmp_path, code, *options) as run:
        run.wait()
        report = run.report()

    seen = _seen(tmp_path)
    assert len({entry["pid"] for entry in seen}) == 2
    assert report["steps"]["Shopper.look/meals"]["count"] == _count(seen, "Shopper.look/meals")
    assert report["requests"]["GET /health"]["count"] == _count(seen, "/health")
    assert booked(report)["passed"] > 2
    assert len(report["memory"]) == 2


def test_interrupting_a_distributed_run_loses_nothing(tmp_path: Path, larder: Larder) -> None:
    """Ctrl-C reaches master and workers at once; what they saw is in the report all the same."""
    code = FLOW + _counting()
    with locust(tmp_path, code, *DISTRIBUTED, "-u", "4", "--host", larder.url) as run:
        wait_until(lambda: len(_seen(tmp_path)) > 6, 60 * slack(), run.text())
        os.killpg(run.process.pid, signal.SIGINT)
        run.wait()
        report = run.report()

    counted = report["steps"]["Shopper.look/meals"]["count"]
    assert counted == _count(_seen(tmp_path), "Shopper.look/meals")
    booked(report)


@pytest.mark.parametrize("where", ["report_to_master", "worker_report"])
def test_an_interrupt_in_the_middle_of_a_report_loses_nothing(
    tmp_path: Path, larder: Larder, where: str
) -> None:
    """Ctrl-C while a worker has its figures in hand, or its master does."""
    code = FLOW + _counting() + _interrupting(where)
    with locust(tmp_path, code, *DISTRIBUTED, "-u", "4", "--host", larder.url) as run:
        run.wait()
        report = run.report()

    assert (tmp_path / "interrupted").exists()
    counted = report["steps"]["Shopper.look/meals"]["count"]
    assert counted == _count(_seen(tmp_path), "Shopper.look/meals")
    booked(report)


def _interrupting(where: str) -> str:
    """Return code that presses Ctrl-C once, while a report that has figures is in hand."""
    return f"""
@events.init.add_listener
def listen(**_):
    @events.{where}.add_listener
    def interrupt(client_id, data):
        seen = sum(len(file.read_text().splitlines()) for file in HERE.glob("seen-*.jsonl"))
        if seen > 6 and data["stats"] and not (HERE / "interrupted").exists():
            (HERE / "interrupted").touch()
            os.killpg(os.getpgrp(), 2)
"""


def test_a_killed_worker_is_lost_and_the_rest_goes_on(tmp_path: Path, larder: Larder) -> None:
    """What it had in flight is infrastructure; the other worker goes on to the end."""
    options = (*DISTRIBUTED, "-u", "4", "--host", larder.url)
    with locust(tmp_path, FLOW + _counting(), *options) as run:
        wait_until(lambda: len(run.browsers()) == 2, 60 * slack(), "two browsers")
        run.workers()[0].kill()
        run.until("failed to send heartbeat")
        _wait_for_more(run, 10)
        run.stop()
        report = run.report()

    assert booked(report)["passed"] > 5
    assert any("heartbeat" in doubt for doubt in report["doubts"])


def _counting() -> str:
    """Return code with which each worker writes down every request that it saw."""
    return """
import json
from locust import events

@events.request.add_listener
def write_down(request_type, name, exception, **facts):
    with open(HERE / f"seen-{os.getpid()}.jsonl", "a") as file:
        ok = exception is None
        file.write(json.dumps({"pid": os.getpid(), "name": name, "ok": ok}) + "\\n")
"""


def _wait_for_more(run: Run, number: int) -> None:
    """Wait until so many more iterations have passed their last step."""

    def passed() -> int:
        return sum(row["ok"] for row in _seen(run.directory) if row["name"].endswith("/kitchen"))

    before = passed()
    wait_until(lambda: passed() >= before + number, 60 * slack(), f"{number} more:\n{run.text()}")


def _seen(directory: Path) -> list[dict[str, Any]]:
    rows = "".join(path.read_text() for path in directory.glob("seen-*.jsonl"))
    return [json.loads(row) for row in rows.splitlines()]


def _count(seen: list[dict[str, Any]], name: str) -> int:
    return sum(entry["name"] == name for entry in seen)


@pytest.mark.parametrize("processes", [(), ("--processes", "2")], ids=["alone", "master"])
def test_the_web_interface_stops_and_starts_it_twice(
    tmp_path: Path, larder: Larder, processes: tuple[str, ...]
) -> None:
    """Each start begins new books; the tab has the pool, the waits, the vitals and the memory.

    When it has stopped, as many requests are counted as users have made, in whatever process.
    """
    port = free_port()
    options = ("--web-host", "127.0.0.1", "--web-port", str(port), "--host", larder.url)
    options = (*options, *processes, "--stop-timeout", "3")
    with locust(tmp_path, FLOW + _counting(), *options) as run:
        wait_until(lambda: answers(port), 60 * slack(), run.text())
        seen = 0
        for _ in range(2 if processes else 3):
            # A worker that has stopped is ready again after the time that stopping may take.
            wait_until(lambda: len(_workers(port)) == len(processes), 60 * slack(), run.text())
            post(port, "swarm", "user_count=2&spawn_rate=5")
            # The page is a picture of up to two seconds ago, and may be that of the run before.
            wait_until(lambda: _state(port) == "running", 30 * slack(), run.text())
            wait_until(lambda: _rows(port, "iterations"), 60 * slack(), run.text())
            wait_until(lambda: _rows(port, "vitals"), 30 * slack(), run.text())
            assert any("slots" in row["state"] for row in _table(port))
            post(port, "stop", "")
            wait_until(lambda: _state(port) == "stopped", 30 * slack(), run.text())
            begun = sum(_passed(row) for row in _table(port))
            assert begun > 0
            before, seen = seen, _count(_seen(tmp_path), "Shopper.look/meals")
            assert _requests(port, "Shopper.look/meals") == seen - before
        assert b"extended_tabs" in get(port, "/")
        assert len(run.sidecars()) == max(1, len(processes))
        run.stop()
        booked(run.report())


def _workers(port: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(get(port, "/stats/requests")).get("workers", [])
    return found


def _requests(port: int, name: str) -> int:
    rows = json.loads(get(port, "/stats/requests"))["stats"]
    return sum(int(row["num_requests"]) for row in rows if row["name"] == name)


def _state(port: int) -> str:
    return str(json.loads(get(port, "/stats/requests"))["state"])


def _table(port: int) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(get(port, "/stats/requests"))["extended_stats"][0][
        "data"
    ]
    return found


def _rows(port: int, column: str) -> list[dict[str, str]]:
    return [row for row in _table(port) if row[column]]


def _passed(row: dict[str, str]) -> int:
    told = [part for part in row["iterations"].split(", ") if part.endswith(" passed")]
    return int(told[0].split()[0]) if told else 0


def test_an_open_workload_shows_a_stalled_server(tmp_path: Path) -> None:
    """Service times stay as they were; from the intended start the stall is seen in seconds."""
    code = """
class Shopper(BrowserUser):
    arrival_rate = 3.0
    vitals = False

    @task
    async def look(self, page, step):
        async with step("health"):
            await page.goto("/health")
"""
    (tmp_path / "shop").mkdir()
    with running_larder(tmp_path / "shop") as shop:
        options = (*HEADLESS, "-u", "3", "-t", "20s", "--host", shop.url)
        with locust(tmp_path, code, *options) as run:
            wait_until(lambda: len(run.browsers()) > 0, 30 * slack(), "a browser")
            _pause(3.0)
            _stall(shop.pid, 6.0)
            run.wait()
            report = run.report()

    outcomes = booked(report)
    figures = report["iterations"]["Shopper.look"]
    assert report["begun"] == pytest.approx(60, abs=3)
    assert outcomes["passed"] >= 50
    assert figures["response"]["p99"] > 3.0
    assert figures["service"]["p50"] < 1.0
    assert figures["late"] > 0


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def _stall(pid: int, seconds: float) -> None:
    """Stop a process for a while."""
    os.kill(pid, signal.SIGSTOP)
    try:
        _pause(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)


def test_users_that_come_and_go_leave_nothing(tmp_path: Path, larder: Larder) -> None:
    """Fifty users, all at once and away again: no context, process or file stays."""
    options = ("--headless", "-r", "50", "-u", "50", "--host", larder.url)
    with locust(tmp_path, FLOW + _counting(), *options) as run:
        _wait_for_more(run, 10)
        assert run.stop() == 0, run.text()
        outcomes = booked(run.report())

    assert outcomes["failed"] == outcomes["infrastructure"] == 0
    assert outcomes["passed"] > 0


def test_roles_keep_users_apart(tmp_path: Path, larder: Larder) -> None:
    """With one worker for browsers, the other runs none."""
    code = MIXED + _counting()
    options = (*DISTRIBUTED, "-u", "6", "-t", "8s", "--host", larder.url, "--sentinel-roles", "1")
    with locust(tmp_path, code, *options) as run:
        run.wait()

    kinds: dict[int, set[bool]] = {}
    for entry in _seen(tmp_path):
        kinds.setdefault(entry["pid"], set()).add(entry["name"].startswith("Shopper"))
    assert sorted(kinds.values(), key=str) == [{False}, {True}]


def test_locusts_own_decorator_does_as_well(tmp_path: Path, larder: Larder) -> None:
    """A locustfile that imports ``task`` from Locust runs in browsers all the same."""
    code = "from locust import task" + FLOW
    with locust(tmp_path, code, *HEADLESS, "-u", "1", "-t", "5s", "--host", larder.url) as run:
        assert run.wait() == 0, run.text()

    assert booked(run.report())["passed"] > 0


def test_metrics_are_served_while_it_runs(tmp_path: Path, larder: Larder) -> None:
    """The master's port has users, steps and requests of all workers, and stops with the run."""
    port = free_port()
    place = ("--sentinel-metrics", f"127.0.0.1:{port}")
    with locust(tmp_path, MIXED, *DISTRIBUTED, "-u", "4", "--host", larder.url, *place) as run:
        wait_until(lambda: answers(port), 60 * slack(), "a port")
        # Which of the users comes first is chance.
        wanted = (b'task="Shopper.look/kitchen"', b'task="GET /health"')
        wait_until(lambda: all(one in get(port, "/") for one in wanted), 60 * slack(), "data")
        text = get(port, "/").decode()
        run.stop()

    assert "sentinel_load_users 4.0" in text
    assert 'sentinel_load_requests_total{task="GET /health",verdict="ok"}' in text
    assert 'sentinel_load_request_duration_seconds_bucket{le="0.2",task="Shopper.look"}' in text
    assert not answers(port)
