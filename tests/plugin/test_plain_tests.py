"""What a test without a browser costs, counted: functions of ours that it calls."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

COUNTED = """
import os, sys
import pytest, pytest_sentinel
ours, calls = os.path.dirname(pytest_sentinel.__file__), 0

def count(frame, event, arg):
    global calls
    calls += event == "call" and frame.f_code.co_filename.startswith(ours)

sys.setprofile(count)
status = pytest.main(["-q", "-p", "no:cacheprovider", "-p", "pytest_sentinel.plugin"])
sys.setprofile(None)
assert status == 0
print(calls)
"""


def calls(directory: Path, tests: int) -> int:
    """Return how many functions of ours a run of so many tests calls."""
    directory.mkdir()
    suite = "".join(f"def test_{number}(): pass\n" for number in range(tests))
    (directory / "test_plain.py").write_text(suite)
    told = subprocess.run(
        [sys.executable, "-c", COUNTED],
        cwd=directory,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(told.stdout.splitlines()[-1])


def test_a_plain_test_calls_few_functions_of_ours(tmp_path: Path) -> None:
    """The number is the same on every machine, as a time is not."""
    few, many = calls(tmp_path / "few", 20), calls(tmp_path / "many", 60)

    assert (many - few) / 40 < 250
