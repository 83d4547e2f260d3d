"""Other people's clients, unmodified, on one service: Node, sync and async Python, pytest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import playwright as playwright_package
import pytest

from tests.runs import OPTIONS, slack, wait_until
from tests.service.serving import Service, service

pytestmark = pytest.mark.browser

AT_ONCE = 8
DRIVER = Path(playwright_package.__file__).parent / "driver"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service with eight slots."""
    with service(
        tmp_path_factory.mktemp("service"), "--max", "2", "--contexts-per-browser", "4"
    ) as found:
        yield found


def assert_served(found: Service, owner: str, before: int) -> None:
    """Assert that each of eight clients had a lease of its own, and gave it back."""
    wait_until(lambda: not found.leases(), 5 * slack(), "the end of the leases")
    owners = [event["owner"] for event in found.named("lease.granted")[before:]]
    assert sorted(owners) == sorted(f"{owner}-{number}" for number in range(AT_ONCE))


NODE = """
const { chromium } = require('playwright-core');
const [endpoint, owner, count] = process.argv.slice(2);
(async () => {
  const one = async (number) => {
    const query = `owner=${owner}-${number}&wait=60s`;
    const browser = await chromium.connect(`${endpoint}/chromium?${query}`);
    const page = await (await browser.newContext()).newPage();
    await page.setContent(`<title>${number}</title>`);
    const title = await page.title();
    await browser.close();
    return Number(title);
  };
  const titles = await Promise.all([...Array(Number(count)).keys()].map(one));
  console.log(JSON.stringify(titles));
})().catch((error) => { console.error(error); process.exit(1); });
"""


def test_node(shared: Service, tmp_path: Path) -> None:
    """playwright-core from npm, of the version of the driver here."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("there is no npm or node here")
    version = json.loads((DRIVER / "package" / "package.json").read_text())["version"]
    installed = subprocess.run(
        [
            *(npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"),
            *("--cache", str(tmp_path / "cache"), f"playwright-core@{version}"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    if installed.returncode:
        pytest.skip(f"npm cannot install playwright-core {version}: {installed.stderr[-300:]}")
    (tmp_path / "client.js").write_text(NODE)
    before = len(shared.named("lease.granted"))

    ran = subprocess.run(
        [node, "client.js", shared.ws, "node", str(AT_ONCE)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == list(range(AT_ONCE))
    assert_served(shared, "node", before)


ASYNC = """
import asyncio
import json
import sys
from playwright.async_api import async_playwright

async def one(playwright, number):
    url = f"{sys.argv[1]}/chromium?owner=async-{number}&wait=60s"
    browser = await playwright.chromium.connect(url)
    page = await browser.new_page()
    await page.set_content(f"<title>{number}</title>")
    title = int(await page.title())
    await browser.close()
    return title

async def all_of_them():
    async with async_playwright() as playwright:
        return await asyncio.gather(*(one(playwright, number) for number in range(8)))

print(json.dumps(asyncio.run(all_of_them())))
"""


def test_async_python(shared: Service) -> None:
    """Eight connections of one asyncio program."""
    before = len(shared.named("lease.granted"))

    ran = subprocess.run(
        [sys.executable, "-c", ASYNC, shared.ws],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == list(range(AT_ONCE))
    assert_served(shared, "async", before)


SYNC = """
import sys
from playwright.sync_api import sync_playwright

with sync_playwright() as playwright:
    browser = playwright.chromium.connect(sys.argv[1])
    page = browser.new_page()
    page.set_content("<title>it works</title>")
    assert page.title() == "it works"
    browser.close()
"""


def test_sync_python(shared: Service) -> None:
    """Eight processes with the sync API."""
    before = len(shared.named("lease.granted"))
    running = [
        subprocess.Popen(
            [
                *(sys.executable, "-c", SYNC),
                f"{shared.ws}/chromium?owner=sync-{number}&wait=60s",
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(AT_ONCE)
    ]

    ended = [(process.communicate(timeout=120)[1], process.returncode) for process in running]

    assert [status for _, status in ended] == [0] * AT_ONCE, ended
    assert_served(shared, "sync", before)


SUITE = """
import os
import pytest

@pytest.fixture(scope="session")
def connect_options(request):
    worker = request.config.workerinput["workerid"].removeprefix("gw")
    return {"endpoint": os.environ["SERVICE"] + f"/chromium?owner=pytest-{worker}&wait=60s"}

@pytest.mark.parametrize("number", range(16))
def test_it(page, number):
    page.set_content(f"<title>{number}</title>")
    assert page.title() == str(number)
"""


def test_pytest_playwright(shared: Service, tmp_path: Path) -> None:
    """pytest-playwright by its own connect_options, without our plugin, on eight workers."""
    (tmp_path / "test_it.py").write_text(SUITE)
    before = len(shared.named("lease.granted"))

    ran = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", *OPTIONS, "-p", "no:sentinel", "-q"),
            *("-n", str(AT_ONCE), "test_it.py"),
        ],
        cwd=tmp_path,
        env={**os.environ, "SERVICE": shared.ws},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )

    assert "16 passed" in ran.stdout, ran.stdout + ran.stderr
    assert_served(shared, "pytest", before)
