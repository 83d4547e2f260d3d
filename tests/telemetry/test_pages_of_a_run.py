"""What pages of tests did is in the record: vitals, errors, requests; and no secret."""

from __future__ import annotations

import pytest

from pytest_sentinel.telemetry.record import PageFigures
from tests.runs import Scratch

pytestmark = pytest.mark.browser

KIT = '''

PAGE = b"""<h1>Hello</h1><img src=/missing.png>
<script>
  console.error("refused: token=s3cr3t");
  console.warn("hm");
  setTimeout(() => { throw new Error("boom Authorization: Bearer s3cr3t-s3cr3t") }, 1);
</script>"""

@pytest.fixture(scope="session")
def site():
    import http.server

    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(404 if "missing" in self.path else 200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://anna:s3cr3t@127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()
'''
SUITE = """
def test_page(page, site):
    page.goto(site + "/one?token=s3cr3t")
    page.goto(site + "/two#s3cr3t")
    page.wait_for_timeout(300)
    assert page.evaluate("'__sentinel_page__' in globalThis") is False

def test_nothing(page):
    pass

def test_plain():
    pass
"""


def page_of(scratch: Scratch, name: str) -> PageFigures | None:
    """Return what the pages of a test did."""
    [line] = scratch.attempts(name)
    return line.page


def test_pages_are_watched(pytester: pytest.Pytester) -> None:
    """Each page with its vitals, what went wrong in it, and nothing that must stay secret."""
    scratch = Scratch(pytester, SUITE, KIT)
    scratch.run("--sentinel-page-metrics=on").assert_outcomes(passed=3)

    found = page_of(scratch, "test_page")
    assert found is not None
    assert [visit.url.rpartition("/")[2] for visit in found.visits] == ["one", "two"]
    last = found.visits[-1]
    assert None not in (last.ttfb, last.fcp, last.lcp, last.cls)
    assert found.console["error"] >= 1
    assert found.console["warning"] >= 1
    assert found.errors >= 1
    assert found.requests["document ok"] >= 1
    assert found.requests["image http_4xx"] >= 1
    assert any(text.startswith("uncaught: ") and "boom" in text for text in found.messages)
    assert scratch.attempts("test_page")[0].engine == "chromium"
    assert page_of(scratch, "test_plain") is None
    written = (scratch.path / ".sentinel" / "runs" / "latest" / "run.jsonl").read_text()
    assert "s3cr3t" not in written


def test_pages_are_left_alone(pytester: pytest.Pytester) -> None:
    """Unless something else is asked for."""
    scratch = Scratch(pytester, SUITE, KIT)
    scratch.run().assert_outcomes(passed=3)

    assert page_of(scratch, "test_page") is None


def test_what_pages_hold_is_read_on_demand(pytester: pytest.Pytester) -> None:
    """Heap and nodes at the end of each test."""
    scratch = Scratch(pytester, SUITE, KIT)
    scratch.run("--sentinel-page-metrics=heap").assert_outcomes(passed=3)

    found = page_of(scratch, "test_page")
    assert found is not None
    assert found.heap is not None
    assert found.heap > 100_000
    assert found.nodes is not None
    assert found.nodes >= 4


FAULTS = """
from pytest_sentinel.units import format_size

def test_product():
    assert False

def test_infrastructure(page, kill):
    kill(wait=True)
    page.goto("about:blank")

def test_harness():
    # A call of ours with what it cannot take.
    format_size(None)
"""


def test_faults_are_told_apart(pytester: pytest.Pytester) -> None:
    """The product's, the infrastructure's, the harness's."""
    scratch = Scratch(pytester, FAULTS)
    result = scratch.run("--sentinel-crash-retries=0")

    found = {line.nodeid.rpartition("::test_")[2]: line.failure for line in scratch.attempts()}
    assert found == {
        "product": "product",
        "infrastructure[chromium]": "infrastructure",
        "harness": "harness",
    }
    result.stdout.fnmatch_lines(["failures   1 product, 1 infrastructure, 1 harness"])
