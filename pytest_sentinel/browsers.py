"""Find a browser for Playwright; where its own is missing, let one of the system stand in.

Law: what is really installed is never overruled, and no script ever stands in for a browser (the
launched pid would be the shell's). Must run before Playwright's driver starts. Launches no
browser, imports nothing heavy: every pytest run pays for a warm call.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pytest_sentinel import overlay
from pytest_sentinel.driver import (
    CHROMIUM,
    FFMPEG,
    SHELL,
    Entry,
    Memory,
    NodeDoesNotRun,
    expected_entries,
    find_driver,
)

_FIX = "run `sentinel install-browser`"
_OTHERS = ("firefox", "webkit")
_SHELLS = (SHELL, "chrome-headless-shell", "headless_shell")
_BROWSERS = (CHROMIUM, "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

_ASSIGNMENT = re.compile(r"""^\s*(?:export\s+)?(\w+)=["']?([\w./${}+-]*)["']?\s*$""", re.MULTILINE)
_PATH_WORD = re.compile(r"[\w./${}+-]*/[\w.${}+-]+")
_REFERENCE = re.compile(r"\$\{?(\w+)\}?")
_SCRIPT_LIMIT = 64 * 1024
_NESTING = 3  # a wrapper of an image around a wrapper of the distribution around the binary


@dataclass(frozen=True, slots=True)
class BrowserChoice:
    """What headless Chromium will be, and why.

    Attributes:
        executable: the binary a headless launch will run; None when there is none, or unknown.
        source: whose it is; "playwright" also where all is left to Playwright.
        reason: one plain sentence for the pytest header.
        overlay: the registry that was laid; None when Playwright's own is used as it is.
        ffmpeg: the binary that records videos.
        notes: what else a careful reader wants to know.
        engines: what each engine will be that is not headless Chromium; ``chromium`` is headed.
    """

    executable: Path | None
    source: Literal["playwright", "system", "missing"]
    reason: str
    overlay: Path | None = None
    ffmpeg: Path | None = None
    notes: tuple[str, ...] = ()
    engines: Mapping[str, str] = field(default_factory=dict)

    def of_run(self, engines: Sequence[str], channel: str | None, *, headed: bool) -> str:
        """Return what runs with these options, in one line.

        Args:
            engines: those of ``--browser``; none means Chromium.
            channel: that of ``--browser-channel``.
            headed: with a window.
        """
        told = {name: self._named(name, channel, headed) for name in engines or (CHROMIUM,)}
        if len(told) == 1:
            return next(iter(told.values()))
        return "; ".join(text if name in text else f"{name}: {text}" for name, text in told.items())

    def _named(self, engine: str, channel: str | None, headed: bool) -> str:
        if channel:
            text = f"{engine} of channel {channel}"
        elif engine == CHROMIUM and not headed:
            return self.reason
        else:
            text = self.engines.get(engine, f"{engine}, left to Playwright")
        return f"{text}, headed" if headed else text


def prepare(environ: MutableMapping[str, str], cache_dir: Path | None = None) -> BrowserChoice:
    """Choose the browser, and point ``environ`` to an overlay registry where one is needed.

    Never raises for what it finds: a run must start, and Playwright explains a missing browser.
    """
    if not sys.platform.startswith("linux"):
        return _left_alone("browsers of the system are looked for on Linux only")
    overlay.uncover(environ)
    driver = find_driver(environ)
    if driver is None:
        return BrowserChoice(None, "missing", "Playwright is not installed")
    memory = Memory.load(next(overlay.cache_folders(environ, cache_dir), None))
    try:
        expected = expected_entries(driver, environ, memory)
        stand_ins = _find_stand_ins(expected, environ)
    except NodeDoesNotRun as error:
        return BrowserChoice(None, "missing", f"Playwright's Node does not start: {error} ({_FIX})")
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return _left_alone(f"it did not tell its paths ({error})")
    problem = ""
    laid = None
    if stand_ins:
        laid, problem = _lay(expected, stand_ins, environ, cache_dir)
    if laid:
        environ[overlay.VARIABLE] = str(laid)
    else:
        stand_ins = {}
    choice = _describe(expected, stand_ins, laid, memory)
    memory.store()
    if not problem:
        return choice
    reason = problem if choice.source == "missing" else choice.reason
    return replace(choice, reason=reason, notes=(*choice.notes, problem))


def real_binary(command: Path, names: Collection[str]) -> Path | None:
    """Return the ELF binary behind ``command``, reading through wrapper scripts; None if unsure.

    Args:
        command: a binary, a link or a shell script.
        names: how the binary may be called. ``/snap/bin/chromium`` is a link to ``snap``, which
            under another name would be no browser at all.
    """
    return _behind(command, names, _NESTING)


def _behind(command: Path, names: Collection[str], nesting: int) -> Path | None:
    try:
        real = command.resolve(strict=True)
        if not (nesting and real.is_file() and os.access(real, os.X_OK)):
            return None
        with real.open("rb") as file:
            start = file.read(_SCRIPT_LIMIT)
    except (OSError, RuntimeError):  # RuntimeError: links in a circle
        return None
    if start.startswith(b"\x7fELF"):
        return real if real.name in names else None
    if not start.startswith(b"#!"):
        return None
    text = start.decode(errors="replace")
    values: dict[str, str] = dict(_ASSIGNMENT.findall(text))

    def value(reference: re.Match[str]) -> str:
        # What a script computes, it computes from its own place: Chrome's HERE.
        return values.get(reference[1], str(real.parent))

    for word in _PATH_WORD.findall(text):
        for _ in range(_NESTING):
            word = _REFERENCE.sub(value, word)
        if Path(word).name not in names:
            continue
        for place in (Path(word), real.parent / Path(word).name):
            other = place.is_absolute() and place not in (command, real)
            if other and (binary := _behind(place, names, nesting - 1)):
                return binary
    return None


def _on_this_machine(
    commands: Iterable[str], names: Collection[str], environ: Mapping[str, str]
) -> Path | None:
    for command in commands:
        hit = shutil.which(command, path=environ.get("PATH", os.defpath))
        if hit and (binary := real_binary(Path(hit), names)):
            return binary
    return None


def _find_stand_ins(expected: Mapping[str, Entry], environ: Mapping[str, str]) -> dict[str, Path]:
    """Return a binary for each entry that is missing and that something here can stand in for."""

    def missing(name: str) -> bool:
        return name in expected and not expected[name].installed()

    found: dict[str, Path | None] = {}
    if missing(FFMPEG):
        found[FFMPEG] = _on_this_machine([FFMPEG], [FFMPEG], environ)
    if missing(CHROMIUM):
        # Never a headless shell: this entry also serves headed launches.
        found[CHROMIUM] = _on_this_machine(_BROWSERS, _BROWSERS, environ)
    if missing(SHELL):
        found[SHELL] = (
            _on_this_machine(_SHELLS, _SHELLS, environ)
            or (expected[CHROMIUM].installed() if CHROMIUM in expected else None)
            or _on_this_machine(_BROWSERS, _BROWSERS, environ)
        )
    return {name: binary for name, binary in found.items() if binary}


def _lay(
    expected: Mapping[str, Entry],
    stand_ins: Mapping[str, Path],
    environ: Mapping[str, str],
    cache_dir: Path | None,
) -> tuple[Path | None, str]:
    """Lay an overlay in the first folder that takes it; else return None and what went wrong."""
    places = {
        place: binary for name, binary in stand_ins.items() for place in expected[name].executables
    }
    registry = expected[next(iter(stand_ins))].directory.parent
    problem: object = "no folder can be written"
    for folder in overlay.cache_folders(environ, cache_dir):
        try:
            return overlay.lay(folder, registry, places, environ.get(overlay.VARIABLE)), ""
        except OSError as error:
            problem = error
    return None, f"no registry could be laid for the browsers of the system: {problem}"


def _describe(
    expected: Mapping[str, Entry],
    stand_ins: Mapping[str, Path],
    laid: Path | None,
    memory: Memory,
) -> BrowserChoice:
    own = {name: entry.installed() for name, entry in expected.items()}

    def find(name: str) -> Path | None:
        return stand_ins.get(name) or own.get(name)

    headless = SHELL if SHELL in expected else CHROMIUM  # before 1.49 there was no shell
    executable, ffmpeg = find(headless), find(FFMPEG)
    source: Literal["playwright", "system", "missing"]
    if executable is None:
        source, reason = "missing", f"no Chromium, Playwright's or the system's: {_FIX}"
    elif headless not in stand_ins:
        source, reason = "playwright", "Playwright's own"
    elif executable == own.get(CHROMIUM):
        source, reason = "playwright", "Playwright's own chromium (its headless shell is missing)"
    else:
        title = _title(executable, memory)
        source, reason = "system", f"{title} (Playwright's own is not installed)"
    notes = []
    if ffmpeg is None:
        notes.append(f"videos cannot be recorded without ffmpeg: {_FIX}")
    elif FFMPEG in stand_ins:
        notes.append(f"videos are recorded with {ffmpeg}")
    if headless == SHELL and executable and find(CHROMIUM) is None:
        notes.append("headed launches need a full Chromium, and there is none")
    elif CHROMIUM in stand_ins and headless == SHELL:
        notes.append(f"headed launches run {_title(stand_ins[CHROMIUM], memory)}")
    engines = {
        name: f"Playwright's own {name}"
        if own[name]
        else f"{name} is not installed (`playwright install {name}`)"
        for name in (CHROMIUM, *_OTHERS)
        if name in own
    }
    if CHROMIUM in stand_ins:
        engines[CHROMIUM] = (
            f"{_title(stand_ins[CHROMIUM], memory)} (Playwright's own is not installed)"
        )
    return BrowserChoice(executable, source, reason, laid, ffmpeg, tuple(notes), engines)


def _title(binary: Path, memory: Memory) -> str:
    """Name a binary as people do: "Debian's chromium 156", "Google Chrome 156"."""
    try:
        status = binary.stat()
    except OSError:
        return str(binary)
    stamp = [status.st_mtime_ns, status.st_size]
    known = memory.versions.get(str(binary))
    if not (isinstance(known, list) and known[:2] == stamp and len(known) == 3):
        known = [*stamp, _major_version(binary)]
        memory.versions[str(binary)] = known
        memory.changed = True
    if binary.is_relative_to("/opt/google"):
        owner = "Google Chrome"
    elif binary.is_relative_to("/usr") and not binary.is_relative_to("/usr/local"):
        owner = f"{_distribution()}'s {binary.name}"
    else:
        owner = str(binary)
    return f"{owner} {known[2]}".rstrip()


def _major_version(binary: Path) -> str:
    try:
        told = subprocess.run(
            [str(binary), "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    number = re.search(r"(\d+)\.\d+", told.stdout)
    return number[1] if number else ""


def _distribution() -> str:
    try:
        name = re.search(r'^NAME="?(\w+)', Path("/etc/os-release").read_text(), re.MULTILINE)
    except OSError:
        name = None
    return name[1] if name else "the system"


def _left_alone(why: str) -> BrowserChoice:
    return BrowserChoice(None, "playwright", f"left to Playwright: {why}")
