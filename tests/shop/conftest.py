"""What tests of the shop itself, beside those of its users, take over from the users' tests.

In a directory of their own, since they load the shop's code, migrations and Hypothesis into the
process: a user's end-to-end tests hold none of that, and are measured without it.
"""

from __future__ import annotations

from tests.e2e.conftest import (
    add_meal,
    base_url,
    browser_context_args,
    databases,
    larder,
    newcomer,
    pytest_runtest_makereport,
    somebody,
    staff,
    start_larder,
)

__all__ = [
    "add_meal",
    "base_url",
    "browser_context_args",
    "databases",
    "larder",
    "newcomer",
    "pytest_runtest_makereport",
    "somebody",
    "staff",
    "start_larder",
]
