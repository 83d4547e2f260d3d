"""A test that hangs under pytest-timeout's method ``thread``, which ends the whole process."""

from __future__ import annotations

import pytest

from pytest_sentinel.telemetry.record import Begun, End, Line
from pytest_sentinel.telemetry.unfinished import Unfinished
from tests.runs import Scratch

pytestmark = pytest.mark.browser

TESTS = """
def test_before(page):
    page.goto("about:blank")

@pytest.mark.timeout(1, method="thread", func_only=True)
@pytest.mark.parametrize("where", ["in the browser", "in Python"])
def test_hangs(page, where):
    page.goto("about:blank")
    if where == "in Python":
        threading.Event().wait()
    page.evaluate("new Promise(() => {})")

@pytest.mark.parametrize("number", range(3))
def test_after(page, number):
    page.goto("about:blank")

def test_plain():
    pass
"""
# Loaded after all, although Scratch blocks it.
TIMEOUT = ("-p", "timeout")


def interrupted(record: list[Line]) -> list[str]:
    """Return the tests that a reader of the record shows as interrupted."""
    unfinished = Unfinished()
    for line in record:
        unfinished.add(line)
    return unfinished.tests()


def test_the_only_process_is_ended(pytester: pytest.Pytester) -> None:
    """At ``-n 0`` the run ends as without the plugin; the record names the test that hung."""
    scratch = Scratch(pytester, TESTS)
    for more in (("-p", "no:sentinel"), ()):
        with scratch.start(*TIMEOUT, *more) as run:
            assert run.wait() == 1
            run.assert_all_gone()
            assert run.output().count("+ Timeout +") == 2  # one line before the stacks, one after
            assert "Stack of MainThread" in run.output()

    record = scratch.record()
    assert [line.outcome for line in scratch.attempts()] == ["passed"]
    begun = [line.nodeid for line in record if isinstance(line, Begun)]
    assert interrupted(record) == begun[1:]
    assert "test_hangs" in begun[1]
    assert not [line for line in record if isinstance(line, End)]


def test_a_worker_is_ended(pytester: pytest.Pytester) -> None:
    """At ``-n 2`` it costs the tests that hang, by their own doing; all others run."""
    scratch = Scratch(pytester, TESTS)
    for more in (("-p", "no:sentinel"), ()):
        with scratch.start(*TIMEOUT, "-n", "2", *more) as run:
            assert run.wait() == 1
            run.assert_all_gone()
            assert "2 failed, 5 passed" in run.output()

    record = scratch.record()
    hung = scratch.attempts("test_hangs")
    assert [(line.outcome, line.failure) for line in hung] == [("worker-crashed", "product")] * 2
    assert [line.attempt for line in hung] == [1, 1]
    rest = [line for line in scratch.attempts() if line not in hung]
    assert [line.outcome for line in rest] == ["passed"] * 5
    assert [line for line in record if isinstance(line, End)]
    assert interrupted(record) == []
