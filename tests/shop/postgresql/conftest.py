"""The users' fixtures once more, on a PostgreSQL that is started for these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import base_url, browser_context_args, larder
from tests.e2e.databases import Databases
from tests.larder.postgresql import running_postgresql

__all__ = ["base_url", "browser_context_args", "databases", "larder"]


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Databases of a server that runs until the session ends."""
    with running_postgresql() as server:
        yield Databases(server)
