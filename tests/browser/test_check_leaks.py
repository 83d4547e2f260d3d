"""The whole check against a real Chromium and a small sample of the corpus."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from pytest_sentinel.leaks.repeat import check_leaks
from tests.browser.leakpages import chromium, page
from tests.corpus.harness import act, load, served

__all__ = ["chromium", "page"]

pytestmark = pytest.mark.browser

SAMPLE = (
    "map-cache",
    "array-of-doubles",
    "string-that-grows-flat",
    "detached-kept-in-array",
    "attached-rows",
    "document-keydown-per-dialog",
    "interval-never-cleared",
    "object-urls-not-revoked",
    "toasts-that-leave-late",
    "ring-of-thirty-entries",
)


@pytest.fixture(scope="module")
def corpus() -> Iterator[str]:
    """The corpus on a loopback port."""
    with served() as base:
        yield base


@pytest.mark.parametrize("name", SAMPLE)
def test_the_leaking_twin_is_found_and_named(page: Page, corpus: str, name: str) -> None:
    """LEAK, the right owner first, a kind, a rate and a fingerprint."""
    pair = load()[name]
    page.goto(f"{corpus}/{name}/leaky")
    report = check_leaks(page, lambda: act(page, pair.steps))
    assert report.verdict == "LEAK", str(report)
    worst = report.leaks[0]
    assert re.search(pair.owner, worst.owner), str(report)
    assert worst.kind in pair.kind.split("|")
    assert worst.per_iteration.count or worst.per_iteration.bytes
    assert re.fullmatch(r"[0-9a-f]{12}", worst.fingerprint)


@pytest.mark.parametrize("name", SAMPLE)
def test_the_fixed_twin_is_clean(page: Page, corpus: str, name: str) -> None:
    """CLEAN, whatever filled or fell in between."""
    pair = load()[name]
    page.goto(f"{corpus}/{name}/fixed")
    report = check_leaks(page, lambda: act(page, pair.steps))
    assert report.verdict == "CLEAN", str(report)


def test_the_empty_scenario_is_exactly_flat(page: Page) -> None:
    """Our own instruments add not one node and not one listener in fifty iterations."""
    page.set_content("<h1>Nothing happens here</h1>")
    report = check_leaks(page, lambda: None, iterations=50)
    assert report.verdict == "CLEAN"
    assert report.iterations >= 50
    for name in ("nodes", "listeners", "documents", "frames"):
        assert len({sample.counts[name] for sample in report.samples}) == 1, name


def test_the_page_has_its_own_functions_back(page: Page) -> None:
    """What was wrapped for the time of the check is unwrapped after it."""
    page.set_content("<h1>Hello</h1>")
    before = page.evaluate("String(URL.createObjectURL)")
    check_leaks(page, lambda: None)
    assert page.evaluate("String(URL.createObjectURL)") == before


def test_action_and_back_are_one_iteration(page: Page) -> None:
    """A pair of callables runs in order, as often as each other."""
    page.set_content("<h1>Hello</h1>")
    calls: list[str] = []
    report = check_leaks(page, (lambda: calls.append("go"), lambda: calls.append("back")))
    assert report.verdict == "CLEAN"
    assert calls == ["go", "back"] * report.iterations


def test_what_is_allowed_may_grow(page: Page, corpus: str) -> None:
    """An allowed owner makes a leaking page clean, and is still reported."""
    pair = load()["map-cache"]
    page.goto(f"{corpus}/map-cache/leaky")
    report = check_leaks(page, lambda: act(page, pair.steps), allow=["routeCache"])
    assert (report.verdict, [leak.owner for leak in report.allowed]) == ("CLEAN", ["routeCache"])


def test_without_snapshots_exact_counters_still_accuse(page: Page, corpus: str) -> None:
    """A growing node count is a leak without a name."""
    pair = load()["attached-rows"]
    page.goto(f"{corpus}/attached-rows/leaky")
    report = check_leaks(page, lambda: act(page, pair.steps), snapshots="never")
    assert (report.verdict, report.leaks[0].kind) == ("LEAK", "dom")
    assert report.snapshots == ()


def test_without_snapshots_bytes_alone_prove_nothing(page: Page, corpus: str) -> None:
    """Growing bytes without an owner are a question, not a verdict."""
    pair = load()["map-cache"]
    page.goto(f"{corpus}/map-cache/leaky")
    report = check_leaks(page, lambda: act(page, pair.steps), snapshots="never")
    assert report.verdict == "INCONCLUSIVE"


def test_without_numpy_the_report_says_how_to_get_the_owner(
    page: Page, corpus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra is optional: counters judge without it, and name it."""
    monkeypatch.setitem(sys.modules, "pytest_sentinel.leaks.forensics", None)
    pair = load()["attached-rows"]
    page.goto(f"{corpus}/attached-rows/leaky")
    report = check_leaks(page, lambda: act(page, pair.steps))
    assert report.verdict == "LEAK"
    assert "pytest-sentinel[heap]" in report.reason


def test_a_scenario_that_loads_a_document_gets_no_accusation(page: Page, corpus: str) -> None:
    """With every reload the world begins anew: LEAK is out of the question."""
    page.goto(f"{corpus}/map-cache/leaky")
    report = check_leaks(page, page.reload)
    assert report.verdict in ("CLEAN", "INCONCLUSIVE")
    assert any("new document" in finding.text for finding in report.audit)


def test_a_popup_in_the_same_renderer_withdraws_the_accusation(page: Page, corpus: str) -> None:
    """Counters of a shared renderer are nobody's in particular."""
    pair = load()["array-of-objects"]
    page.goto(f"{corpus}/array-of-objects/leaky")
    once = "document.querySelector('#go').addEventListener('click', () => open('/'), {once: true})"
    page.evaluate(once)
    with page.expect_popup():
        page.click("#go")
    page.bring_to_front()
    report = check_leaks(page, lambda: act(page, pair.steps))
    assert report.verdict == "INCONCLUSIVE"
    assert any("shares" in finding.text for finding in report.audit)


def test_an_error_of_the_scenario_passes_through(page: Page) -> None:
    """What the scenario raises is the test's own failure, and the session is closed."""
    page.set_content("<h1>Hello</h1>")
    with pytest.raises(ZeroDivisionError):
        check_leaks(page, lambda: 1 / 0)
    assert check_leaks(page, lambda: None).verdict == "CLEAN"
