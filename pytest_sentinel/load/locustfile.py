"""Import a locustfile outside of Locust, and find the scenarios of its browser users.

A class is one of browser users by its mark, so that this file needs no Locust; the locustfile
itself does. Whoever imports one where gevent must patch nothing says so in the environment first.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from pytest_sentinel.errors import LocustfileError, SentinelError, SettingError
from pytest_sentinel.load.endings import plain
from pytest_sentinel.load.plan import Terms, terms_of
from pytest_sentinel.load.tasks import needs_page, plan_of

MARK: Final = "sentinel_browser_user"
UNPATCHED: Final = "LOCUST_SKIP_MONKEY_PATCH"


@dataclass(frozen=True, slots=True)
class Found:
    """One scenario of one class of users.

    Attributes:
        holder: the class that has it: that of the users, or a set of tasks.
        task: the wrapped function.
        weight: how often the holder names it; 0 for an ``on_start`` or ``on_stop``.
    """

    name: str
    cls: type
    task: Any
    terms: Terms
    weight: int = 1
    holder: type = object

    @property
    def function(self) -> Any:
        """What the locustfile wrote."""
        return self.task.scenario

    @property
    def needs_page(self) -> bool:
        """Whether it is given a page."""
        return not hasattr(self.task, "hook") or needs_page(self.function)


@dataclass(slots=True)
class Catalogue:
    """All scenarios of locustfiles, by ``Class.task``, and the sets of tasks that hold them."""

    scenarios: dict[str, Found] = field(default_factory=dict)
    sets: dict[str, type] = field(default_factory=dict)


def files_of(names: str) -> list[Path]:
    """Return the locustfiles that ``-f`` of Locust names: files, directories, commas between.

    Raises:
        LocustfileError: there is none.
    """
    found: list[Path] = []
    for name in filter(None, map(str.strip, names.split(","))):
        path = Path(name)
        inside = [file for file in sorted(path.rglob("*.py")) if not file.name.startswith("_")]
        if path.is_dir() and not inside:
            raise LocustfileError(name, "there is no locustfile in this directory")
        found += inside if path.is_dir() else [path]
    return found


def check_syntax(path: Path) -> None:
    """Refuse a file that is no Python, in one line.

    Raises:
        LocustfileError: it is not there, cannot be read, or Python does not understand it.
    """
    if not path.is_file():
        raise LocustfileError(str(path), "there is no such file")
    try:
        compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    except OSError as error:
        raise LocustfileError(str(path), f"cannot be read: {error.strerror or error}") from None
    except SyntaxError as error:
        where = f"{path}:{error.lineno or 0}"
        raise LocustfileError(where, f"cannot be imported: {error.msg}") from None
    except ValueError as error:
        raise LocustfileError(str(path), f"is no Python: {error}") from None


def import_file(path: Path) -> ModuleType:
    """Import a locustfile as Locust does: with its directory on the path.

    Raises:
        LocustfileError: it is not there, cannot be read, or what it runs raised.
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
    # As Locust does: a file of that name must not take the place of Locust itself.
    sys.modules["locustfile" if path.stem == "locust" else path.stem] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        where = f"{error.filename or path}:{error.lineno or 0}"
        raise LocustfileError(where, f"cannot be imported: {error.msg}") from error
    except SentinelError as error:
        raise LocustfileError(str(path), str(error)) from error
    except BaseException as error:  # also a sys.exit() or pytest.skip() at its top
        raise LocustfileError(
            str(path), f"cannot be imported: {plain(repr(error), 500)}"
        ) from error
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
        LocustfileError: one of its attributes is bad, or a task of it cannot run.
    """
    try:
        terms = terms_of(cls)
    except SettingError as error:
        raise LocustfileError(cls.__name__, str(error)) from error
    found = []
    for name, (holder, task) in plan_of(cls).functions.items():
        tasks = list(getattr(holder, "tasks", ()))
        found.append(Found(name, cls, task, terms, tasks.count(task), holder))
    return found


def catalogue_of(modules: Iterable[ModuleType]) -> Catalogue:
    """Return all scenarios, and all sets of tasks; see ``scenarios_of``."""
    catalogue = Catalogue()
    for cls in classes_in(modules):
        catalogue.scenarios.update({found.name: found for found in scenarios_of(cls)})
        catalogue.sets.update({name: holder for holder, name in plan_of(cls).sets.items()})
    return catalogue
