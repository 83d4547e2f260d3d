"""A shop for all load tests of a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.larder.process import Larder, running_larder


@pytest.fixture(scope="session")
def larder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Larder]:
    """The larder that all tests here share."""
    with running_larder(tmp_path_factory.mktemp("larder")) as larder:
        yield larder
