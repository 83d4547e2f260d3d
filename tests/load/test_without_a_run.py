"""Browser users without a run of Locust: as a test, before a person's eyes, on paper."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.larder.process import Larder
from tests.load.locustkit import FLOW, HEAD
from tests.runs import CACHE, slack

ROOT = Path(__file__).resolve().parents[2]


def command(directory: Path, *words: str, code: str = FLOW) -> subprocess.CompletedProcess[str]:
    """Run `sentinel load run` on a locustfile."""
    (directory / "users.py").write_text(HEAD + code)
    (directory / "temporary").mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "pytest_sentinel.cli", "load", "run", "users.py", *words],
        cwd=directory,
        env={**os.environ, "XDG_CACHE_HOME": CACHE, "TMPDIR": str(directory / "temporary")},
        capture_output=True,
        text=True,
        timeout=120 * slack(),
        check=False,
    )


def test_the_plugin_and_locust_together_patch_nothing() -> None:
    """With our plugin and Locust's in one pytest, gevent has patched nothing; Locust is not in."""
    script = (
        "import sys, pytest\n"
        "class Look:\n"
        "    def pytest_collection(self):\n"
        "        assert sys.modules['pytest_sentinel.plugin']\n"
        "        import gevent.monkey\n"
        "        print('patched', gevent.monkey.saved, 'locust' in sys.modules)\n"
        "pytest.main(['--collect-only', '-q', '-p', 'no:cacheprovider', '.'], plugins=[Look()])\n"
    )

    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False,
        cwd=ROOT / "tests/unit/load",
    )  # fmt: skip

    assert "patched {} False" in told.stdout, told.stdout + told.stderr


