"""`sentinel doctor`: look at what browser tests need, and name a fix for whatever is amiss.

Each check is a plain function that returns findings; what it looks at can be handed in. A fault is
what makes tests fail, a warning what makes them slow, leaky or hard to explain. What the machine
itself provides is looked at in machine.py. Nothing is repaired here.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress

from rich.table import Table
from rich.text import Text

from pytest_sentinel import browsers, machine
from pytest_sentinel.machine import Finding
from pytest_sentinel.memory.processes import identify, kill_group, tree
from pytest_sentinel.units import format_duration

LAUNCH_TIMEOUT = 30.0

_REQUIRED = ("pytest", "pytest-playwright", "playwright")
_REQUIRED_FIX = "pip install pytest-sentinel"
_COLOURS = {"ok": "green", "warning": "yellow", "fault": "red"}

_LAUNCH = """
import json, time
from playwright.sync_api import Error, sync_playwright
start = time.perf_counter()
with sync_playwright() as playwright:
    driver = time.perf_counter()
    try:
        browser = playwright.chromium.launch()
        page = browser.new_page()
        page.goto("data:text/html,<title>ready</title>")
        assert page.title() == "ready"
        ready = time.perf_counter()
        version = browser.version
        browser.close()
        answer = {"version": version, "driver": driver - start, "browser": ready - driver}
    except Error as error:
        answer = {"error": error.message}
print(json.dumps(answer))
"""


def examine(*, launch: bool = True) -> Iterator[Finding]:
    """Yield every finding about this interpreter and this machine, as each check ends.

    Points ``os.environ`` to an overlay registry where one is needed, as a test run would.
    """
    versions = installed_versions()
    yield from check_versions(versions, sys.version_info[:3])
    if versions["playwright"]:
        choice = browsers.prepare(os.environ)
        yield check_browser(choice)
        if launch and choice.source != "missing":
            yield check_launch(os.environ)
        yield check_ffmpeg(choice)
    yield machine.check_shared_memory()
    yield machine.check_memory()
    yield machine.check_reaping()
    yield machine.check_pids()
    yield machine.check_open_files()
    yield machine.check_orphans()
    yield machine.check_profiles()
    yield from check_locust(versions["locust"])


def installed_versions() -> dict[str, str | None]:
    """Return the installed version of each package that matters, None for one that is missing."""
    names = (*_REQUIRED, "pytest-xdist", "locust")
    versions: dict[str, str | None] = dict.fromkeys(names)
    for name in names:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def check_versions(
    versions: Mapping[str, str | None], python: tuple[int, ...]
) -> Iterator[Finding]:
    """Find packages that are missing, and versions that are known to leak by themselves."""
    yield Finding("python", "ok", ".".join(map(str, python)))
    for name in _REQUIRED:
        if versions[name]:
            yield Finding(name, "ok", str(versions[name]))
        else:
            yield Finding(name, "fault", "is not installed", _REQUIRED_FIX)
    if versions["pytest-xdist"]:
        yield Finding("pytest-xdist", "ok", str(versions["pytest-xdist"]))
    else:
        fix = "pip install 'pytest-sentinel[xdist]' to spread tests over several workers"
        yield Finding("pytest-xdist", "ok", f"is not installed: one worker ({fix})")
    playwright = versions["playwright"]
    for leak in known_leaks(playwright, python) if playwright else ():
        yield Finding("known leaks", "warning", leak, "pip install --upgrade playwright")


def known_leaks(playwright: str, python: tuple[int, ...]) -> Iterator[str]:
    """Yield the leaks that this version of playwright-python has on this Python.

    From the issues and pull requests of microsoft/playwright-python that are named in each text.
    """
    release = tuple(int(part) for part in re.findall(r"\d+", playwright)[:2])
    if release <= (1, 55):
        yield f"playwright {playwright} keeps a callback for every traced call (#2977)"
    if release < (1, 65) and (3, 14, 0) <= python <= (3, 14, 6):
        yield (
            f"playwright {playwright} keeps a task for every synchronous call "
            f"on Python {'.'.join(map(str, python))} (#3148)"
        )
    if release < (1, 65):
        yield f"playwright {playwright} keeps a connection for every connect()"


def check_browser(choice: browsers.BrowserChoice) -> Finding:
    """Tell which Chromium a headless launch will run."""
    if choice.source == "missing":
        return Finding("browser", "fault", choice.reason, "sentinel install-browser")
    where = f" at {choice.executable}" if choice.executable else ""
    return Finding("browser", "ok", f"{choice.reason}{where}")


def check_ffmpeg(choice: browsers.BrowserChoice) -> Finding:
    """Tell whether videos can be recorded."""
    if choice.ffmpeg:
        return Finding("ffmpeg", "ok", str(choice.ffmpeg))
    if choice.executable is None and choice.source == "playwright":
        return Finding("ffmpeg", "ok", choice.reason)
    fix = "sentinel install-browser"
    return Finding("ffmpeg", "warning", "is not installed: --video records nothing", fix)


def check_launch(environ: Mapping[str, str], timeout: float = LAUNCH_TIMEOUT) -> Finding:
    """Launch Chromium and load a page, in a process of its own; ``timeout`` in seconds."""
    with tempfile.TemporaryDirectory(prefix="sentinel-doctor-") as scratch:
        process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH],
            # A browser that hangs leaves its profile; here it goes with the scratch directory.
            env={**environ, "TMPDIR": scratch},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                out, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                # A browser leads a session of its own: one group does not hold them all.
                for identity in filter(None, map(identify, tree(process.pid))):
                    kill_group(identity)
                out, err = process.communicate()
                detail = f"no page was loaded within {format_duration(timeout)}"
                return Finding("launch", "fault", detail, _launch_fix(detail))
    try:
        answer = json.loads(out)
    except ValueError:
        answer = {"error": err or f"exit status {process.returncode}"}
    if "error" in answer:
        cause = " ".join(_cause(answer["error"]).split())
        return Finding("launch", "fault", cause, _launch_fix(answer["error"]))
    milliseconds = {key: f"{answer[key] * 1000:.0f} ms" for key in ("driver", "browser")}
    return Finding(
        "launch",
        "ok",
        f"Chromium {answer['version']} showed a page in {milliseconds['browser']}, "
        f"its driver was up in {milliseconds['driver']}",
    )


def check_locust(version: str | None) -> Iterator[Finding]:
    """Tell of the names that Locust's own pytest plugin takes; nothing without Locust."""
    if version:
        yield Finding(
            "locust",
            "ok",
            f"{version}; its pytest plugin owns the option --host and the fixtures session and "
            "fastsession (a suite with names of its own runs with -p no:locust)",
        )


