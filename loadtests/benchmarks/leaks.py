"""Run the leak check over the corpus and print how right and how fast it is.

    python loadtests/benchmarks/leaks.py [--only NAME] [--repeat N] [--clean-only] [--shuffle SEED]

The judge sees a page and a scenario, never a label; labels are compared afterwards.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from playwright.sync_api import Browser, sync_playwright

from pytest_sentinel.leaks.repeat import check_leaks
from pytest_sentinel.leaks.verdict import LeakReport
from tests.corpus.harness import act, load, served
from tests.corpus.pair import Pair


@dataclass
class Result:
    """What came out for one page."""

    pair: Pair
    leaky: bool
    report: LeakReport

    def owner_is_right(self) -> bool:
        return bool(self.report.leaks) and bool(
            re.search(self.pair.owner, self.report.leaks[0].owner)
        )

    def kind_is_right(self) -> bool:
        first, *rest = [leak.kind for leak in self.report.leaks] or [""]
        beside = self.pair.beside
        # What lies beside must be named for what it is, and for nothing that it is not.
        said = {kind for kind in rest if kind not in self.pair.kind.split("|")}
        right = not beside or (bool(said) and said <= set(beside.split("|")))
        return first in self.pair.kind.split("|") and right

    def line_is_right(self) -> bool:
        location = self.report.leaks[0].location if self.report.leaks else None
        if not location:
            return False
        return abs(int(location.split(":")[-2]) - self.pair.line()) <= 6


def play(browser: Browser, base: str, pair: Pair, leaky: bool) -> Result:
    """Check one twin in a fresh context."""
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(f"{base}/{pair.name}/{'leaky' if leaky else 'fixed'}")
        report = check_leaks(page, lambda: act(page, pair.steps))
        return Result(pair, leaky, report)
    finally:
        context.close()


def share(part: int, whole: int) -> str:
    """Return a share as text."""
    return f"{part}/{whole} ({100 * part / whole:.1f} %)" if whole else "0/0"


def median(seconds: list[float]) -> str:
    """Return the median and the 90th percentile as text."""
    if not seconds:
        return "-"
    ordered = sorted(seconds)
    return f"{statistics.median(ordered):.2f} s (p90 {ordered[int(len(ordered) * 0.9)]:.2f} s)"


def main() -> int:
    """Play the chosen part of the corpus and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", help="name of a pair, or a part of it")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--clean-only", action="store_true")
    parser.add_argument("--leaky-only", action="store_true")
    parser.add_argument("--shuffle", type=int, help="seed of the order")
    parser.add_argument("--browser", default="/usr/lib/chromium/chromium-headless-shell")
    parser.add_argument("--verbose", action="store_true", help="print every report")
    options = parser.parse_args()
    pairs = [
        p for p in load().values() if not options.only or any(o in p.name for o in options.only)
    ]
    runs = [
        (pair, leaky)
        for _ in range(options.repeat)
        for pair in pairs
        for leaky in (True, False)
        if not (leaky and options.clean_only) and not (not leaky and options.leaky_only)
    ]
    if options.shuffle is not None:
        random.Random(options.shuffle).shuffle(runs)
    results = []
    with served() as base, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.browser)
        for pair, leaky in runs:
            result = play(browser, base, pair, leaky)
            results.append(result)
            report = result.report
            right = report.verdict == ("LEAK" if leaky else "CLEAN")
            owner = report.leaks[0].owner if report.leaks else ""
            mark = "" if right and (not leaky or result.owner_is_right()) else "  <<<"
            twin = "leaky" if leaky else "fixed"
            print(
                f"{pair.name:38} {twin} {report.verdict:12} {report.seconds:5.2f} s "
                f"{report.iterations:4d} it  {owner[:70]}{mark}",
                flush=True,
            )
            if options.verbose:
                print(report)
        browser.close()
    print_figures(results)
    return 0


def print_figures(results: list[Result]) -> None:
    """Print recall, precision, owners, doubts and times, then every wrong case."""
    leaky = [r for r in results if r.leaky]
    clean = [r for r in results if not r.leaky]
    found = [r for r in leaky if r.report.verdict == "LEAK"]
    false = [r for r in clean if r.report.verdict == "LEAK"]
    doubtful = [r for r in results if r.report.verdict == "INCONCLUSIVE"]
    owners = [r for r in found if r.owner_is_right()]
    print()
    print(f"pages         {len(results)}: {len(leaky)} leaking, {len(clean)} clean")
    print(f"recall        {share(len(found), len(leaky))}")
    print(f"precision     {share(len(found), len(found) + len(false))}")
    print(f"owner right   {share(len(owners), len(found))}")
    print(f"kind right    {share(sum(r.kind_is_right() for r in found), len(found))}")
    print(f"line near     {share(sum(r.line_is_right() for r in found), len(found))}")
    print(f"inconclusive  {share(len(doubtful), len(results))}")
    print(f"clean median  {median([r.report.seconds for r in clean])}")
    print(f"leaky median  {median([r.report.seconds for r in leaky])}")
    for title, wrong in (
        ("missed", [r for r in leaky if r.report.verdict == "CLEAN"]),
        ("false alarm", false),
        ("inconclusive", doubtful),
        ("wrong owner", [r for r in found if not r.owner_is_right()]),
        ("wrong kind", [r for r in found if not r.kind_is_right()]),
    ):
        for result in wrong:
            leaks = "; ".join(
                f"{k.kind}: {k.owner} +{k.constructor}" for k in result.report.leaks[:3]
            )
            print(f"{title:13} {result.pair.name}: {leaks or result.report.reason}")


if __name__ == "__main__":
    sys.exit(main())
