"""Several processes add to one baseline of known leaks, and none loses what another wrote."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_sentinel.leaks.baseline import add_to_baseline, read_baseline
from pytest_sentinel.leaks.verdict import Leak

PROCESSES, ENTRIES = 4, 12
ROUNDS = int(os.environ.get("BASELINE_ROUNDS", "2"))
WRITER = """
import sys
from pathlib import Path
from pytest_sentinel.leaks.baseline import add_to_baseline
from pytest_sentinel.leaks.verdict import Leak

path, name, entries = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for number in range(entries):
    add_to_baseline(path, [Leak("heap", f"{name}.{'x' * number}")], "test")
"""


@pytest.mark.parametrize("number", range(ROUNDS))
def test_processes_that_write_at_the_same_time_lose_nothing(tmp_path: Path, number: int) -> None:
    """Every entry of every process is in the file, and nothing else is left beside it."""
    path = tmp_path / "known" / "leaks.json"
    command = [sys.executable, "-c", WRITER, os.fspath(path)]
    writers = [
        subprocess.Popen(
            [*command, f"writer{'abcd'[place]}", str(ENTRIES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for place in range(PROCESSES)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)

    assert [writer.returncode for writer in writers] == [0] * PROCESSES
    assert len(read_baseline(path)) == PROCESSES * ENTRIES
    assert [found.name for found in path.parent.iterdir()] == ["leaks.json"]


def test_a_link_to_the_baseline_stays_a_link(tmp_path: Path) -> None:
    """The file that a link names is replaced, with the mode it had, and the link is kept."""
    real, link = tmp_path / "shared.json", tmp_path / "leaks.json"
    link.symlink_to(real)
    add_to_baseline(link, [Leak("heap", "window.first")], "test")
    real.chmod(0o640)

    add_to_baseline(link, [Leak("heap", "window.second")], "test")

    assert link.is_symlink()
    assert len(read_baseline(real)) == 2
    assert real.stat().st_mode & 0o777 == 0o640


def test_where_directories_cannot_be_locked_a_lock_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on NFS, which locks only what is open for writing."""
    lock = fcntl.flock

    def only_files(descriptor: int, operation: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError("a directory")
        lock(descriptor, operation)

    monkeypatch.setattr("pytest_sentinel.leaks.baseline.fcntl.flock", only_files)
    path = tmp_path / "leaks.json"

    for owner in ("window.first", "window.second"):
        add_to_baseline(path, [Leak("heap", owner)], "test")

    assert len(read_baseline(path)) == 2
    assert sorted(found.name for found in tmp_path.iterdir()) == [".leaks.json.lock", "leaks.json"]
