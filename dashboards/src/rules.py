"""Write rules, their tests and the runbooks from the table: ``python -m dashboards.src.rules``.

Alerts lead to the pages of the runbook. Where these can be read is known to whoever sets the
alerts up: ``--runbooks https://wiki.example/sentinel`` puts that before the names of the pages.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from dashboards.src.alerts import ALERTS, RECORDING, Alert, Case

ROOT = Path(__file__).parents[2]
# The pages in the source of the project, for who has no better place.
RUNBOOKS = "docs/runbooks"
HEAD = "# Written by `python -m dashboards.src.rules` from dashboards/src/alerts.py.\n"


def annotations(alert: Alert, runbooks: str = RUNBOOKS) -> dict[str, str]:
    """Return what an alert says, and where to go on."""
    return {
        "summary": alert.summary,
        "description": alert.meaning,
        "runbook_url": f"{runbooks.rstrip('/')}/{alert.name}.md",
        "dashboard_url": f"/d/sentinel-{alert.board}",
    }


def alert_rules(alerts: Sequence[Alert] = ALERTS, runbooks: str = RUNBOOKS) -> str:
    """Return the file of alert rules."""
    rules = [
        {
            "alert": alert.name,
            "expr": alert.expr,
            **({} if alert.lasts == "0s" else {"for": alert.lasts}),
            "labels": {"severity": alert.severity},
            "annotations": annotations(alert, runbooks),
        }
        for alert in alerts
    ]
    return _dump({"groups": [{"name": "sentinel", "rules": rules}]})


def recording_rules() -> str:
    """Return the file of recording rules."""
    rules = [{"record": name, "expr": expr} for name, expr in RECORDING]
    return _dump({"groups": [{"name": "sentinel-recording", "rules": rules}]})


def rule_tests(*, slow: bool, alerts: Sequence[Alert] = ALERTS, runbooks: str = RUNBOOKS) -> str:
    """Return promtool's tests: each case of each alert, those of hours and days by themselves."""
    tests = [
        _test(alert, case, runbooks)
        for alert in alerts
        for case in alert.cases
        if (case.step != "15s") is slow
    ]
    return _dump(
        {
            "rule_files": ["../rules/recording.yml", "../alerts/sentinel.yml"],
            "evaluation_interval": "10m" if slow else "15s",
            "tests": tests,
        }
    )


def _test(alert: Alert, case: Case, runbooks: str) -> dict[str, Any]:
    wanted: list[dict[str, Any]] = []
    if case.labels is not None:
        wanted.append(
            {
                "exp_labels": {"severity": alert.severity, **case.labels},
                "exp_annotations": annotations(alert, runbooks),
            }
        )
    return {
        "name": f"{alert.name} {'fires' if wanted else 'does not fire'}",
        "interval": case.step,
        "input_series": [{"series": name, "values": values} for name, values in case.series],
        "alert_rule_test": [{"eval_time": case.at, "alertname": alert.name, "exp_alerts": wanted}],
    }


def runbook(alert: Alert) -> str:
    """Return the page for whoever is woken by an alert."""
    checks = "\n".join(
        f"{number}. {question}\n\n   ```sh\n   {command}\n   ```"
        for number, (question, command) in enumerate(alert.checks, start=1)
    )
    lasts = "at once" if alert.lasts == "0s" else f"after {alert.lasts}"
    return f"""# {alert.name}

{alert.summary}

| severity | fires | board |
|---|---|---|
| {alert.severity} | {lasts} | `sentinel-{alert.board}` |

## Meaning

{alert.meaning}

```promql
{alert.expr}
```

## Impact

{alert.impact}

## First three checks

{checks}

## Mitigation

{alert.mitigation}

## Silence

```sh
amtool silence add alertname={alert.name} --duration=2h --comment='why, and who'
```

## What fires it on purpose

The cases `{alert.name} fires` and `{alert.name} does not fire` in `dashboards/tests`; run them with
`promtool test rules dashboards/tests/*.yml`.
"""


def _dump(content: dict[str, Any]) -> str:
    return HEAD + yaml.safe_dump(content, sort_keys=False, width=10_000, allow_unicode=True)


def files(runbooks: str = RUNBOOKS) -> dict[Path, str]:
    """Return every file that is written, with its content."""
    board = ROOT / "dashboards"
    return {
        board / "alerts" / "sentinel.yml": alert_rules(runbooks=runbooks),
        board / "rules" / "recording.yml": recording_rules(),
        board / "tests" / "alerts_test.yml": rule_tests(slow=False, runbooks=runbooks),
        board / "tests" / "alerts_slow_test.yml": rule_tests(slow=True, runbooks=runbooks),
        **{ROOT / "docs" / "runbooks" / f"{alert.name}.md": runbook(alert) for alert in ALERTS},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write alerts, their tests and their runbooks.")
    parser.add_argument("--runbooks", default=RUNBOOKS, help="where the pages can be read")
    for path, content in files(parser.parse_args().runbooks).items():
        path.write_text(content)
