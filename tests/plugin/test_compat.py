"""An existing suite runs unchanged: the contract suite, without the plugin and with it."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.plugin.compat import (
    CONTRACT,
    EVERYTHING,
    ON_FAILURE,
    PLAIN,
    Ran,
    assert_same,
    lay,
    run,
    run_both,
)

pytestmark = pytest.mark.browser

COMMON = ("-p", "no:cacheprovider")

# The suite's markers have no meaning without the plugin, and must not be unknown there.
LARDER_INI = """
[pytest]
addopts = --import-mode=importlib
pythonpath = .
markers =
    leak_check: of the plugin
    limit_page_heap: of the plugin
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The contract suite, copied to where a user would have it."""
    return lay(tmp_path_factory.mktemp("compat") / "suite", {}, contract=True)


@pytest.fixture(scope="module")
def plain(suite: Path) -> Callable[..., Ran]:
    """Run the suite without the plugin, once for each set of options; how many workers is all one.

    That holds for pytest-playwright by itself, and makes the comparison a stricter one.
    """

    @functools.cache
    def ran(*artifacts: str) -> Ran:
        return run(suite, *PLAIN, *COMMON, "-n", "2", *artifacts, PYTHONWARNINGS="always")

    return ran


@pytest.mark.parametrize(
    ("workers", "artifacts"),
    [
        pytest.param(0, (), id="n0"),
        pytest.param(2, (), id="n2"),
        pytest.param(2, ON_FAILURE, id="n2-on-failure"),
        pytest.param(0, EVERYTHING, id="n0-everything"),
        pytest.param(2, EVERYTHING, id="n2-everything"),
        pytest.param(4, EVERYTHING, id="n4-everything"),
    ],
)
def test_same_outcomes_ids_and_artifacts(
    suite: Path, plain: Callable[..., Ran], workers: int, artifacts: tuple[str, ...]
) -> None:
    """Outcomes, ids, failure messages, properties, artifacts, warnings and leftovers agree."""
    before = plain(*artifacts)

    after = run(suite, *COMMON, "-n", str(workers), *artifacts, PYTHONWARNINGS="always")

    assert_same(before, after)
    assert before.outcomes()["passed"] >= 40
    assert (len(before.artifacts) > 20) == bool(artifacts)
    assert "= sentinel =" in after.stdout
    assert "sentinel" not in before.stdout


def test_larder_s_own_suite(tmp_path: Path) -> None:
    """End-to-end tests of the reference application too, with everything recorded.

    Meals and shopping: others ask for what only the plugin has, or take their time.
    """
    suite = lay(
        tmp_path / "suite",
        {"pytest.ini": LARDER_INI},
    )
    for name in ("e2e", "larder"):
        # Compiled tests would tell of the place where they were compiled.
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(CONTRACT.parent / name, suite / "tests" / name, ignore=unwanted)

    chosen = ("tests/e2e/test_meals.py", "tests/e2e/test_shopping.py")
    before, after = run_both(suite, *chosen, "-n", "2", *EVERYTHING, PYTHONWARNINGS="always")

    assert_same(before, after)
    assert before.outcomes()["passed"] >= 40
