"""The demonstration's larder: that of the end-to-end tests, with the faults it is told to have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.larder.process import Larder, running_larder


@pytest.fixture(scope="session")
def larder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Larder]:
    """A larder with the faults that LARDER_FAULTS names."""
    faults = {"LARDER_FAULTS": os.environ.get("LARDER_FAULTS", "")}
    with running_larder(tmp_path_factory.mktemp("larder"), faults) as larder:
        yield larder


@pytest.fixture(scope="session")
def base_url(larder: Larder) -> str:
    """Where ``page.goto("/kitchen")`` goes."""
    return larder.url


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any], base_url: str) -> dict[str, Any]:
    """Open pages on this directory's larder.

    pytest keeps a session's value for all who ask: without this, whoever came first in the
    process, from whatever directory, would decide where the pages of all of them go.
    """
    return {**browser_context_args, "base_url": base_url}
