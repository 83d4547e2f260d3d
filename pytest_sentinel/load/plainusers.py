"""Users without a browser: their iterations are counted, too, of which Locust has no event.

Knows Locust's classes by sight. Browser users are none of its business: they book their own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from pytest_sentinel.load.desk import Desk
from pytest_sentinel.load.roles import is_browser


def count_tasks(classes: Iterable[Any], desk: Desk) -> None:
    """Have every task that such a user runs to its end be counted at ``desk``."""
    for cls in classes:
        if not is_browser(cls):
            # A set of tasks is a class, and ends when it likes: what it runs are no iterations.
            cls.tasks = [
                task
                if isinstance(task, type)
                else _counted(f"{cls.__name__}.{task.__name__}", task, desk)
                for task in cls.tasks
            ]


def _counted(name: str, task: Callable[..., Any], desk: Desk) -> Callable[..., Any]:
    @functools.wraps(task)
    def run(*args: Any, **kwargs: Any) -> Any:
        result = task(*args, **kwargs)
        desk.tally.task(name)
        return result

    return run