def test_a_plain_locust_runs_as_if_we_were_not_installed(tmp_path: Path) -> None:
    """A locustfile without us loads nothing of ours, and gets no option and no user of ours."""
    (tmp_path / "plain.py").write_text(
        "import sys\n"
        "from locust import User, constant, events, task\n"
        "class Idler(User):\n"
        "    wait_time = constant(0.1)\n"
        "    @task\n"
        "    def idle(self):\n"
        "        events.request.fire(request_type='X', name='idle', response_time=1,\n"
        "                            response_length=0, exception=None, context={})\n"
        "@events.quit.add_listener\n"
        "def look(exit_code, **facts):\n"
        "    ours = [name for name in sys.modules if name.startswith('pytest_sentinel')]\n"
        "    print('ours', ours, 'code', exit_code, flush=True)\n"
    )
    locust = [sys.executable, "-m", "locust", "-f", "plain.py"]

    told = subprocess.run(
        [*locust, "--headless", "-u", "2", "-r", "2", "-t", "1s", "--only-summary"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60 * slack(), check=False,
    )  # fmt: skip
    options = subprocess.run(
        [*locust, "--help"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60 * slack(), check=True,
    )  # fmt: skip

    assert "ours [] code 0" in told.stdout, told.stdout + told.stderr
    assert told.returncode == 0
    assert "sentinel" not in options.stdout


@pytest.mark.browser
def test_a_scenario_is_a_test(tmp_path: Path, larder: Larder) -> None:
    """A task of a locustfile runs on a page of a test, in a process that gevent leaves alone."""
    (tmp_path / "shop.py").write_text(
        HEAD.replace("from locust import", "#")
        + """
class Shopper(BrowserUser):
    dish = "soup"

    async def search(self, page):
        await page.goto(f"/meals?q={self.dish}")

    @task
    async def look(self, page, step):
        async with step("meals"):
            await page.goto("/meals")
        async with step("search"):
            await self.search(page)

    @task
    async def twice(self, page, step):
        await self.look(page, step)
        await self.look(page, step)

    @task
    async def fail(self, page, step):
        async with step("sum"):
            assert 1 + 1 == 3
"""
    )
    (tmp_path / "test_shop.py").write_text(f"""
import asyncio
import gevent.monkey
import pytest
from playwright.async_api import async_playwright
from shop import Shopper
from pytest_sentinel.load import run_scenario

async def visit(task):
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch()
        page = await browser.new_page(base_url={larder.url!r})
        steps = await run_scenario(task, page)
        url = page.url
        await browser.close()
        return [step.name for step in steps], url

def test_buy():
    names, url = asyncio.run(visit(Shopper.twice))
    assert names == ["meals", "search", "meals", "search"]
    assert url.endswith("/meals?q=soup")
    assert gevent.monkey.saved == {{}}

def test_fail():
    with pytest.raises(AssertionError):
        asyncio.run(visit(Shopper.fail))
""")

    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:locust"],
        cwd=tmp_path,
        env={**os.environ, "XDG_CACHE_HOME": CACHE, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120 * slack(),
        check=False,
    )

    assert "2 passed" in told.stdout, told.stdout + told.stderr


def test_a_dry_run_shows_what_is_in_a_file(tmp_path: Path) -> None:
    """Users, tasks with their shares and steps; nothing is started."""
    told = command(tmp_path, "--dry-run")

    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines() == [
        "Shopper: pool auto, isolation iteration",
        "  look (100%)",
        "    meals",
        "    kitchen",
    ]


@pytest.mark.parametrize("file", ["browser.py", "mixed.py"])
def test_every_load_test_of_ours_has_a_dry_run(file: str) -> None:
    """The files in loadtests can be imported, and have steps."""
    told = subprocess.run(
        [sys.executable, "-m", "pytest_sentinel.cli", "load", "run", f"loadtests/{file}",
         "--dry-run"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert told.returncode == 0, told.stderr
    assert "register (17%)" in told.stdout


def test_mistakes_in_a_locustfile_are_said_at_once(tmp_path: Path) -> None:
    """A bad attribute, a task that is not async, a file that is not there: one line for each."""
    bad = FLOW.replace("wait_time", 'isolation = "total"\n    wait_time')
    plain = FLOW.replace("async def", "def").replace("async with", "with").replace("await ", "")

    assert "isolation: 'total'" in command(tmp_path, "--dry-run", code=bad).stderr
    assert "written with async def" in command(tmp_path, "--dry-run", code=plain).stderr
    missing = subprocess.run(
        [sys.executable, "-m", "pytest_sentinel.cli", "load", "run", "nowhere.py", "--dry-run"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "there is no such file" in missing.stderr
    assert "Traceback" not in missing.stderr


@pytest.mark.browser
def test_one_user_runs_in_one_process(tmp_path: Path, larder: Larder) -> None:
    """Each step is shown as it ends; the exit status tells whether all passed."""
    told = command(tmp_path, "--inline", "--iterations", "2", "--host", larder.url)

    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.count("  passed") == 2
    assert told.stdout.count("  meals: ") == 2
    assert "page of kitchen: TTFB" in told.stdout

    failing = FLOW.replace('get_by_role("link", name="Kitchen").click()', 'click("#no", timeout=9)')
    told = command(tmp_path, "--inline", "--iterations", "1", "--host", larder.url, code=failing)
    assert told.returncode == 1, told.stdout + told.stderr
    assert "failed: TimeoutError: Page.click: Timeout 9ms exceeded." in told.stdout


@pytest.mark.browser
def test_the_command_is_a_run_of_locust(tmp_path: Path, larder: Larder) -> None:
    """Its options become Locust's; the exit status is that of the gates."""
    told = command(
        tmp_path, "--users", "1", "--time", "4 s", "--host", larder.url, "--report", "report.json",
        "--gate", "uptime: rate > 99%", "--slots", "1", "--", "--only-summary",
    )  # fmt: skip

    assert told.returncode == 98, told.stdout + told.stderr
    assert "Gate no data: uptime: rate > 99%: nothing was measured" in told.stdout
    assert (tmp_path / "report.json").exists()
