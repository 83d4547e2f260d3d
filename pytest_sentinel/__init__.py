"""pytest-sentinel: pooled browsers, leak detection and memory assertions for pytest-playwright."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_sentinel.errors import (
    BreakerOpen,
    BrowserLaunchFailed,
    InconclusiveLeakCheck,
    MemoryBudgetExceeded,
    NotMeasurable,
    PageLeak,
    ResourceLeak,
    SentinelError,
    SentinelFailure,
)
from pytest_sentinel.version import __version__ as __version__

if TYPE_CHECKING:
    from pytest_sentinel.fixtures import BrowserPool
    from pytest_sentinel.leaks.repeat import check_leaks
    from pytest_sentinel.leaks.verdict import Leak, LeakReport
    from pytest_sentinel.memory.pagereading import PageReading
    from pytest_sentinel.memory.processes import MemoryReading
    from pytest_sentinel.memoryfixture import Memory
    from pytest_sentinel.pageleaks import Leaks

__all__ = [
    "BreakerOpen",
    "BrowserLaunchFailed",
    "BrowserPool",
    "InconclusiveLeakCheck",
    "Leak",
    "LeakReport",
    "Leaks",
    "Memory",
    "MemoryBudgetExceeded",
    "MemoryReading",
    "NotMeasurable",
    "PageLeak",
    "PageReading",
    "ResourceLeak",
    "SentinelError",
    "SentinelFailure",
    "check_leaks",
]

_LATER = {
    "check_leaks": "pytest_sentinel.leaks.repeat",
    "BrowserPool": "pytest_sentinel.fixtures",
    "Leak": "pytest_sentinel.leaks.verdict",
    "LeakReport": "pytest_sentinel.leaks.verdict",
    "Leaks": "pytest_sentinel.pageleaks",
    "Memory": "pytest_sentinel.memoryfixture",
    "MemoryReading": "pytest_sentinel.memory.processes",
    "PageReading": "pytest_sentinel.memory.pagereading",
}


def __getattr__(name: str) -> Any:
    """Import what needs more than the standard library when it is first asked for."""
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Name what can be imported, also what has not been yet."""
    return sorted({*globals(), *__all__})
