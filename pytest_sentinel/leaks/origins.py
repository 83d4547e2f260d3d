"""Whose a resource is: the stack at its acquisition, and the fixture or test that it belongs to.

Taking an Origin costs microseconds: code objects and instruction offsets, no source lines, no
strings; they become text only for a leak that is reported. Opens nothing, patches nothing.
"""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, FunctionType, MethodType
from typing import Literal

import greenlet

DEEPEST = 40
_DECORATORS = 8
TEST = "function"
NOBODY = "nobody"  # of a thread that another test left, or that is none of Python's

_OURS = str(Path(__file__).parent.parent) + os.sep
_NOTERS = ("origins", "acquisitions", "auditing")
_NOTING = tuple(f"{_OURS}leaks{os.sep}{name}.py" for name in _NOTERS)
_STDLIB = sysconfig.get_path("stdlib") + os.sep
_SITE = tuple({sysconfig.get_path(name) + os.sep for name in ("purelib", "platlib")})
_PACKAGES = ("site-packages", "dist-packages")
_DRIVER = ("playwright", "greenlet")
_MACHINERY = (*_DRIVER, "pytest_playwright", "_pytest", "pluggy", "xdist", "execnet")
# What the standard library opens late, in whoever's call it may be, for an owner of its own.
_LATE = (
    (f"concurrent{os.sep}futures{os.sep}", None),
    (f"logging{os.sep}", "emit"),
    (f"multiprocessing{os.sep}queues.py", "_start_thread"),
    (f"multiprocessing{os.sep}resource_tracker.py", None),
    (f"multiprocessing{os.sep}forkserver.py", "ensure_running"),
)

Frames = tuple[tuple[CodeType, int], ...]
Opener = Literal["user", "library", "late", "us"]


@dataclass(slots=True, eq=False)
class Origin:
    """Who opened something.

    Attributes:
        number: grows with each acquisition.
        frames: code and instruction offset, innermost first.
        scope: the pytest scope that owns it; ``function`` is the running test.
        owner: the fixture of a wider scope that owns it, or None.
        own: how many of the frames are its thread's own; the others are of who started that.
    """

    number: int
    frames: Frames
    scope: str
    owner: object | None
    own: int = DEEPEST

    def place(self, base: str) -> str:
        """Return ``file:line in function`` of the innermost code that its user wrote."""
        return _innermost(self.frames, base, is_users) or self.passage(base)

    def passage(self, base: str) -> str:
        """Return the same of the innermost library that is neither pytest nor Playwright."""
        return _innermost(self.frames, base, _is_guest) or "unknown"

    def passes(self, part: str, function: str = "") -> bool:
        """Tell whether a file or folder ``part``, or a ``function`` in it, had a hand in it."""
        return any(
            part in code.co_filename and function in ("", code.co_name) for code, _ in self.frames
        )

    def opener(self) -> Opener:
        """Tell who asked for it: the user's code, a library, the interpreter lately, or we."""
        for code, _ in self.frames[: self.own]:
            whose = _whose(code.co_filename)
            if whose == "interpreter":
                if _is_late(code):
                    return "late"
            elif whose in ("user", "us"):
                return "user" if whose == "user" else "us"
            elif whose == "library" and _package(code.co_filename) not in _DRIVER:
                return "library"
        return "library"


@dataclass(frozen=True, slots=True)
class _Claim:
    """Code that works for a fixture of a wider scope; as a method, on ``receiver`` only."""

    code: CodeType
    receiver: object | None
    scope: str
    owner: object


