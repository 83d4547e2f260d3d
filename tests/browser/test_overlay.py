"""Real launches through an overlay registry, in a home that has no browser of Playwright's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_sentinel import browsers

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def covered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give an environment whose home holds nothing but an overlay."""
    environ = dict(os.environ)
    browsers.overlay.uncover(environ)
    environ.pop("PLAYWRIGHT_BROWSERS_PATH", None)
    environ.pop("XDG_CACHE_HOME", None)
    environ["HOME"] = str(tmp_path_factory.mktemp("home"))
    # A launch that fails leaves its profile directory behind.
    environ["TMPDIR"] = str(tmp_path_factory.mktemp("tmp"))
    choice = browsers.prepare(environ)
    if choice.source != "system":
        pytest.skip("needs a browser of the system")
    return environ


def run(covered: dict[str, str], script: str, *arguments: str) -> object:
    """Run ``script`` in a process of its own and return the JSON that it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *arguments],
        env=covered,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_launch_runs_the_real_binary_and_no_shell(covered: dict[str, str]) -> None:
    """The process that Playwright starts is the browser itself."""
    seen = run(
        covered,
        """
import json, psutil
from playwright.sync_api import sync_playwright
with sync_playwright() as p:
    browser = p.chromium.launch()
    page = browser.new_page()
    page.goto("data:text/html,<title>hello</title>")
    (driver,) = psutil.Process().children()
    print(json.dumps([page.title(), [child.exe() for child in driver.children()]]))
    browser.close()
""",
    )

    choice = browsers.prepare(dict(covered))
    assert seen == ["hello", [str(choice.executable)]]


def test_a_persistent_context_launches(covered: dict[str, str], tmp_path: Path) -> None:
    """``launch_persistent_context`` finds the same browser."""
    seen = run(
        covered,
        """
import json, sys
from playwright.sync_api import sync_playwright
with sync_playwright() as p:
    context = p.chromium.launch_persistent_context(sys.argv[1])
    context.pages[0].goto("data:text/html,<title>kept</title>")
    print(json.dumps(context.pages[0].title()))
    context.close()
""",
        str(tmp_path / "profile"),
    )

    assert seen == "kept"


def test_a_video_is_recorded(covered: dict[str, str], tmp_path: Path) -> None:
    """``record_video_dir`` finds the ffmpeg that stands in."""
    seen = run(
        covered,
        """
import json, sys
from playwright.sync_api import sync_playwright
with sync_playwright() as p:
    browser = p.chromium.launch()
    context = browser.new_context(record_video_dir=sys.argv[1])
    page = context.new_page()
    page.goto("data:text/html,<body style='background:teal'>film")
    page.screenshot()
    context.close()
    print(json.dumps(str(page.video.path())))
    browser.close()
""",
        str(tmp_path),
    )

    assert isinstance(seen, str)
    assert Path(seen).read_bytes()[:4] == b"\x1a\x45\xdf\xa3"  # Matroska, of which WebM is one


def test_the_async_api_launches(covered: dict[str, str]) -> None:
    """The asynchronous API is served by the same variable."""
    seen = run(
        covered,
        """
import asyncio, json
from playwright.async_api import async_playwright
async def main():
    async with async_playwright() as p:
        browser = await p.chromium.launch()
        page = await browser.new_page()
        print(json.dumps(await page.evaluate("6 * 7")))
        await browser.close()
asyncio.run(main())
""",
    )

    assert seen == 42


def test_a_playwright_subcommand_takes_a_screenshot(
    covered: dict[str, str], tmp_path: Path
) -> None:
    """Commands that a run starts inherit the overlay."""
    picture = tmp_path / "page.png"

    subprocess.run(
        [sys.executable, "-m", "playwright", "screenshot", "data:text/html,hi", str(picture)],
        env=covered,
        capture_output=True,
        timeout=60,
        check=True,
    )

    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_channel_and_executable_path_are_the_users(covered: dict[str, str]) -> None:
    """A launch that names a browser gets that one or Playwright's own error, never ours."""
    seen = run(
        covered,
        """
import json
from playwright.sync_api import Error, sync_playwright
messages = []
with sync_playwright() as p:
    for named in ({"channel": "msedge-dev"}, {"executable_path": "/nowhere/chrome"}):
        try:
            p.chromium.launch(**named)
        except Error as error:
            messages.append(error.message)
print(json.dumps(messages))
""",
    )

    assert isinstance(seen, list)
    channel, path = seen
    assert "'msedge-dev' is not found" in channel
    assert "/nowhere/chrome" in path


def test_installing_during_a_run_downloads_nothing(covered: dict[str, str]) -> None:
    """``playwright install`` in a conftest takes what stands in for installed, and spares it."""
    done = subprocess.run(
        [sys.executable, "-m", "playwright", "install", "--only-shell", "chromium"],
        env=covered,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "")
    assert browsers.prepare(dict(covered)).overlay == Path(covered["PLAYWRIGHT_BROWSERS_PATH"])
