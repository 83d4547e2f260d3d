"""How a browser ended, as one sentence."""

from __future__ import annotations

import pytest

from pytest_sentinel.pool.deaths import Death


@pytest.mark.parametrize(
    ("death", "sentence"),
    [
        (Death("crashed", "SIGKILL"), "the browser died (SIGKILL)"),
        (Death("crashed", None), "the browser died"),
        (Death("hung", "SIGKILL"), "the browser stopped answering and was killed"),
        (Death("lost", "drained"), "the lease of the browser ended: drained"),
        (Death("lost", None), "the lease of the browser ended"),
        (Death("driver", "SIGKILL"), "Playwright's driver died (SIGKILL)"),
        (Death("driver-hung", "SIGKILL"), "Playwright's driver stopped answering and was killed"),
    ],
)
def test_a_death_says_what_ended_and_how(death: Death, sentence: str) -> None:
    """The signal is named unless it was ours; a lease has the words of its service."""
    assert str(death) == sentence
    assert death.is_drivers == sentence.startswith("Playwright")
