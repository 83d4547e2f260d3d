"""Ask the installed Playwright where it expects its browsers, once, and remember the answer.

Law: no path of Playwright's is written here that it could tell itself. Playwright is not imported
(that costs more than the question); its bundled Node is run, and what it said is kept in a file
under everything the answer depends on. A memory that cannot be read or written only costs time.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

CHROMIUM, SHELL, FFMPEG = "chromium", "chromium-headless-shell", "ffmpeg"
ENTRIES = (CHROMIUM, SHELL, "firefox", "webkit", FFMPEG)

_TIMEOUT = 30.0
_FILE = "playwright-paths.json"
_FORMAT = 1
_KEPT = 16  # answers for other versions and other homes; the oldest goes first

# The first source is how Playwright has been packed since 1.60, the second how it was before.
_QUESTION = """
const [root, ...names] = process.argv.slice(1);
const sources = [
  () => require(root + '/lib/coreBundle.js').registry.registry,
  () => require(root + '/lib/server/registry/index.js').registry,
];
let registry;
for (const source of sources) try { registry ??= source(); } catch {}
const answer = {};
for (const name of names) {
  const entry = registry.findExecutable(name);
  const path = entry?.executablePath('python');
  if (path) answer[name] = [entry.directory, [path]];
}
console.log(JSON.stringify(answer));
"""
# For a Playwright that answers `install --dry-run` only, which names directories: every layout
# there has been is expected then, and one that is not looked for does no harm.
_LAYOUTS = {
    CHROMIUM: ("chrome-linux64/chrome", "chrome-linux/chrome"),
    SHELL: ("chrome-headless-shell-linux64/chrome-headless-shell", "chrome-linux/headless_shell"),
    "firefox": ("firefox/firefox",),
    "webkit": ("pw_run.sh",),
    FFMPEG: ("ffmpeg-linux",),
}
_MISSING_LIBRARY = re.compile(r"error while loading shared libraries: .*")
_LOCATION = re.compile(r"^ *Install location: +(.+?) *$", re.MULTILINE)


class NodeDoesNotRun(OSError):
    """The machine lacks a library that Playwright's Node needs; the text is the loader's."""


class Driver(NamedTuple):
    """The Node program and the JavaScript package that the installed Playwright runs."""

    node: Path
    package: Path


class Entry(NamedTuple):
    """Where Playwright expects a browser: its directory, and the places of its executable."""

    directory: Path
    executables: tuple[Path, ...]

    def installed(self) -> Path | None:
        """Return the executable that is there, judged as Playwright does: it exists."""
        return next((path for path in self.executables if path.exists()), None)


@dataclass(slots=True)
class Memory:
    """What programs told about themselves in earlier runs; ``file`` None keeps nothing."""

    file: Path | None
    paths: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)
    changed: bool = False

    @classmethod
    def load(cls, folder: Path | None) -> Memory:
        """Read the memory kept in ``folder``; one that is absent, cut off or foreign is empty."""
        memory = cls(folder / _FILE if folder else None)
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            if memory.file:
                kept = json.loads(memory.file.read_bytes())
                if kept["format"] == _FORMAT:
                    memory.paths, memory.versions = dict(kept["paths"]), dict(kept["versions"])
        return memory

    def store(self) -> None:
        """Replace the file by what is known now, if that is more than before."""
        if not (self.changed and self.file):
            return
        newest = dict(list(self.paths.items())[-_KEPT:])
        kept = {"format": _FORMAT, "paths": newest, "versions": self.versions}
        # Written aside first, for others read it at any moment. overlay.py sweeps what a kill left.
        with (
            contextlib.suppress(OSError),
            tempfile.TemporaryDirectory(prefix=".unfinished-", dir=self.file.parent) as aside,
        ):
            fresh = Path(aside, _FILE)
            fresh.write_text(json.dumps(kept))
            fresh.replace(self.file)


def find_driver(environ: Mapping[str, str]) -> Driver | None:
    """Return the driver of the installed Playwright; None when there is no Playwright."""
    try:
        spec = importlib.util.find_spec("playwright")
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0], "driver")
    node = environ.get("PLAYWRIGHT_NODEJS_PATH") or folder / "node"
    return Driver(Path(node), folder / "package")


def expected_entries(
    driver: Driver, environ: Mapping[str, str], memory: Memory
) -> dict[str, Entry]:
    """Return where this Playwright, in this environment, expects each of ``ENTRIES`` it knows.

    Raises:
        NodeDoesNotRun: it cannot tell.
        OSError, subprocess.SubprocessError, ValueError: it did not tell.
    """
    key = _key(driver, environ)
    with contextlib.suppress(ValueError, TypeError):
        if known := _entries(memory.paths.get(key, {})):
            return known
    entries = _entries(answer := _ask(driver, environ))
    if not entries:
        raise ValueError("no browser is named")
    memory.paths[key] = answer
    memory.changed = True
    return entries


def _key(driver: Driver, environ: Mapping[str, str]) -> str:
    """Join all that the answer depends on: the package, and the variables Playwright reads."""
    status = (driver.package / "browsers.json").stat()
    names = ["PLAYWRIGHT_BROWSERS_PATH", "PLAYWRIGHT_HOST_PLATFORM_OVERRIDE"]
    names += [
        f"npm_{kind}_{name.lower()}" for name in names for kind in ("config", "package_config")
    ]
    values = [environ.get(name) for name in (*names, "HOME", "XDG_CACHE_HOME", "INIT_CWD")]
    # A relative path is taken from the working directory.
    relative = any(value and not os.path.isabs(value) for value in values)
    return json.dumps(
        [str(driver.package), status.st_mtime_ns, status.st_size, values]
        + ([os.getcwd()] if relative else [])
    )


def _entries(answer: Mapping[str, Any]) -> dict[str, Entry]:
    return {
        name: Entry(Path(directory), tuple(Path(path) for path in paths))
        for name, (directory, paths) in answer.items()
    }


def _ask(driver: Driver, environ: Mapping[str, str]) -> dict[str, Any]:
    question = ["--input-type=commonjs", "-e", _QUESTION, str(driver.package), *ENTRIES]
    asked = _run_node(driver, question, environ)
    if asked.returncode == 0:
        with contextlib.suppress(ValueError, IndexError):
            answer: dict[str, Any] = json.loads(asked.stdout.splitlines()[-1])
            return answer
    asked = _run_node(driver, [str(driver.package / "cli.js"), "install", "--dry-run"], environ)
    if missing := _MISSING_LIBRARY.search(asked.stderr):
        raise NodeDoesNotRun(missing[0])
    asked.check_returncode()
    answer = {}
    for directory in _LOCATION.findall(asked.stdout):
        name = Path(directory).name.rpartition("-")[0].replace("_", "-")
        if name in _LAYOUTS:
            answer[name] = [directory, [f"{directory}/{path}" for path in _LAYOUTS[name]]]
    return answer


def _run_node(
    driver: Driver, arguments: list[str], environ: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(driver.node), *arguments],
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
        check=False,
    )
