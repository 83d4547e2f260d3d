"""`sentinel install-browser`: get a browser and an ffmpeg, from Playwright or from apt.

Law: what is usable is left as it is, and success is what a second look finds, not what an
installer claims. Installers write straight to the terminal, so that their progress is seen.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import suppress

from pytest_sentinel import browsers, overlay
from pytest_sentinel.driver import CHROMIUM, FFMPEG, Memory, expected_entries, find_driver
from pytest_sentinel.errors import InstallationFailed
from pytest_sentinel.memory.processes import identify, kill_group, tree
from pytest_sentinel.units import format_duration

# libatomic1: Playwright's Node needs it, and no package of a small Debian brings it along.
PACKAGES = ("chromium-headless-shell", "ffmpeg", "libatomic1")
TIMEOUT = 900.0


def install(
    engine: str,
    environ: MutableMapping[str, str],
    say: Callable[[str], None],
    *,
    system: bool = False,
    timeout: float = TIMEOUT,
) -> str:
    """Make ``engine`` and an ffmpeg usable, and return one sentence on what is there now.

    Args:
        engine: "chromium", "firefox" or "webkit".
        environ: where tools are looked for; an overlay of ours is taken out of it, so that
            Playwright installs into its real registry.
        say: takes one line of progress.
        system: take the system's packages, and do not try Playwright's download.
        timeout: seconds that each installer may take.

    Raises:
        InstallationFailed: nothing worked; the message has each attempt with its end.
    """
    overlay.uncover(environ)
    missing, found = look(engine, environ)
    if not missing:
        return f"nothing to do: {found}"
    say(f"missing: {missing}")
    attempts = []
    for title, commands in _installers(engine, environ, system=system):
        say(f"trying: {title}")
        problem = next(filter(None, (_run(one, environ, timeout) for one in commands)), "")
        missing, found = look(engine, environ)
        if not missing:
            return found
        attempts.append((title, problem or f"it ended well, and yet there is no {missing}"))
        say(f"failed: {attempts[-1][1]}")
    raise InstallationFailed(missing, attempts)


def look(engine: str, environ: MutableMapping[str, str]) -> tuple[str, str]:
    """Return what ``engine`` still lacks ("" for nothing), and a sentence on what there is."""
    if engine == CHROMIUM:
        choice = browsers.prepare(dict(environ))
        if choice.executable or choice.source == "missing":
            lacking = [] if choice.executable else [CHROMIUM]
            lacking += [] if choice.ffmpeg else [FFMPEG]
            return " and ".join(lacking), choice.reason
    # Else only Playwright's own will do: its Firefox and WebKit are patched.
    driver = find_driver(environ)
    if driver is None:
        return engine, "Playwright is not installed"
    with suppress(OSError, ValueError, subprocess.SubprocessError):
        path = expected_entries(driver, environ, Memory(None))[engine].installed()
        return ("" if path else engine), f"Playwright's own {engine} at {path}"
    return engine, "Playwright does not tell its paths"


def _installers(
    engine: str, environ: Mapping[str, str], *, system: bool
) -> Iterator[tuple[str, list[list[str]]]]:
    """Yield each way to install, as a title and its commands, the better one first."""
    if not system and find_driver(environ):
        command = [sys.executable, "-m", "playwright", "install", engine]
        yield f"playwright install {engine}", [command]
    apt = shutil.which("apt-get", path=environ.get("PATH", os.defpath))
    if engine == CHROMIUM and apt:
        apt_get = [*_as_root(environ), apt]
        command = [*apt_get, "install", "-y", *PACKAGES]
        yield f"apt-get install -y {' '.join(PACKAGES)}", [command]
        # A fresh container has no package lists; elsewhere they may be too old to download by.
        yield "the same after apt-get update", [[*apt_get, "update"], command]


def _as_root(environ: Mapping[str, str]) -> list[str]:
    sudo = shutil.which("sudo", path=environ.get("PATH", os.defpath))
    if os.geteuid() == 0 or sudo is None:
        return []
    # Without a terminal nobody can type a password, and sudo would wait for one.
    return [sudo] if sys.stdin.isatty() else [sudo, "--non-interactive"]


def _run(command: list[str], environ: Mapping[str, str], timeout: float) -> str:
    """Run ``command`` on our own terminal; return what went wrong, "" for nothing."""
    try:
        with subprocess.Popen(command, env=dict(environ)) as process:
            try:
                status = process.wait(timeout)
            except subprocess.TimeoutExpired:
                return f"it did not end within {format_duration(timeout)}"
            finally:
                if process.poll() is None:
                    for identity in filter(None, map(identify, tree(process.pid))):
                        with suppress(PermissionError):  # what sudo started is root's
                            kill_group(identity)
    except OSError as error:
        return str(error)
    return f"it ended with status {status}" if status else ""
