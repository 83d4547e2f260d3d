"""Alerts: each has a page of the runbook, a case that fires it and one that does not."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dashboards.src.alerts import ALERTS, RECORDING, Alert
from dashboards.src.boards import BOARDS
from dashboards.src.rules import ROOT, alert_rules, files, rule_tests
from pytest_sentinel.telemetry.catalogue import BY_SAMPLE
from tests.telemetry.servers import needed

BOARD = ROOT / "dashboards"
OURS = re.compile(r"(?<![:\w])sentinel_\w+")
NAMES = [alert.name for alert in ALERTS]


def promtool(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run promtool."""
    return subprocess.run(
        ["promtool", *words],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_what_is_committed_is_what_is_written(path: Path) -> None:
    """Rules, tests and runbooks come from one table: ``python -m dashboards.src.rules``."""
    assert path.read_text() == files()[path]


@needed
def test_runbooks_may_be_anywhere(tmp_path: Path) -> None:
    """One setting moves the links of all alerts, and the rules' tests with them."""
    for name in ("dashboards/src", "docs/runbooks"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("alerts", "rules", "tests"):
        (tmp_path / "dashboards" / name).mkdir()
    wiki = "https://wiki.example/sentinel/"
    command = [sys.executable, "-m", "dashboards.src.rules", "--runbooks", wiki]
    subprocess.run(command, cwd=tmp_path, check=True)

    rules = yaml.safe_load((tmp_path / "dashboards/alerts/sentinel.yml").read_text())
    links = {
        rule["alert"]: rule["annotations"]["runbook_url"] for rule in rules["groups"][0]["rules"]
    }
    assert links == {name: f"{wiki}{name}.md" for name in NAMES}
    told = promtool(tmp_path / "dashboards/tests", "test", "rules", "alerts_test.yml")
    assert told.returncode == 0, told.stdout + told.stderr


def test_every_link_leads_to_a_page() -> None:
    """As they are committed, links are paths in the source of the project."""
    rules = yaml.safe_load((BOARD / "alerts" / "sentinel.yml").read_text())
    links = [rule["annotations"]["runbook_url"] for rule in rules["groups"][0]["rules"]]

    assert len(links) == len(NAMES)
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_no_runbook_is_without_its_alert() -> None:
    """A page that no alert leads to is a lie."""
    pages = (ROOT / "docs" / "runbooks").glob("Sentinel*.md")

    assert {page.stem for page in pages} == set(NAMES)


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_an_alert_is_complete(alert: Alert) -> None:
    """A name of ours, three checks, a board that there is, metrics that there are, both cases."""
    firing = [case for case in alert.cases if case.labels is not None]
    quiet = [case for case in alert.cases if case.labels is None]

    assert re.fullmatch(r"Sentinel([A-Z0-9][a-z0-9]+)+", alert.name.replace("P95", "Pninety"))
    assert alert.severity in ("page", "ticket", "none")
    assert len(alert.checks) == 3
    assert alert.board in {board.name for board in BOARDS}
    assert set(OURS.findall(alert.expr)) <= set(BY_SAMPLE)
    assert firing
    assert quiet or alert.name == "SentinelWatchdog"


def test_recording_rules_say_what_they_hold() -> None:
    """level:metric:operations, made of metrics that there are."""
    for name, expression in RECORDING:
        assert re.fullmatch(r"[a-z_]+:[a-z_]+:[a-z0-9_]+", name)
        assert set(OURS.findall(expression)) <= set(BY_SAMPLE)


@needed
def test_promtool_accepts_the_rules() -> None:
    """Both files, with every rule that the table has."""
    told = promtool(BOARD, "check", "rules", "alerts/sentinel.yml", "rules/recording.yml")

    assert told.returncode == 0, told.stdout + told.stderr
    assert f"SUCCESS: {len(ALERTS)} rules found" in told.stdout


@needed
def test_every_case_of_every_alert_holds() -> None:
    """Each fires at its boundary, and not just below it."""
    told = promtool(BOARD / "tests", "test", "rules", "alerts_test.yml", "alerts_slow_test.yml")

    assert told.returncode == 0, told.stdout + told.stderr


@needed
@pytest.mark.parametrize("alert", [a for a in ALERTS if len(a.cases) > 1], ids=lambda a: a.name)
def test_a_turned_comparison_is_noticed(tmp_path: Path, alert: Alert) -> None:
    """An alert whose first comparison is turned round fails one of its cases."""
    for name in ("alerts", "rules", "tests"):
        (tmp_path / name).mkdir()
    shutil.copy(BOARD / "rules" / "recording.yml", tmp_path / "rules")
    slow = alert.cases[0].step != "15s"
    (tmp_path / "tests" / "one.yml").write_text(rule_tests(slow=slow, alerts=[alert]))
    path = tmp_path / "alerts" / "sentinel.yml"
    rules = yaml.safe_load(alert_rules([alert]))
    rule = next(each for each in rules["groups"][0]["rules"] if each["alert"] == alert.name)
    turned = {">=": "<", "<=": ">", "==": "!=", ">": "<=", "<": ">="}
    # The last one decides, where an alert first asks whether there is enough to go by.
    found = list(re.finditer(r"(>=|<=|==|>|<)(?= *[\d(a-z])", rule["expr"]))[-1]
    rule["expr"] = rule["expr"][: found.start()] + turned[found[0]] + rule["expr"][found.end() :]
    path.write_text(yaml.safe_dump(rules))

    told = promtool(tmp_path / "tests", "test", "rules", "one.yml")

    assert told.returncode == 1, rule["expr"]
    assert alert.name in told.stdout + told.stderr
