"""Show a warning in the summary of a run. What it is about, its callers know."""

from __future__ import annotations

import warnings

import pytest


def complain(config: pytest.Config, sentence: str) -> None:
    """Show ``sentence`` as a warning; it is never raised, even where warnings are errors."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn(pytest.PytestWarning(f"sentinel: {sentence}"), stacklevel=1)
    config.hook.pytest_warning_recorded.call_historic(
        kwargs={
            "warning_message": caught[0],
            "when": "runtest",
            "nodeid": "",
            "location": None,
        }
    )
