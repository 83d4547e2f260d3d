"""What xdist reports of a worker that died, and how its process ended."""

from __future__ import annotations

import subprocess
from typing import Any, Final

import pytest

# Its connection is closed already; what is left of its end takes milliseconds.
_EXIT_TIMEOUT: Final = 1.0


def is_of_dead_worker(report: pytest.TestReport) -> bool:
    """Tell whether xdist made the report itself; those of workers say which one sent them."""
    if report.when in ("setup", "call", "teardown"):
        return False
    return hasattr(report, "node") and not hasattr(report, "worker_id")


def exit_code_of(report: pytest.TestReport) -> int | None:
    """Return how the process of a dead worker ended; None if that cannot be seen from here."""
    gateway: Any = report.node.gateway
    process = getattr(getattr(gateway, "_io", None), "popen", None)
    if process is None or not getattr(gateway.spec, "popen", False):
        return None
    try:
        code: int = process.wait(timeout=_EXIT_TIMEOUT)
    except subprocess.TimeoutExpired:
        return None
    return code
