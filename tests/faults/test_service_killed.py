"""The service itself is killed: nothing of it stays, and the next one clears up what did."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests import loops
from tests.faults.poolkit import client
from tests.runs import slack, wait_until
from tests.service.serving import Service

pytestmark = pytest.mark.browser


def ours(service: Service) -> list[psutil.Process]:
    """Return the processes of a service but itself."""
    return [process for process in service.processes() if process.pid != service.process.pid]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start a service; whatever is left of it at the end is ended."""
    services: list[Service] = []

    def begin(*options: str) -> Service:
        services.append(Service(tmp_path, "--max", "1", "--probe-timeout", "2 s", *options))
        services[-1].wait_started()
        if "--min" in options:
            wait_until(services[-1].browsers, 30 * slack(), "a warm browser")
        return services[-1]

    yield begin
    for service in services:
        service.close()


def kill(service: Service) -> None:
    """Kill the service alone, and take note of its end."""
    service.process.kill()
    service.process.wait()


def test_a_killed_service_takes_its_browsers_along(start: Callable[..., Service]) -> None:
    """Within five seconds no browser and no server is left, and its clients fail at once."""
    service = start("--min", "1")

    async def run() -> None:
        async with client() as one:
            await one.do("connect", f"{service.ws}/chromium?owner=test")
            await one.do("open", 2)
            before = ours(service)
            assert len(before) > 3
            kill(service)
            assert "closed" in await asyncio.wait_for(one.fail("evaluate", "1"), 5 * slack())
            wait_until(lambda: not ours(service), 5 * slack(), "a clean machine")

    loops.run(run())


def test_browsers_that_hang_go_with_a_killed_service(start: Callable[..., Service]) -> None:
    """A stopped browser and its stopped server notice nothing; the reaper ends them."""
    service = start("--min", "1")
    for process in ours(service):
        if "node" in process.name() or "headless" in process.name():
            process.send_signal(signal.SIGSTOP)
    kill(service)
    wait_until(lambda: not ours(service), 5 * slack(), "a clean machine")


def test_the_next_service_removes_what_a_dead_one_left(start: Callable[..., Service]) -> None:
    """Its directory is recognised by its lock, its processes by pid and start time, not by name."""
    service = start("--min", "1")
    scratch = next(service.temporary.glob("sentinel-pool-*"))
    notes = (scratch / "processes").read_text().splitlines()
    wait_until(lambda: len((scratch / "processes").read_text().splitlines()) >= 3, 5, "notes")
    # As if the reaper had been killed, too: a process that is noted, and a stranger who has a
    # pid that was noted with another start time.
    with (
        subprocess.Popen(["sleep", "600"], start_new_session=True) as left,
        subprocess.Popen(["sleep", "600"], start_new_session=True) as stranger,
    ):
        try:
            kill(service)
            wait_until(lambda: not ours(service), 5 * slack(), "a clean machine")
            scratch.mkdir(exist_ok=True)
            ticks = _started(left.pid)
            rows = [notes[0], f"{left.pid} {ticks}", f"{stranger.pid} {ticks - 1}"]
            (scratch / "processes").write_text("\n".join(rows) + "\n")
            bystander = service.temporary / "sentinel-pool-of-nobody"
            bystander.mkdir()
            successor = start()
            left.wait(5)
            assert left.returncode == -signal.SIGKILL
            assert stranger.poll() is None
            assert not scratch.exists()
            assert bystander.exists()
            assert successor.named("leftovers.removed")[0]["processes"] == 1
            successor.stop()
            assert list(service.temporary.glob("sentinel-pool-*")) == [bystander]
        finally:
            left.kill()
            stranger.kill()


def _started(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def test_a_directory_that_was_noted_on_another_boot_costs_nobody_his_process(
    tmp_path: Path,
) -> None:
    """After a reboot pids mean nothing: the directory goes, and no process is touched."""
    scratch = tmp_path / "sentinel-pool-old"
    scratch.mkdir()
    program = "from pytest_sentinel.pool.scratch import remove_leftovers; print(remove_leftovers())"
    with subprocess.Popen(["sleep", "600"]) as innocent:
        rows = ["another-boot pid:[1]", f"{innocent.pid} {_started(innocent.pid)}"]
        (scratch / "processes").write_text("\n".join(rows) + "\n")
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        subprocess.run([sys.executable, "-c", program], env=environment, check=True)
        assert innocent.poll() is None
        innocent.kill()
    assert not scratch.exists()


def test_a_pool_that_lives_keeps_its_directory(start: Callable[..., Service]) -> None:
    """Two services of one user do not take each other's files for leftovers."""
    service = start("--min", "1")
    scratch = next(service.temporary.glob("sentinel-pool-*"))
    successor = start()
    assert not successor.named("leftovers.removed")
    assert scratch.exists()
    assert service.browsers()
    assert service.stop() == successor.stop() == 0
    assert list(service.temporary.iterdir()) == []
