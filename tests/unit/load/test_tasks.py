"""Names that mean the same in both processes, and what an exception means."""

from __future__ import annotations

import functools
import unittest
from typing import Any

import pytest

from pytest_sentinel.load.endings import Kind, ending_of, failure_of, plain
from pytest_sentinel.load.plan import Terms, longest
from pytest_sentinel.load.tasks import is_async, title_of


async def serve(self: Any, page: Any, step: Any, dish: str = "soup") -> None:
    """Stand for a task."""


def clean(self: Any) -> None:
    """Stand for what is no task."""


class Cook:
    """An object that can be called."""

    async def __call__(self, user: Any, page: Any, step: Any) -> None:
        """Stand for a task."""


@functools.wraps(serve)
def decorated(*given: Any, **named: Any) -> Any:
    """Call what it wraps."""
    return serve(*given, **named)


def test_a_task_has_a_name_whatever_it_is() -> None:
    """A partial has that of its function, an object that of its class."""
    partial = functools.partial(functools.partial(serve), dish="cake")

    assert [title_of(one) for one in (serve, partial, Cook(), decorated)] == [
        *("serve", "serve", "Cook", "serve")
    ]
    assert [is_async(one) for one in (serve, partial, Cook(), decorated, clean)] == [
        *(True, True, True, True, False)
    ]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (None, Kind.PASSED),
        (ValueError("x"), Kind.FAILED),
        (SystemExit(0), Kind.FAILED),
        (unittest.SkipTest("x"), Kind.SKIPPED),
        (ExceptionGroup("x", [unittest.SkipTest("x")]), Kind.SKIPPED),
        (ExceptionGroup("x", [unittest.SkipTest("x"), ValueError()]), Kind.FAILED),
    ],
)
def test_an_exception_means_an_end(error: BaseException | None, kind: Kind) -> None:
    """A group of one means what that one means."""
    assert ending_of(error).kind is kind


def test_what_an_exception_says_can_be_sent() -> None:
    """It is cut, and has no half of a character."""
    failure = failure_of(ValueError("\ud800" + "x" * 1000 + "\nmore"))

    assert len(failure.message.encode()) < 400
    assert len(failure.detail) <= 9000
    assert plain("x" * 300) == "x" * 199 + "…"


def test_the_longest_that_an_iteration_takes() -> None:
    """The wait for a browser, of each service, and the iteration itself."""
    terms = Terms(lease_timeout=10, iteration_timeout=100)

    assert longest(terms, "auto") == 130
    assert longest(terms, "ws://a,ws://b") == 150
