"""From a broken browser to somebody who knows, and from its repair to quiet, on real servers."""

from __future__ import annotations

import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from dashboards.src.rules import ROOT
from pytest_sentinel import browsers
from tests.runs import slack, wait_until
from tests.service.serving import service
from tests.telemetry.servers import Webhook, alertmanager, needed, prometheus

pytestmark = [needed, pytest.mark.browser]

PROMETHEUS = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{rules}/rules/recording.yml", "{rules}/alerts/sentinel.yml"]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["{alertmanager}"]}}]}}]}}
scrape_configs:
  - job_name: sentinel-serve
    static_configs: [{{targets: ["{control}"]}}]
"""
ALERTMANAGER = """
route: {{receiver: webhook, group_by: [alertname], group_wait: 1s, group_interval: 1s}}
receivers: [{{name: webhook, webhook_configs: [{{url: "{url}", send_resolved: true}}]}}]
"""


class Browser:
    """A browser of our own, which can be broken and mended: what is installed, by other links."""

    def __init__(self, directory: Path) -> None:
        choice = browsers.prepare(dict(os.environ))
        assert choice.executable is not None
        self.directory = directory
        shutil.copytree(choice.executable.resolve().parent, directory, copy_function=_link)
        self._binary = directory / choice.executable.resolve().name

    def spoil(self) -> None:
        """Take the binary away, and kill what runs of it."""
        self._binary.rename(self._binary.with_suffix(".gone"))
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.exe().startswith(str(self.directory)):
                    process.send_signal(signal.SIGKILL)

    def mend(self) -> None:
        """Put it back."""
        self._binary.with_suffix(".gone").rename(self._binary)


def _link(source: str, target: str) -> None:
    try:
        os.link(os.path.realpath(source), target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def test_a_browser_that_does_not_start_is_heard_of_and_so_is_its_repair(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Within 60 s the webhook has the alert, with its runbook; after the repair it is resolved."""
    browser = Browser(tmp_path / "browser")
    rules = tmp_path / "rules"
    shutil.copytree(ROOT / "dashboards", rules)
    environment = {
        "PATH": f"{browser.directory}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    options = ("--min", "1", "--max", "1", "--probe-interval", "1 s")
    with (
        Webhook() as webhook,
        service(tmp_path, *options, **environment) as running,
        alertmanager(tmp_path / "am", ALERTMANAGER.format(url=webhook.url)) as url,
    ):
        wait_until(lambda: running.browsers("ready"), 30 * slack(), "a browser")
        config = PROMETHEUS.format(
            rules=rules, alertmanager=url.removeprefix("http://"), control=running.control
        )
        with prometheus(tmp_path / "prometheus", config) as server:
            wait_until(lambda: server.value("sentinel_pool_ready"), 20 * slack(), "a scrape")
            broken = time.time()
            browser.spoil()
            name = "SentinelCrashLoop"
            wait_until(lambda: webhook.first(name, "firing"), 60, "an alert")
            heard = webhook.first(name, "firing")
            browser.mend()
            mended = time.time()
            wait_until(lambda: webhook.first(name, "resolved"), 120 * slack(), "its end")
            resolved = webhook.first(name, "resolved")

    assert heard is not None
    assert resolved is not None
    runbook = heard[1]["annotations"]["runbook_url"]
    assert (ROOT / runbook).is_file()
    assert Path(runbook).stem == name
    detected, recovered = heard[0] - broken, resolved[0] - mended
    with capsys.disabled():
        print(f"\n  detected after {detected:.1f} s, recovered {recovered:.1f} s after the repair")
    assert detected < 60
