"""The reaper ends what its owner left, by identity, and nothing else."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pytest_sentinel.memory.processes import ProcessId, identify
from pytest_sentinel.pool.reaper import Reaper
from tests.runs import slack, wait_until

GROUP = "sleep 100 & sleep 100 & wait"
DEAF = "trap '' TERM INT HUP; sleep 100 & sleep 100 & wait"


@pytest.fixture
def start() -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Start shell commands that lead groups of their own; end them with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start_one(command: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(["/bin/sh", "-c", command], start_new_session=True)
        started.append(process)
        wait_until(lambda: len(psutil.Process(process.pid).children()) == 2, 10, "its children")
        return process

    yield start_one
    for process in started:
        for child in group_of(process):
            child.kill()
        process.kill()
        process.wait()


def group_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the living processes of a group, without its leader."""
    found = []
    for other in psutil.process_iter():
        try:
            stat = Path(f"/proc/{other.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(stat[2]) == process.pid and other.pid != process.pid and stat[0] != "Z":
            found.append(other)
    return found


def identity(process: subprocess.Popen[bytes]) -> ProcessId:
    """Return who a process is."""
    found = identify(process.pid)
    assert found is not None
    return found


@pytest.mark.parametrize("command", [GROUP, DEAF])
def test_what_is_left_is_killed_with_its_group(
    start: Callable[[str], subprocess.Popen[bytes]], tmp_path: Path, command: str
) -> None:
    """When its input ends, a group that does not end by itself is killed, and its profile goes."""
    profile = tmp_path / "playwright_profile-x"
    (profile / "Default").mkdir(parents=True)
    process = start(command)
    reaper = Reaper()
    reaper.adopt(identity(process), str(profile))
    reaper.close()
    assert process.wait(5 * slack()) == -signal.SIGKILL
    wait_until(lambda: group_of(process) == [], 5, "the end of its group")
    assert not profile.exists()


def test_what_was_released_is_left_alone(
    start: Callable[[str], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    """A browser that ended in good order is forgotten; another in the list is not."""
    kept, lost = start(GROUP), start(GROUP)
    reaper = Reaper()
    reaper.adopt(identity(kept), None)
    reaper.adopt(identity(lost), None)
    reaper.release(identity(kept))
    reaper.release(identity(kept))
    reaper.close()
    assert lost.wait(5 * slack()) == -signal.SIGKILL
    assert kept.poll() is None


def test_a_pid_that_was_given_out_again_is_left_alone(
    start: Callable[[str], subprocess.Popen[bytes]],
) -> None:
    """The same number with another start time is a stranger."""
    process = start(GROUP)
    reaper = Reaper()
    reaper.adopt(ProcessId(process.pid, identity(process).started - 1), None)
    reaper.close()
    assert process.poll() is None


def test_a_process_without_a_group_is_ended_alone() -> None:
    """A driver is one of our own group: only it is ended, and not who has its number later."""
    ours, stranger = (subprocess.Popen(["sleep", "100"]) for _ in range(2))
    try:
        reaper = Reaper()
        reaper.adopt(identity(ours), None)
        reaper.adopt(ProcessId(stranger.pid, identity(stranger).started - 1), None)
        reaper.close()
        assert ours.wait(5 * slack()) == -signal.SIGTERM
        assert stranger.poll() is None
    finally:
        for process in (ours, stranger):
            process.kill()
            process.wait()


def test_only_profiles_of_playwright_are_removed(
    start: Callable[[str], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    """A directory of the user's own is his, and a name with a space is left to the system."""
    own, spaced = tmp_path / "my profile", tmp_path / "mine"
    own.mkdir()
    spaced.mkdir()
    reaper = Reaper()
    reaper.adopt(identity(start(GROUP)), str(own))
    reaper.adopt(identity(start(GROUP)), str(spaced))
    reaper.close()
    assert own.is_dir()
    assert spaced.is_dir()


def test_a_directory_is_removed_when_nobody_writes_into_it_any_more(
    start: Callable[[str], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    """Those that were adopted later, and go on in the files of the first, are ended before."""
    directory = tmp_path / "sentinel-pool-x"
    first = start(GROUP)
    writes = f"while :; do mkdir -p {directory}/profile; : > {directory}/profile/file; done"
    second = start(f"sleep 100 & {writes} & wait")
    wait_until(directory.exists, 10 * slack(), "its files")
    reaper = Reaper()
    reaper.adopt(identity(first), str(directory))
    reaper.adopt(identity(second), None)

    reaper.close()

    wait_until(lambda: not group_of(second), 10 * slack(), "the end of who writes")
    assert not directory.exists()


def test_a_reaper_without_work_was_never_started() -> None:
    """Nothing is started before the first browser, and closing twice does no harm."""
    reaper = Reaper()
    assert reaper.pid is None
    reaper.close()
    reaper.close()
    assert reaper.pid is None
