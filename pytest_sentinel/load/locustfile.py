"""Import a locustfile outside of Locust, and find the scenarios of its browser users.

A class is one of browser users by its mark, so that this file needs no Locust; the locustfile
itself does. Whoever imports one where gevent must patch nothing says so in the environment first.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from pytest_sentinel.errors import LocustfileError, SettingError
from pytest_sentinel.load.plan import Terms, terms_of

MARK: Final = "sentinel_browser_user"
UNPATCHED: Final = "LOCUST_SKIP_MONKEY_PATCH"


@dataclass(frozen=True, slots=True)
class Found:
    """One scenario of one class; ``weight`` is how often the class names it."""

    name: str
    cls: type
    task: Any
    terms: Terms
    weight: int = 1


def import_file(path: Path) -> ModuleType:
    """Import a locustfile as Locust does: with its directory on the path.

    Raises:
        LocustfileError: it is not there, or what it runs raised.
    """
    if not path.is_file():
        raise LocustfileError(str(path), "there is no such file")
    directory = str(path.resolve().parent)
    if directory not in sys.path:
        sys.path.insert(0, directory)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None, "bug: a file without a loader"
    assert spec.loader is not None, "bug: a file without a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise LocustfileError(str(path), f"cannot be imported: {error!r}") from error
    return module


def classes_in(modules: Iterable[ModuleType]) -> list[type]:
    """Return the classes of browser users that are not abstract, in the order of their names."""
    found = {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and getattr(value, MARK, False)
    }
    concrete = [cls for cls in found if not getattr(cls, "abstract", True)]
    return sorted(concrete, key=lambda cls: cls.__name__)


def scenarios_of(cls: type) -> list[Found]:
    """Return the scenarios of a class of browser users, each once.

    Raises:
        LocustfileError: one of its attributes is bad.
    """
    try:
        terms = terms_of(cls)
    except SettingError as error:
        raise LocustfileError(cls.__name__, str(error)) from error
    tasks = [task for task in getattr(cls, "tasks", ()) if hasattr(task, "scenario")]
    return [
        Found(f"{cls.__name__}.{task.__name__}", cls, task, terms, tasks.count(task))
        for task in dict.fromkeys(tasks)
    ]


def scenarios_in(modules: Iterable[ModuleType]) -> dict[str, Found]:
    """Return all scenarios by name, ``Class.task``; see ``scenarios_of``."""
    return {found.name: found for cls in classes_in(modules) for found in scenarios_of(cls)}
