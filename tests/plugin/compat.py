"""Run one suite twice, without the plugin and with it, and hand back what can be compared.

The plain run has the plugin blocked by ``-p no:sentinel`` and is given the browser that the plugin
would have found, so that nothing but the plugin differs.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_sentinel.browsers import prepare
from tests.plugin import recording

HERE = Path(__file__).parent
CONTRACT = HERE.parent / "contract"
PLAIN = ("-p", "no:sentinel")
# They take a second and more to load, in every process.
SLOW = ("locust", "hypothesispytest")
EVERYTHING = ("--tracing", "on", "--video", "on", "--screenshot", "on")
ON_FAILURE = (
    *("--tracing", "retain-on-failure"),
    *("--video", "retain-on-failure"),
    *("--screenshot", "only-on-failure"),
)


@dataclass(frozen=True)
class Ran:
    """What one run did.

    Attributes:
        reports: each report, by test and in the order within the test.
        warnings: what pytest recorded as warnings, and what went to stderr as such.
        artifacts: every file under test-results, relative.
        left: what the run left in its temporary directory, by kind.
    """

    status: int
    reports: list[dict[str, Any]]
    warnings: set[tuple[str, str]]
    artifacts: list[str]
    left: Counter[str]
    stdout: str
    stderr: str

    def outcomes(self) -> dict[str, int]:
        """Return how many tests ended how, as the last line of pytest has it."""
        counts: dict[str, int] = {}
        for report in self.reports:
            outcome = report["outcome"]
            if report["when"] == "call" or outcome != "passed":
                name = "error" if report["when"] in ("setup", "teardown") else outcome
                name = outcome if outcome == "skipped" else name
                counts[name] = counts.get(name, 0) + 1
        return counts


@functools.cache
def browsers_path() -> str | None:
    """Return the registry in which both runs find their browser."""
    environ = dict(os.environ)
    prepare(environ)
    return environ.get("PLAYWRIGHT_BROWSERS_PATH")


def clean_environment(**more: str) -> dict[str, str]:
    """Return the environment of a user: this one without what our own run put into it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "PLAYWRIGHT_", "DEBUG"))
    }
    path = browsers_path()
    if path is not None:
        kept["PLAYWRIGHT_BROWSERS_PATH"] = path
    return {**kept, **more}


def neighbours(*names: str) -> str:
    """Return the ``PYTHONPATH`` that loads these plugins of ``neighbours.txt``."""
    root = HERE.parent.parent
    homes = [root / ".venv" / "neighbours" / name for name in names]
    if not all(home.is_dir() for home in homes):
        subprocess.run([root / ".ci" / "neighbours"], check=True)
    return os.pathsep.join(map(str, homes))


def lay(directory: Path, files: Mapping[str, str], contract: bool = False) -> Path:
    """Write a suite: ``files``, and the contract suite if asked for."""
    directory.mkdir()
    if contract:
        for file in CONTRACT.glob("typical_*.py"):
            shutil.copy(file, directory)
        shutil.copy(CONTRACT / "suite_conftest.py", directory / "conftest.py")
    shutil.copy(HERE / "recording.py", directory)
    defaults = {"pytest.ini": "[pytest]\npython_files = typical_*.py test_*.py\n"}
    for name, text in {**defaults, **files}.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


def run(directory: Path, *arguments: str, beside: tuple[str, ...] = (), **environ: str) -> Ran:
    """Run pytest in ``directory``, with the slow plugins only where ``beside`` names them."""
    temporary = directory / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.rmtree(directory / "test-results", ignore_errors=True)
    temporary.mkdir()
    (directory / recording.FILE_NAME).unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-p", "recording", *arguments]
    for name in SLOW:
        command += [] if name in beside else ["-p", f"no:{name}"]
    # In a session of its own, so that a time-out ends its browsers too.
    process = subprocess.Popen(
        command,
        cwd=directory,
        env=clean_environment(TMPDIR=str(temporary), **environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        raise AssertionError(f"the run hung\n{stdout}\n{stderr}") from None
    reports, warned = _read(directory / recording.FILE_NAME)
    warned |= {("stderr", line) for line in stderr.splitlines() if _is_warning(line)}
    return Ran(
        status=process.returncode,
        reports=sorted(reports, key=lambda report: str(report["nodeid"])),
        warnings=warned,
        artifacts=_files(directory / "test-results"),
        left=Counter(_kind(name) for name in os.listdir(temporary)),
        stdout=stdout,
        stderr=stderr,
    )


def run_both(directory: Path, *arguments: str, **options: Any) -> tuple[Ran, Ran]:
    """Return the plain run and the run with the plugin."""
    plain = run(directory, *PLAIN, *arguments, **options)
    return plain, run(directory, *arguments, **options)


def assert_same(plain: Ran, sentinel: Ran) -> None:
    """Fail unless the run with the plugin did exactly what the plain one did."""
    __tracebackhide__ = True
    found = [f"- {report}" for report in plain.reports if report not in sentinel.reports]
    found += [f"+ {report}" for report in sentinel.reports if report not in plain.reports]
    found += [f"- {path}" for path in plain.artifacts if path not in sentinel.artifacts]
    found += [f"+ {path}" for path in sentinel.artifacts if path not in plain.artifacts]
    found += [f"+ {warning}" for warning in sentinel.warnings - plain.warnings]
    # Playwright itself leaves two directories of a launch that failed.
    found += [f"+ {kind} is left" for kind in sentinel.left - plain.left]
    if sentinel.status != plain.status:
        found.append(f"exit status {sentinel.status} instead of {plain.status}")
    if found or not plain.reports:
        said = (plain.stdout, plain.stderr, sentinel.stdout, sentinel.stderr)
        pytest.fail("\n".join([*found, *(text[-3000:] for text in said)]))
    # The order too, within each test.
    assert sentinel.reports == plain.reports


def _read(path: Path) -> tuple[list[dict[str, Any]], set[tuple[str, str]]]:
    lines = [json.loads(row) for row in path.read_text().splitlines()] if path.exists() else []
    return (
        [line for line in lines if "nodeid" in line],
        {(line["warning"], line["text"]) for line in lines if "warning" in line},
    )


def _is_warning(line: str) -> bool:
    # xdist interrupts a worker that takes over 5 s to end, as it may on a busy machine, and then
    # upstream's directory of artifacts is cleaned up late, with this warning. Plugin or none.
    late = "Implicitly cleaning up" in line and "/playwright-pytest-" in line
    return "Warning:" in line and not late


def _kind(name: str) -> str:
    return re.sub(r"[-_]\w{6,8}$", "", name)


def _files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
