"""What a class of browser users runs: tasks, sets of tasks, ``on_start`` and ``on_stop``.

Locust chooses among them in its process, with its weights, tags and sequences; what it chooses is
run where the browsers are. So each function is wrapped, and has a name that means the same in both
processes. Knows Locust's classes by sight. What cannot work is refused when the class is made.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pytest_sentinel.errors import LocustfileError
from pytest_sentinel.load.standin import is_stand_in

HOOKS: Final = ("on_start", "on_stop")
_MARK: Final = "sentinel_browser_user"
_WRITE: Final = "write `async def {name}(self, page, step)`"


@dataclass(slots=True)
class Plan:
    """What one class of users runs.

    Attributes:
        names: of each wrapped function under the class that holds it: the user's, or a set's.
        sets: of each set of tasks.
        functions: by name: the class that holds it, and the wrapped function.
    """

    names: dict[tuple[type, Any], str] = field(default_factory=dict)
    sets: dict[type, str] = field(default_factory=dict)
    functions: dict[str, tuple[type, Any]] = field(default_factory=dict)

    def name(self, holder: type, function: Any) -> str:
        """Return the name of a function of ``holder``, or of the class that it inherits it from."""
        for cls in holder.__mro__:
            if (cls, function) in self.names:
                return self.names[cls, function]
        raise LocustfileError(
            _place(holder), f"{title_of(function)} became a task after the class was made"
        )


def plan_of(cls: type) -> Plan:
    """Return what a class of browser users runs, wrapping what is not wrapped yet.

    Doing it again finds tasks that were added since.

    Raises:
        LocustfileError: some of it cannot run for a browser user; says what to write instead.
    """
    plan = Plan()
    for holder, prefix in _holders(cls, plan):
        _check_waits(holder)
        entries = getattr(holder, "tasks", None) or ()
        made = {id(entry): _wrapped(holder, entry) for entry in entries}
        tasks = [made[id(entry)] for entry in entries]
        holder.tasks = tasks  # type: ignore[attr-defined]
        functions = [entry for entry in dict.fromkeys(tasks) if not isinstance(entry, type)]
        for hook in HOOKS:
            function = getattr(holder, hook, None)
            if function is None or _is_locusts(function):
                continue
            if not hasattr(function, "scenario"):
                _check_hook(holder, hook, function)
                function = as_scenario(function)
                function.hook = hook
                setattr(holder, hook, function)
            functions.append(function)
        for function in functions:
            if getattr(function, "owner", None) is None:
                function.owner = cls
            name = _unique(f"{prefix}.{function.__name__}", plan.functions)
            plan.functions[name] = (holder, function)
            plan.names[holder, function] = name
    return plan


def as_scenario(function: Any, weight: int | None = None) -> Any:
    """Return what Locust calls for ``function``: it runs it where the browsers are."""

    def run(holder: Any, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs or is_stand_in(holder):
            return function(holder, *args, **kwargs)  # another scenario calls it as it was written
        user: Any = holder if hasattr(type(holder), _MARK) else getattr(holder, "user", None)
        if not hasattr(type(user), _MARK):
            raise LocustfileError(
                f"{type(holder).__name__}.{title_of(function)}",
                "is an async task, and only a BrowserUser can run one",
            )
        return user.perform(holder, run)

    functools.update_wrapper(run, function, updated=())
    made: Any = run
    made.__name__ = title_of(function)
    made.scenario = function
    if weight is not None:
        made.locust_task_weight = weight
    if (tags := getattr(function, "locust_tag_set", None)) is not None:
        made.locust_tag_set = set(tags)
    return made


def is_async(function: Any) -> bool:
    """Tell whether calling ``function`` makes a coroutine: also a partial, or an object."""
    while isinstance(function, functools.partial):
        function = function.func
    if not (inspect.isroutine(function) or isinstance(function, type)):
        function = vars(type(function)).get("__call__", function)
    return inspect.iscoroutinefunction(inspect.unwrap(function))


def is_task_set(entry: Any) -> bool:
    """Tell whether a task is a class with tasks of its own."""
    return isinstance(entry, type) and hasattr(entry, "tasks")


def title_of(function: Any) -> str:
    """Return what a task is called, also a partial or an object that can be called."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", None)
    return name if isinstance(name, str) else type(function).__name__


def needs_page(function: Any) -> bool:
    """Tell whether an ``on_start`` or ``on_stop`` wants a page beside ``self``."""
    return not _takes(function, 1)


