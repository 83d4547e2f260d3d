"""Write down all that a run reports. Both runs of a comparison load a copy of this with ``-p``.

One JSON line for each report and each warning, in the order in which the controller heard of them.
It imports nothing of the package: it must work where the package is switched off.
"""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest

FILE_NAME = "recording.jsonl"
_VOLATILE = re.compile(
    r"0x[0-9a-f]+|pytest-\d+|popen-gw\d+|:\d{4,5}\b|\d+(\.\d+)?m?s\b|\d+ \N{MULTIPLICATION SIGN}"
)


class Recording:
    """The plugin object of the controller, or of the one process of a run without xdist."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _write(self, **line: Any) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        crash = getattr(report.longrepr, "reprcrash", None)
        said = crash.message if crash is not None else str(report.longrepr or "")
        kept = [
            (name, str(value))
            for name, value in report.user_properties
            if not name.startswith("sentinel_")
        ]
        self._write(
            nodeid=report.nodeid,
            when=report.when,
            outcome=report.outcome,
            wasxfail=getattr(report, "wasxfail", None),
            said=_VOLATILE.sub("", said.partition("\n")[0]),
            location=report.location,
            properties=kept,
        )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write(nodeid=report.nodeid, when="collect", outcome="failed")

    def pytest_warning_recorded(
        self, warning_message: warnings.WarningMessage, when: str, nodeid: str
    ) -> None:
        self._write(
            warning=warning_message.category.__name__,
            text=_VOLATILE.sub("", str(warning_message.message).partition("\n")[0]),
        )


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        recording = Recording(config.invocation_params.dir / FILE_NAME)
        config.pluginmanager.register(recording)
