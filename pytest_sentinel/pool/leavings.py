"""What a browser that is killed leaves in the temporary directory, by its build.

Every Chromium: a profile that Playwright made (``playwright_*``). A full Chromium or Chrome: also
the directory of its singleton socket, which lies outside the profile because a socket's path must
be short; only a link in the profile names it. Law: what is named by nobody is left alone, for it
may belong to the browser in which somebody reads the news.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

_OWN_PROFILE = "playwright_"
_SINGLETON = "SingletonSocket"
_SINGLETON_DIRECTORIES = ("org.chromium.", ".org.chromium.", "com.google.Chrome.")


def profile_of(pid: int) -> str | None:
    """Return the profile directory on the command line of a browser's main process."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return None
    for index, word in enumerate(words):
        if word.startswith("--user-data-dir="):
            return word.partition("=")[2]
        if word == "-profile" and index + 1 < len(words):
            return words[index + 1]
    return None


def is_own(profile: str) -> bool:
    """Tell whether Playwright made this profile, for one browser."""
    return Path(profile).name.startswith(_OWN_PROFILE)


def leavings_of(profile: str | None) -> tuple[str, ...]:
    """Return the directories that the browser with this profile would leave; it must be alive."""
    if profile is None:
        return ()
    found = [profile] if is_own(profile) else []
    try:
        socket = Path(os.readlink(Path(profile, _SINGLETON)))
    except OSError:
        return tuple(found)
    directory = socket.parent
    if socket.name == _SINGLETON and directory.name.startswith(_SINGLETON_DIRECTORIES):
        found.append(str(directory))
    return tuple(found)


def remove(directories: Iterable[str]) -> None:
    """Remove what a browser that is gone has left."""
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)
