"""The project's own workflow is one that GitHub would run, and does all that it is to do."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from pytest_sentinel.cli import main
from pytest_sentinel.gates import parse
from pytest_sentinel.settings import OPTIONS

ROOT = Path(__file__).resolve().parents[1]
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
GUIDE = ROOT / "docs" / "how-to" / "ci.md"


@pytest.fixture(scope="module")
def jobs() -> dict[str, Any]:
    """The jobs of the workflow."""
    found: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    return found


def shown(language: str = "yaml") -> list[str]:
    """Return the blocks of the guide."""
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


def test_every_part_of_it_is_there(jobs: dict[str, Any]) -> None:
    """Quality, tests on each Python, security, end to end, load, package, publish, summary."""
    assert set(jobs) == {
        *("quality", "tests", "security", "e2e", "load", "package", "publish", "summary"),
    }
    assert jobs["tests"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert set(jobs["publish"]["needs"]) == {"tests", "security", "e2e", "load", "package"}


def check_schema(schema: str, path: Path) -> None:
    """Assert that a file fits a schema that check-jsonschema brings along."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr


def test_it_fits_the_schema_of_workflows() -> None:
    """Words and shapes are those that GitHub knows."""
    check_schema("vendor.github-workflows", WORKFLOW)


def test_what_the_guide_shows_fits_its_schemas(tmp_path: Path) -> None:
    """A workflow of GitHub, a file of GitLab; both can be pasted."""
    schemas = {"GitHub": "vendor.github-workflows", "GitLab": "vendor.gitlab-ci"}
    seen = set()
    for number, text in enumerate(shown()):
        name = "GitHub" if "runs-on" in text else "GitLab"
        seen.add(name)
        path = tmp_path / f"{number}.yml"
        path.write_text(text)
        check_schema(schemas[name], path)

    assert seen == set(schemas)


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="actionlint is not installed")
def test_actionlint_finds_nothing(tmp_path: Path) -> None:
    """Expressions, contexts, inputs of actions: here where it is installed, and in the workflow."""
    paths = [str(WORKFLOW)]
    for number, text in enumerate(text for text in shown() if "runs-on" in text):
        path = tmp_path / f"{number}.yml"
        path.write_text(text)
        paths.append(str(path))

    told = subprocess.run(["actionlint", *paths], capture_output=True, text=True, check=False)

    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize("path", [WORKFLOW, GUIDE], ids=["workflow", "guide"])
def test_what_it_says_to_us_makes_sense(path: Path) -> None:
    """Every option of ours is one, every gate can be parsed, every command has such flags."""
    text = path.read_text().replace("\\\n", " ")
    known = {option.flag for option in OPTIONS}

    assert set(re.findall(r"(--sentinel-[a-z-]+)", text)) - known == set()
    for gate in re.findall(r"(?:--gate|-g) '([^']+)'", text):
        parse(gate)
    for command, words in re.findall(r"\bsentinel (load run|gate|report|doctor)\b([^|>\n]*)", text):
        help_text = CliRunner().invoke(main, [*command.split(), "--help"]).output
        flags = re.findall(r"(?<!\S)(--[a-z-]+)", words)
        assert [flag for flag in flags if flag not in help_text] == [], command
