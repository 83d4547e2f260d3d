"""Keep browser users and other users on different workers. Knows Locust's dispatcher by sight.

Locust hands users to workers in turn, whatever they are. With roles, the first workers take
browser users only, and the rest the others; where one kind of user or worker is missing, everybody
takes everything, as without roles.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from pytest_sentinel.load.locustfile import MARK


def assign(workers: list[Any], browsers: int) -> tuple[list[Any], list[Any]]:
    """Return the workers for browser users and for others; all for both where one has none."""
    ours, others = workers[:browsers], workers[browsers:]
    return (ours or workers), (others or workers)


def with_roles(base: Any, browsers: int) -> Any:
    """Return a dispatcher like ``base`` that gives the first ``browsers`` workers a role."""

    class RoleDispatcher(base):  # type: ignore[misc]
        """Gives each user to the next worker of its role."""

        def __init__(self, worker_nodes: list[Any], user_classes: list[Any]) -> None:
            super().__init__(worker_nodes, user_classes)
            self._turn_of: Callable[[str], Any]
            self._deal()

        def _deal(self: Any) -> None:
            """Begin anew to hand out users in turn, as after a change of workers."""
            ours, others = assign(self._worker_nodes, browsers)
            kinds = {cls.__name__ for cls in self._original_user_classes if is_browser(cls)}
            turns = {True: itertools.cycle(ours), False: itertools.cycle(others)}
            self._turn_of = lambda user: next(turns[user in kinds])

        def _add_users_on_workers(self: Any) -> Any:
            target = min(
                self._current_user_count + self._user_count_per_dispatch_iteration,
                self._target_user_count,
            )
            for user in self._user_generator:
                if not user:
                    self._no_user_to_spawn = True
                    break
                worker = self._turn_of(user)
                self._users_on_workers[worker.id][user] += 1
                self._current_user_count += 1
                self._active_users.append((worker, user))
                if self._current_user_count >= target:
                    break
            return self._users_on_workers

        def _distribute_users(self: Any, target_user_count: int) -> Any:
            self._deal()
            users: Iterator[Any] = self._user_gen()
            on_workers = {
                worker.id: {cls.__name__: 0 for cls in self._original_user_classes}
                for worker in self._worker_nodes
            }
            active = []
            for user in itertools.islice(users, target_user_count):
                if not user:
                    break
                worker = self._turn_of(user)
                on_workers[worker.id][user] += 1
                active.append((worker, user))
            return on_workers, users, itertools.cycle(self._worker_nodes), active

    return RoleDispatcher


def is_browser(cls: Any) -> bool:
    """Tell whether a class is one of browser users."""
    return bool(getattr(cls, MARK, False))
