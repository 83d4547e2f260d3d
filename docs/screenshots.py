"""Make the pictures in docs/images: ``python docs/screenshots.py``, from the root of the source.

It runs a small suite on two workers, with a crash, a leak and a slow page in it, and looks at what
comes out: the report, wide and narrow, and the closing section of the run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.text import Text

from pytest_sentinel.browsers import prepare

IMAGES = Path(__file__).parent / "images"
SUITE = """
import os, signal, threading, http.server
import psutil, pytest

PAGE = (
    b"<h1>Shop</h1><p>Fresh bread</p><img src=/missing.png>"
    b"<script>console.error('no stock')</script>"
)

@pytest.fixture(scope="session")
def shop():
    class Shop(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/" else 404)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE)
        def log_message(self, *_):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()

@pytest.mark.parametrize("visitor", range(24))
def test_browse(page, shop, visitor):
    page.goto(shop)
    page.wait_for_timeout(80 + 20 * (visitor % 7))

def test_buy(page, shop):
    page.goto(shop)
    assert page.get_by_role("button").count() == 1

def test_basket_is_left_open(browser):
    browser.new_context()

def test_lightning(page, shop, tmp_path_factory):
    mark = tmp_path_factory.getbasetemp().parent / "struck"
    if not mark.exists():
        mark.touch()
        session = page.context.browser.new_browser_cdp_session()
        found = session.send("SystemInfo.getProcessInfo")["processInfo"]
        os.kill(next(p["id"] for p in found if p["type"] == "browser"), signal.SIGKILL)
        page.wait_for_timeout(5000)
    page.goto(shop)
"""


def main() -> None:
    """Run the suite and take the pictures."""
    IMAGES.mkdir(exist_ok=True)
    prepare(os.environ)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name) / "shop"
        directory.mkdir()
        (directory / "test_shop.py").write_text(SUITE)
        gates = "leaks: count == 0; lcp: p(75) < 2.5s; worker_memory: max < 512MiB"
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-n", "2", "--color=yes", "-p", "no:locust"),
                *("--sentinel-page-metrics=on", f"--sentinel-gates={gates}"),
                *("--basetemp", str(Path(name) / "temporary")),
            ],
            cwd=directory,
            env={**os.environ, "COLUMNS": "100"},
            capture_output=True,
            text=True,
            check=False,
        )
        report = Path(name) / "report.html"
        command = [sys.executable, "-m", "pytest_sentinel.cli", "report", "--html", str(report)]
        subprocess.run(command, cwd=directory, check=True)
        closing = Path(name) / "closing.html"
        closing.write_text(_terminal(ran.stdout))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch()
            for picture, page_file, width, height in (
                ("report-wide", report, 1280, 1600),
                ("report-narrow", report, 390, 1600),
                ("closing-section", closing, 1000, 300),
            ):
                page = browser.new_page(viewport={"width": width, "height": height})
                page.goto(page_file.as_uri())
                page.screenshot(path=IMAGES / f"{picture}.png")
            browser.close()


def _terminal(output: str) -> str:
    lines = output.splitlines()
    first = next(index for index, line in enumerate(lines) if " sentinel " in line and "=" in line)
    last = next(index for index, line in enumerate(lines) if "short test summary" in line)
    console = Console(record=True, width=100, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(Text.from_ansi("\n".join(lines[first:last])))
    return console.export_html(inline_styles=True)


if __name__ == "__main__":
    main()