def sets_of(holder: Any) -> list[Any]:
    """Return the sets of tasks from the user's to ``holder``; none for the user itself."""
    found: list[Any] = []
    while not hasattr(type(holder), _MARK):
        found.insert(0, holder)
        holder = holder.parent
    return found


def number_of(held: Any, number: Callable[[], int]) -> int:
    """Return the number by which a set of tasks is known, as long as its user is in it."""
    known: int | None = vars(held).get("_sentinel_number")
    if known is None:
        held._sentinel_number = known = number()
    return known


def _holders(cls: type, plan: Plan) -> Iterator[tuple[type, str]]:
    """Yield the class and every set of tasks in it, each once, with the prefix of its names."""
    pending: list[type] = [cls]
    while pending:
        holder = pending.pop(0)
        prefix = cls.__name__
        if holder is not cls:
            prefix = _unique(f"{prefix}.{holder.__name__}", plan.sets.values())
            plan.sets[holder] = prefix
        seen = {cls, *plan.sets, *pending}
        nested = [entry for entry in getattr(holder, "tasks", ()) if is_task_set(entry)]
        for entry in dict.fromkeys(nested):
            _check_set(holder, entry)
            if entry not in seen:
                pending.append(entry)
        yield holder, prefix


def _wrapped(holder: type, entry: Any) -> Any:
    if isinstance(entry, type):
        return entry
    if hasattr(entry, "scenario"):
        _check_arguments(holder, title_of(entry), entry.scenario)
        return entry
    name = title_of(entry)
    if not callable(entry):
        raise LocustfileError(_place(holder), f"the task {entry!r} is nothing that can be called")
    if not is_async(entry):
        write = _WRITE.format(name=name if name.isidentifier() else "task")
        raise LocustfileError(
            _place(holder),
            f"{name} is a plain function, and a task of a BrowserUser is written with async def;"
            f" {write}, or put it into an HttpUser",
        )
    _check_arguments(holder, name, entry)
    weight = getattr(entry, "locust_task_weight", None)
    made = as_scenario(entry, weight)
    for attribute, value in list(vars(holder).items()):
        if value is entry:
            setattr(holder, attribute, made)  # decorated by Locust's own @task
    return made


def _check_arguments(holder: type, name: str, function: Any) -> None:
    if not _takes(function, 3):
        raise LocustfileError(
            _place(holder),
            f"the task {name} does not take (self, page, step); {_WRITE.format(name=name)}",
        )


def _check_hook(holder: type, hook: str, function: Any) -> None:
    if not _takes(function, 1) and not (_takes(function, 3) and is_async(function)):
        raise LocustfileError(
            _place(holder),
            f"{hook} takes neither (self) nor (self, page, step); {_WRITE.format(name=hook)}"
            f" where it needs a page, else `def {hook}(self)` or `async def {hook}(self)`",
        )


def _takes(function: Any, number: int) -> bool:
    try:
        inspect.signature(function).bind(*[None] * number)
    except TypeError:
        return False
    except ValueError:  # it has no signature
        pass
    return True


def _check_set(holder: type, entry: type) -> None:
    if type(entry).__name__ == "MarkovTaskSetMeta":
        raise LocustfileError(
            _place(entry),
            f"a MarkovTaskSet cannot run in {holder.__name__}, whose tasks run in browsers; write"
            " a TaskSet or a SequentialTaskSet with async tasks",
        )
    if not hasattr(entry, "schedule_task"):
        raise LocustfileError(
            _place(entry), f"is no TaskSet, and cannot be a task of {holder.__name__}"
        )


def _check_waits(holder: type) -> None:
    for name in ("wait_time", "context"):
        if inspect.iscoroutinefunction(getattr(holder, name, None)):
            raise LocustfileError(
                _place(holder),
                f"{name} is called by Locust, in its own process: write `def {name}(self)`",
            )


def _is_locusts(function: Callable[..., Any]) -> bool:
    module = getattr(function, "__module__", "") or ""
    return module.partition(".")[0] in ("locust", "pytest_sentinel") and not hasattr(
        function, "scenario"
    )


def _unique(name: str, taken: Any) -> str:
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    return found


def _place(cls: type) -> str:
    """Return the file and the class, for a sentence."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return f"{file}: {cls.__qualname__}" if file else cls.__qualname__
