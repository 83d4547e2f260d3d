"""Every way in which code of a scenario may end, as one of four: passed, skipped, failed, control.

Knows pytest's, unittest's and Locust's exceptions by sight, and imports none of them. Law: whatever
was raised, and whatever it says of itself, its end can be told: the text is cut, and fits a wire.
"""

from __future__ import annotations

import enum
import sys
import traceback
from dataclasses import dataclass
from typing import Any, Final

from pytest_sentinel.load.wire import Failure

_MOST_MESSAGE: Final = 300
_MOST_DETAIL: Final = 8000
_MOST_NAME: Final = 200
# Of a class in a subclass it is the first that counts: XFailed is a Failed.
_SKIPS: Final = (
    ("_pytest.outcomes", "Skipped"),
    ("_pytest.outcomes", "XFailed"),
    ("unittest.case", "SkipTest"),
)
# Locust's words for what its user does next; raised again in Locust's process.
_CONTROLS: Final = (
    ("locust.exception", "StopUser"),
    ("locust.exception", "StopTest"),
    ("locust.exception", "RescheduleTaskImmediately"),
    ("locust.exception", "RescheduleTask"),
    ("locust.exception", "InterruptTaskSet"),
    ("greenlet", "GreenletExit"),
)
_ADVICE: Final = {
    "SystemExit": "a task ends with return, its user with `raise StopUser()`",
    "KeyboardInterrupt": "raised by the task itself, nobody pressed Ctrl-C",
    "CancelledError": "the scenario cancelled itself",
}


class Kind(enum.Enum):
    """What became of code that was run."""

    PASSED = "passed"
    SKIPPED = "skipped"
    FAILED = "failed"
    CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Ending:
    """How code ended.

    Attributes:
        failure: what was raised, for those that failed or were skipped.
        control: Locust's word for what its user does next, such as ``StopUser``.
        immediately: whether an ``InterruptTaskSet`` asked for the next task at once.
    """

    kind: Kind = Kind.PASSED
    failure: Failure | None = None
    control: str = ""
    immediately: bool = True


def ending_of(error: BaseException | None) -> Ending:
    """Return what an exception means; a group of one means what that one means."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if error is None:
        return Ending()
    if word := _first(error, _CONTROLS):
        return Ending(Kind.CONTROL, None, word, bool(getattr(error, "reschedule", True)))
    if _first(error, _SKIPS):
        return Ending(Kind.SKIPPED, failure_of(error))
    return Ending(Kind.FAILED, failure_of(error))


def failure_of(error: BaseException) -> Failure:
    """Return what an exception says, in short and in full."""
    kind = plain(type(error).__name__, _MOST_NAME)
    first = (_words(error).strip().splitlines() or [""])[0]
    if advice := _ADVICE.get(kind):
        first = f"{first}: {advice}" if first else advice
    return Failure(kind, plain(first, _MOST_MESSAGE), all_of(error))


def all_of(error: BaseException) -> str:
    """Return all that an exception says, with where it came from."""
    try:
        return plain("".join(traceback.format_exception(error))[-_MOST_DETAIL:], _MOST_DETAIL)
    except Exception:  # one that does not let itself be shown
        return plain(f"{type(error).__name__} (it cannot be shown)", _MOST_NAME)


def plain(value: object, most: int = _MOST_NAME) -> str:
    """Return a text of at most so many characters that can be sent, whatever ``value`` is."""
    try:
        text = str(value)
    except BaseException as error:
        text = f"{type(value).__name__} (its __str__ raised {type(error).__name__})"
    text = text if len(text) <= most else text[: most - 1] + "…"
    return text.encode("utf-8", "backslashreplace").decode()


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as other:
        return f"(its __str__ raised {type(other).__name__})"


def _first(error: BaseException, known: tuple[tuple[str, str], ...]) -> str:
    for module, name in known:
        cls: Any = getattr(sys.modules.get(module), name, None)
        if isinstance(cls, type) and isinstance(error, cls):
            return name
    return ""
