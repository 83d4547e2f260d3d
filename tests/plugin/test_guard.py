"""The guard over our own tests: a test that leaves something behind fails, and says what."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runs import OPTIONS

CONFTEST = Path(__file__).parents[1] / "conftest.py"

LEAKS = {
    "process": """
import subprocess
kept = []

def test_leaves_a_process():
    # It reads until this process ends, and then ends too.
    kept.append(subprocess.Popen(["cat"], stdin=subprocess.PIPE))
""",
    "thread": """
import threading
over = threading.Event()

def test_leaves_a_thread():
    threading.Thread(target=over.wait, name="left-over", daemon=True).start()
""",
    "descriptor": """
import os
kept = []

def test_leaves_a_descriptor(tmp_path):
    kept.append(os.open(tmp_path, os.O_RDONLY))
""",
    "socket": """
import socket
kept = []

def test_leaves_a_socket():
    kept.append(socket.socket())
""",
    "directory": """
import tempfile

def test_leaves_a_directory():
    tempfile.mkdtemp(prefix="left-over-")
""",
}
EXPECTED = {
    "process": "*left behind: *process *: cat*",
    "thread": "left behind: thread left-over",
    "descriptor": "left behind: descriptor * -> *test_leaves_a_descriptor0",
    "socket": "left behind: descriptor * -> socket:*",
    "directory": "left behind: temporary left-over-*",
}

CLEAN = """
import os
import subprocess
import tempfile
import threading

import pytest

@pytest.fixture(scope="session")
def server():
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    yield process
    process.communicate()

def test_cleans_up(tmp_path):
    subprocess.run(["true"])
    thread = threading.Thread(target=print)
    thread.start()
    thread.join()
    with tempfile.TemporaryDirectory(), open(tmp_path / "file", "w"):
        pass

def test_goes_away_in_a_moment():
    threading.Timer(0.1, print).start()

def test_uses_what_a_wider_fixture_holds(server):
    assert server.poll() is None

def test_is_the_last_to_use_it(server):
    assert server.poll() is None
"""


def run(pytester: pytest.Pytester, tests: str, *options: str) -> pytest.RunResult:
    """Run tests under our own conftest."""
    pytester.makeconftest(CONFTEST.read_text())
    pytester.makepyfile(test_it=tests)
    return pytester.runpytest_subprocess(*OPTIONS, "-p", "no:sentinel", *options)


@pytest.mark.parametrize("kind", LEAKS)
def test_what_is_left_behind_fails_its_test(pytester: pytest.Pytester, kind: str) -> None:
    """A process, thread, descriptor, socket or directory makes the test that left it fail."""
    result = run(pytester, LEAKS[kind])
    result.assert_outcomes(passed=1, errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([EXPECTED[kind]])


def test_under_xdist_too(pytester: pytest.Pytester) -> None:
    """Each worker has a temporary directory of its own to look into."""
    result = run(pytester, LEAKS["directory"], "-n", "2")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([EXPECTED["directory"]])


def test_who_cleans_up_passes(pytester: pytest.Pytester) -> None:
    """Neither what ends in a moment nor what a wider fixture holds is an offence."""
    run(pytester, CLEAN).assert_outcomes(passed=4)