class Origins:
    """Takes origins, knowing which fixture is being set up and whose code is whose."""

    def __init__(self, ends: Collection[str] = ()) -> None:
        """Note stacks up to the files in ``ends``, those of the test runner."""
        self.scopes: list[tuple[str, object | None]] = []
        self.base = os.getcwd()
        self._ends = frozenset(ends)
        self._home = threading.get_ident()
        self._claims: dict[str, list[_Claim]] = {}
        self._owners: set[int] = set()
        self._count = 0
        self._began = 0

    @property
    def number(self) -> int:
        """How many acquisitions there have been."""
        return self._count

    def begin(self) -> int:
        """Note that a test begins here; return a number that all it acquires will exceed."""
        self._home = threading.get_ident()
        self._began = self._count
        return self._count

    def is_home(self) -> bool:
        """Tell whether this is the thread that runs the tests."""
        return threading.get_ident() == self._home

    def take(self, waiting: Iterable[FrameType] = ()) -> Origin:
        """Note the present stack and its owner; ``waiting`` is a stack that waits for this one."""
        self._count += 1
        frames: list[tuple[CodeType, int]] = []
        claim = self._walk(frames)
        for frame in waiting:
            claim = claim or self._claiming(frame)
            frames.append((frame.f_code, frame.f_lasti))
        if not self.is_home():
            return self._in_thread(frames, claim)
        scope, owner = self.scopes[-1] if self.scopes else (TEST, None)
        if scope == TEST and claim is not None:
            scope, owner = claim.scope, claim.owner
        return self._origin(frames, scope, owner)

    def _origin(
        self,
        frames: list[tuple[CodeType, int]],
        scope: str,
        owner: object | None,
        own: int = DEEPEST,
    ) -> Origin:
        if owner is not None:
            self._owners.add(id(owner))
        return Origin(self._count, tuple(frames), scope, owner, own)

    def _walk(self, frames: list[tuple[CodeType, int]]) -> _Claim | None:
        """Gather the stack, through the greenlets that wait for this one; return who claims it."""
        claims, ends = self._claims, self._ends
        found: _Claim | None = None
        current = greenlet.getcurrent()
        frame: FrameType | None = sys._getframe(2)
        while True:
            while frame is not None:
                code = frame.f_code
                if len(frames) == DEEPEST or code.co_filename in ends:
                    return found
                # By name first: id() is an audit event, and this runs for every frame.
                if found is None and code.co_name in claims:
                    found = self._claiming(frame)
                frames.append((code, frame.f_lasti))
                frame = frame.f_back
            parent = current.parent
            if parent is None:
                return found
            current, frame = parent, parent.gr_frame

    def _claiming(self, frame: FrameType) -> _Claim | None:
        code = frame.f_code
        for claim in self._claims.get(code.co_name, ()):
            if claim.code is not code:
                continue
            names = code.co_varnames
            if claim.receiver is None or (names and frame.f_locals.get(names[0]) is claim.receiver):
                return claim
        return None

    def _in_thread(self, frames: list[tuple[CodeType, int]], claim: _Claim | None) -> Origin:
        """What a thread opens belongs to whom the thread belongs."""
        # current_thread() would enter a thread that is none of Python's into its books.
        thread = getattr(threading, "_active", {}).get(threading.get_ident())
        starter: Origin | None = getattr(thread, "_sentinel_origin", None)
        scope, owner = (NOBODY, None) if claim is None else (claim.scope, claim.owner)
        own = len(frames)
        if starter is not None:
            frames += starter.frames[: DEEPEST - own]
            if claim is None and (starter.scope != TEST or starter.number > self._began):
                scope, owner = starter.scope, starter.owner
        return self._origin(frames, scope, owner, own)

    def has_acquired(self, owner: object) -> bool:
        """Tell whether anything was ever opened for a fixture of a wider scope."""
        return id(owner) in self._owners

    def give(self, origin: Origin, scope: str, owner: object) -> None:
        """Make something that a test opened a wider fixture's."""
        origin.scope, origin.owner = scope, owner
        self._owners.add(id(owner))

    # The code of wider fixtures

    def claim_function(self, function: object, scope: str, owner: object) -> None:
        """Count what a wider fixture's function opens, with all functions in it, as its own.

        Not those of pytest and Playwright: a browser that a test has launched by
        ``launch_browser`` is the test's.
        """
        plain = _plain(function)
        if plain is None or not _works_for_fixtures(plain.__code__.co_filename):
            return
        pending: list[object] = [plain.__code__]
        while pending:
            code = pending.pop()
            if isinstance(code, CodeType):
                self._claim(_Claim(code, None, scope, owner))
                pending += code.co_consts

    def claim_value(self, value: object, scope: str, owner: object) -> None:
        """Count what a wider fixture's value opens when it is called as the fixture's.

        The value may be a function, or an object of a class that the user wrote.
        """
        if isinstance(value, FunctionType):
            self.claim_function(value, scope, owner)
            return
        receiver = value.__self__ if isinstance(value, MethodType) else value
        for kind in type(receiver).__mro__:
            for member in vars(kind).values():
                plain = _plain(member)
                if plain is not None and is_users(plain.__code__.co_filename):
                    self._claim(_Claim(plain.__code__, receiver, scope, owner))

    def _claim(self, claim: _Claim) -> None:
        self._claims.setdefault(claim.code.co_name, []).append(claim)

    def release(self, owner: object) -> None:
        """Forget a fixture that has ended."""
        self._owners.discard(id(owner))
        for key, claims in list(self._claims.items()):
            kept = [claim for claim in claims if claim.owner is not owner]
            if kept:
                self._claims[key] = kept
            else:
                del self._claims[key]


