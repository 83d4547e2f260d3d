"""Users without a browser: their iterations are counted, too, of which Locust has no event.

Knows Locust's classes by sight. Browser users are none of its business: they book their own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, Final

from pytest_sentinel.load.desk import Desk
from pytest_sentinel.load.endings import Kind, ending_of
from pytest_sentinel.load.roles import is_browser
from pytest_sentinel.load.tasks import title_of

_COUNTED: Final = "sentinel_counted"


def count_tasks(classes: Iterable[Any], desk: Desk) -> None:
    """Have every task that such a user runs to its end be counted at ``desk``."""
    for cls in classes:
        if not is_browser(cls):
            # A set of tasks is a class, and ends when it likes: what it runs are no iterations.
            cls.tasks = [
                task
                if isinstance(task, type) or hasattr(task, _COUNTED)
                else _counted(f"{cls.__name__}.{title_of(task)}", task, desk)
                for task in cls.tasks
            ]


def _counted(name: str, task: Callable[..., Any], desk: Desk) -> Callable[..., Any]:
    @functools.wraps(task)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            result = task(*args, **kwargs)
        except Exception as error:
            if ending_of(error).kind is Kind.CONTROL:
                desk.tally.task(name)  # it said what comes next, and was over
            raise
        desk.tally.task(name)
        return result

    # A partial, or an object that can be called, has no name, and Locust wants one in its tables.
    run.__name__ = title_of(task)
    setattr(run, _COUNTED, True)
    return run