def table(findings: list[Finding]) -> Table:
    """Return the findings as a table for the terminal."""
    laid = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("check", "", "finding"):
        laid.add_column(title, no_wrap=title != "finding", overflow="fold")
    for finding in findings:
        colour = _COLOURS[finding.verdict]
        # Text, for a plain string would be read as markup: "pytest-sentinel[xdist]".
        told = Text(finding.detail)
        if finding.fix:
            told.append(f"\nfix: {finding.fix}", style="bold")
        laid.add_row(finding.check, Text(finding.verdict, style=colour), told)
    return laid


def as_json(findings: list[Finding]) -> str:
    """Return the findings as a JSON document, with ``healthy`` false when there is a fault."""
    rows = [dataclasses.asdict(finding) for finding in findings]
    return json.dumps({"healthy": is_healthy(findings), "findings": rows}, indent=2)


def is_healthy(findings: list[Finding]) -> bool:
    """Tell whether there is no fault; warnings are not faults."""
    return all(finding.verdict != "fault" for finding in findings)


def _cause(error: str) -> str:
    """Return the line that tells why: the loader's, else a traceback's last, else the first."""
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    for line in lines:
        if "error while loading shared libraries" in line:
            return line.partition("] ")[2] or line
    return lines[-1] if lines[0].startswith("Traceback") else lines[0]


def _launch_fix(error: str) -> str:
    if "shared libraries" in error or "missing dependencies" in error:
        return "playwright install-deps chromium, or sentinel install-browser --system"
    return "sentinel install-browser --system; DEBUG=pw:browser shows the browser's own output"