def place_of(function: object, base: str) -> str:
    """Return ``file:line in function`` of a function that the user wrote; empty for any other."""
    plain = _plain(function)
    if plain is None or not is_users(plain.__code__.co_filename):
        return ""
    code = plain.__code__
    return f"{_relative(code.co_filename, base)}:{code.co_firstlineno} in {code.co_name}"


def is_users(name: str) -> bool:
    """Tell whether a file is neither the interpreter's, nor a library's, nor ours."""
    return _whose(name) == "user"


@functools.lru_cache(maxsize=4096)
def _whose(name: str) -> Literal["user", "library", "interpreter", "us", "noting"]:
    if name.startswith("<"):
        return "interpreter"
    if name in _NOTING:
        return "noting"
    if name.startswith(_OURS):
        return "us"
    if name.startswith(_SITE) or any(part in name for part in _PACKAGES):
        return "library"
    return "interpreter" if name.startswith(_STDLIB) else "user"


@functools.lru_cache(maxsize=4096)
def _package(name: str) -> str:
    """Return the first folder or module behind ``site-packages``."""
    for site in _SITE:
        if name.startswith(site):
            return name.removeprefix(site).partition(os.sep)[0]
    parts = Path(name).parts
    at = next((parts.index(part) for part in _PACKAGES if part in parts), -2)
    return parts[at + 1]


def _is_guest(name: str) -> bool:
    return _whose(name) == "library" and _package(name) not in _MACHINERY


def _works_for_fixtures(name: str) -> bool:
    return is_users(name) or _is_guest(name)


def _is_late(code: CodeType) -> bool:
    return any(
        part in code.co_filename and function in (None, code.co_name) for part, function in _LATE
    )


def _plain(function: object) -> FunctionType | None:
    """Return the function under descriptors and decorators, if there is one."""
    for _ in range(_DECORATORS):
        if isinstance(function, (staticmethod, classmethod, MethodType)):
            function = function.__func__
        elif isinstance(function, property):
            function = function.fget
        elif isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, FunctionType) and "__wrapped__" in vars(function):
            function = vars(function)["__wrapped__"]
        else:
            break
    return function if isinstance(function, FunctionType) else None


def _innermost(frames: Frames, base: str, fits: Callable[[str], bool]) -> str:
    for code, offset in frames:
        if fits(code.co_filename):
            return f"{_relative(code.co_filename, base)}:{_line(code, offset)} in {code.co_name}"
    return ""


def _line(code: CodeType, offset: int) -> int:
    for start, end, line in code.co_lines():
        if start <= offset < end and line is not None:
            return line
    return code.co_firstlineno


def _relative(name: str, base: str) -> str:
    relative = os.path.relpath(name, base)
    return name if relative.startswith(os.pardir) else relative
