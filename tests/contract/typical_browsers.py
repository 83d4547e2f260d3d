"""Browsers and files, as the more demanding suites use them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, BrowserType, Error, Page


def test_browser_of_his_own(launch_browser: Callable[..., Browser], browser: Browser) -> None:
    seen: list[Browser] = []
    extra = launch_browser(args=["--user-agent=extra"])
    extra.on("disconnected", lambda gone: seen.append(gone))
    assert extra is not browser
    page = extra.new_context().new_page()
    assert page.evaluate("navigator.userAgent") == "extra"
    extra.close()
    assert seen == [extra]
    assert not extra.is_connected()
    assert page.is_closed()
    with pytest.raises(Error, match="closed"):
        extra.new_context()
    extra.close()
    assert browser.is_connected()


def test_browser_closed_with_a_reason(launch_browser: Callable[..., Browser]) -> None:
    with launch_browser() as extra:
        page = extra.new_page()
        extra.close(reason="enough")
        with pytest.raises(Error, match=r"enough|closed"):
            page.title()
    assert not extra.is_connected()


def test_persistent_context(
    browser_type: BrowserType, browser_type_launch_args: dict[str, Any], tmp_path: Path
) -> None:
    arguments = {**browser_type_launch_args, "locale": "de-DE"}
    context = browser_type.launch_persistent_context(tmp_path / "profile", **arguments)
    assert context.browser is None or isinstance(context.browser, Browser)
    assert context.pages[0].evaluate("navigator.language") == "de-DE"
    context.close()


@pytest.mark.parametrize(
    "browser_type_launch_args", [{"args": ["--user-agent=mine"]}], ids=["mine"], indirect=True
)
def test_launch_arguments(page: Page, browser_type_launch_args: dict[str, Any]) -> None:
    assert browser_type_launch_args == {"args": ["--user-agent=mine"]}
    assert page.evaluate("navigator.userAgent") == "mine"


def test_cannot_launch(launch_browser: Callable[..., Browser]) -> None:
    with pytest.raises(Error, match="Unsupported chromium channel"):
        launch_browser(channel="no-such-channel")


def test_download(page: Page, site: str, tmp_path: Path) -> None:
    page.goto(site)
    with page.expect_download() as download:
        page.get_by_text("file").click()
    assert download.value.path().read_bytes() == b"0123456789"
    download.value.save_as(tmp_path / "copy.bin")
    assert (tmp_path / "copy.bin").stat().st_size == 10


def test_video(browser: Browser, tmp_path: Path) -> None:
    context = browser.new_context(record_video_dir=tmp_path)
    page = context.new_page()
    page.set_content("<h1>recorded</h1>")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    context.close()
    assert page.video is not None
    path = Path(page.video.path())
    assert path.parent == tmp_path
    assert path.stat().st_size > 0


def test_trace(browser: Browser, tmp_path: Path) -> None:
    context = browser.new_context()
    context.tracing.start(screenshots=True, snapshots=True)
    context.new_page().set_content("<h1>traced</h1>")
    context.tracing.stop(path=tmp_path / "trace.zip")
    context.close()
    assert "trace.trace" in zipfile.ZipFile(tmp_path / "trace.zip").namelist()


def test_screenshot_and_pdf(page: Page, tmp_path: Path) -> None:
    page.set_content("<h1>shot</h1>")
    assert page.screenshot(path=tmp_path / "shot.png").startswith(b"\x89PNG")
    assert page.pdf().startswith(b"%PDF")


def test_har(browser: Browser, site: str, tmp_path: Path) -> None:
    context = browser.new_context(record_har_path=tmp_path / "site.har")
    context.new_page().goto(site)
    context.close()
    assert "file.bin" in (tmp_path / "site.har").read_text()


def test_context_events(browser: Browser) -> None:
    seen: list[Any] = []

    def see(context: BrowserContext) -> None:
        seen.append(context)

    browser.on("context", see)
    context = browser.new_context()
    context.on("close", see)
    context.close()
    browser.remove_listener("context", see)
    assert seen == [context, context]


def test_cdp(page: Page) -> None:
    session = page.context.new_cdp_session(page)
    assert session.send("Runtime.evaluate", {"expression": "6 * 7"})["result"]["value"] == 42
    session.detach()


@pytest.mark.skip_browser("chromium")
def test_not_on_chromium(page: Page) -> None:
    pytest.fail("runs on chromium")


@pytest.mark.only_browser("firefox")
def test_only_on_firefox(page: Page) -> None:
    pytest.fail("runs on chromium")


@pytest.mark.only_browser("chromium")
def test_only_on_chromium(
    page: Page, browser_name: str, is_chromium: bool, is_firefox: bool
) -> None:
    assert (browser_name, is_chromium, is_firefox) == ("chromium", True, False)
    assert page.evaluate("1 + 1") == 2
