"""pytest-sentinel: pooled browsers, leak detection and memory assertions for pytest-playwright."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_sentinel.errors import (
    BreakerOpen,
    BrowserLaunchFailed,
    PageLeak,
    ResourceLeak,
    SentinelError,
    SentinelFailure,
)

if TYPE_CHECKING:
    from pytest_sentinel.leaks.repeat import check_leaks
    from pytest_sentinel.leaks.verdict import Leak, LeakReport

__version__ = "0.1.0"

__all__ = [
    "BreakerOpen",
    "BrowserLaunchFailed",
    "Leak",
    "LeakReport",
    "PageLeak",
    "ResourceLeak",
    "SentinelError",
    "SentinelFailure",
    "check_leaks",
]

_LATER = {
    "check_leaks": "pytest_sentinel.leaks.repeat",
    "Leak": "pytest_sentinel.leaks.verdict",
    "LeakReport": "pytest_sentinel.leaks.verdict",
}


def __getattr__(name: str) -> Any:
    """Import what needs more than the standard library when it is first asked for."""
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
