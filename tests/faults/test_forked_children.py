"""Children that a test forks: they hold copies of all that we have, and neither keep nor end it."""

from __future__ import annotations

import pytest

from tests.runs import Scratch, Started, slack, wait_until

# Each holds whatever a child made in its way holds; none ends before it is killed.
CHILDREN = """
import ctypes
import multiprocessing
import subprocess
import sys
import time

def note(pid):
    (HERE / f"child-{pid}").touch()

def fork(sleeps=600):
    pid = os.fork()
    if pid == 0:
        time.sleep(sleeps)
        os._exit(0)
    note(pid)

def daemon(sleeps=600):
    pid = os.fork()
    if pid == 0:
        os.setsid()
        if os.fork() == 0:
            note(os.getpid())
            time.sleep(sleeps)
        os._exit(0)
    os.waitpid(pid, 0)

def by_multiprocessing():
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    process.start()
    note(process.pid)

def by_a_library():
    # Behind Python's back, as a library in C may do it.
    pid = ctypes.CDLL(None).fork()
    if pid == 0:
        ctypes.CDLL(None).sleep(600)
        os._exit(0)
    note(pid)

def by_exec():
    sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
    note(subprocess.Popen(sleep, close_fds=False).pid)
"""

LEAVES_FIVE = (
    CHILDREN
    + """
@pytest.fixture(scope="session")
def servers(browser):
    for make in (fork, daemon, by_multiprocessing, by_a_library, by_exec):
        make()

def test_waiting(page, servers):
    page.set_content("<title>here</title>")
    (HERE / "waiting").touch()
    page.wait_for_timeout(600_000)
"""
)


def children_of(scratch: Scratch) -> set[int]:
    """Return the pids of the children that the scratch suite forked."""
    return {int(path.name.removeprefix("child-")) for path in scratch.path.glob("child-*")}


def assert_only(started: Started, children: set[int], seconds: float = 5.0) -> None:
    """Assert that within ``seconds`` nothing of a killed run is left but these processes."""
    wait_until(
        lambda: {process.pid for process in started.alive()} == children,
        seconds * slack(),
        f"an end of all but {children}: {[(p.pid, p.cmdline()) for p in started.alive()]}",
    )
    assert started.leftovers() == []


@pytest.mark.parametrize("options", [(), ("-n", "1")])
def test_a_killed_run_leaves_nothing_although_its_children_live(
    pytester: pytest.Pytester, options: tuple[str, ...]
) -> None:
    """Driver, browser, reaper and files go within 5 s of kill -9, whoever still holds a pipe."""
    scratch = Scratch(pytester, LEAVES_FIVE)
    with scratch.start(*options) as started:
        wait_until((scratch.path / "waiting").exists, 120, "a test that waits")
        assert len(started.browsers()) == 1
        children = children_of(scratch)
        assert len(children) == 5
        started.process.kill()
        started.process.wait()
        assert_only(started, children)


# The last way brings the child back into pytest, where it ends the session as if it were its own.
ENDS = """
import multiprocessing
import sys
import time

WAYS = {
    "os._exit": lambda: os._exit(0),
    "SIGTERM": lambda: signal.raise_signal(signal.SIGTERM),
    "return": lambda: None,
}

@pytest.mark.parametrize("way", WAYS)
def test_child_ends(page, way):
    process = multiprocessing.get_context("fork").Process(target=WAYS[way])
    process.start()
    process.join()
    page.set_content(f"<title>{way}</title>")
    assert page.title() == way

def test_pool_is_closed_in_a_child(page, request):
    pid = os.fork()
    if pid == 0:
        try:
            request.config.pluginmanager.getplugin("sentinel-running").pytest_unconfigure()
            request.getfixturevalue("browser").close()
        finally:
            os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    page.set_content("<title>still</title>")
    assert page.title() == "still"

def test_after(page):
    page.set_content("<title>after</title>")
"""


def test_a_child_that_ends_does_not_take_the_parents_browser_along(
    pytester: pytest.Pytester,
) -> None:
    """Whatever a child does at its end, no attempt of the parent is lost and no file goes."""
    scratch = Scratch(pytester, ENDS)
    scratch.run().assert_outcomes(passed=5)
    assert scratch.events("crashed", "driver-died") == []
    assert len(scratch.events("launched")) == 1


OUTLIVES = (
    CHILDREN
    + """
def test_first(page):
    daemon()

def test_second(page):
    page.set_content("<title>second</title>")
"""
)


def test_the_end_of_a_run_does_not_wait_for_its_childrens(pytester: pytest.Pytester) -> None:
    """A daemon that holds the driver's input does not hold up ``playwright.stop()``."""
    scratch = Scratch(pytester, OUTLIVES)
    with scratch.start() as started:
        assert started.wait(60 * slack()) == pytest.ExitCode.OK, started.output()
        children = children_of(scratch)
        assert len(children) == 1
        assert_only(started, children)
