"""Lay a browser registry of our own over Playwright's: real entries linked, missing ones stood in.

Law: nobody ever sees half an overlay. It is filled under another name and renamed into place, its
name is the hash of all it holds, and it is looked over again each time it is used.
Which browsers stand in for what is decided elsewhere; this file only writes directories.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from pathlib import Path

VARIABLE = "PLAYWRIGHT_BROWSERS_PATH"

_MANIFEST = "sentinel-overlay.json"
# `playwright install` skips an entry that holds this file, and its clean-up removes those without.
_MARKER = "INSTALLATION_COMPLETE"
_NOT_LINKED = frozenset({".links", "__dirlock", _MANIFEST})
_UNUSED_AFTER = 30 * 86400.0
_NAME = "registry-"
_UNFINISHED = ".unfinished-"


def cache_folders(environ: Mapping[str, str], cache_dir: Path | None) -> Iterator[Path]:
    """Yield the folders that may keep our files, best first; one is made when it is asked for.

    The first is below ``cache_dir`` (or ``XDG_CACHE_HOME``, or ``~/.cache``), the second a private
    one in the temporary directory, for a home that is missing or read-only.
    """
    configured = environ.get("XDG_CACHE_HOME", "")
    if cache_dir is None and os.path.isabs(configured):
        cache_dir = Path(configured)
    home = environ.get("HOME") or os.path.expanduser("~")
    folder = (cache_dir or Path(home, ".cache")) / "pytest-sentinel"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            yield folder
    with contextlib.suppress(OSError):
        private = Path(tempfile.gettempdir(), f"pytest-sentinel-{os.getuid()}")
        private.mkdir(mode=0o700, exist_ok=True)
        status = private.lstat()
        # Anybody can make this name in a shared temporary directory, and what lies in it is run.
        ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
        if ours and not status.st_mode & 0o022:
            yield private


def uncover(environ: MutableMapping[str, str]) -> None:
    """Take an overlay of ours out of ``environ``, so that it names the real registry again."""
    path = environ.get(VARIABLE)
    if not path:
        return
    try:
        configured = json.loads(Path(path, _MANIFEST).read_bytes())["configured"]
    except (OSError, ValueError, LookupError, TypeError):
        return  # no overlay of ours
    if configured is None:
        del environ[VARIABLE]
    else:
        environ[VARIABLE] = configured


def lay(
    folder: Path, registry: Path, stand_ins: Mapping[Path, Path], configured: str | None
) -> Path:
    """Return an overlay of ``registry`` in ``folder``, building or rebuilding it where needed.

    Args:
        folder: where overlays are kept; it must be writable.
        registry: the real registry; it need not exist.
        stand_ins: the paths that Playwright expects, each with the binary that takes its place.
        configured: the user's own ``PLAYWRIGHT_BROWSERS_PATH``, for ``uncover``.

    Raises:
        OSError: the folder cannot be written.
    """
    places = {path.relative_to(registry): binary for path, binary in stand_ins.items()}
    covered = {place.parts[0] for place in places}
    links = {str(place): str(binary) for place, binary in places.items()}
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(registry) as found:
        links.update({e.name: e.path for e in found if e.name not in covered | _NOT_LINKED})
    manifest = json.dumps({"configured": configured, "links": links}, sort_keys=True)
    overlay = folder / f"{_NAME}{hashlib.sha256(manifest.encode()).hexdigest()[:16]}"
    marks = [str(Path(entry, _MARKER)) for entry in covered]

    def is_sound() -> bool:
        return _is_sound(overlay, manifest, links, marks)

    if is_sound():
        with contextlib.suppress(OSError):
            os.utime(overlay)  # keeps it from being swept
        return overlay
    with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=folder) as unfinished:
        fresh = Path(unfinished, "registry")
        fresh.mkdir(mode=0o700)
        for place, target in links.items():
            link = fresh / place
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)
        for mark in marks:
            (fresh / mark).touch()
        (fresh / _MANIFEST).write_text(manifest)
        _put_in_place(fresh, overlay, Path(unfinished, "stale"), is_sound)
    _sweep(folder)
    return overlay


def _is_sound(overlay: Path, manifest: str, links: Mapping[str, str], marks: list[str]) -> bool:
    """Tell whether ``overlay`` holds all that it should; Playwright may have added more."""
    try:
        return (
            (overlay / _MANIFEST).read_text() == manifest
            and all(os.readlink(overlay / place) == target for place, target in links.items())
            and all((overlay / mark).exists() for mark in marks)
        )
    except OSError:
        return False


def _put_in_place(fresh: Path, overlay: Path, stale: Path, is_sound: Callable[[], bool]) -> None:
    """Rename ``fresh`` to ``overlay``, moving aside a damaged one that holds the name.

    Runs that do this at once bring equal overlays: the first wins, the others use his.
    """
    for damaged in (overlay, None):
        try:
            fresh.rename(overlay)
            return
        except OSError:
            if is_sound():
                return
            if damaged is None:
                raise
            with contextlib.suppress(FileNotFoundError):  # another run has just moved it aside
                damaged.rename(stale)


def _sweep(folder: Path) -> None:
    """Remove overlays, and unfinished ones, that no run has used for a month."""
    limit = time.time() - _UNUSED_AFTER
    for path in [*folder.glob(f"{_NAME}*"), *folder.glob(f"{_UNFINISHED}*")]:
        with contextlib.suppress(OSError):
            if path.lstat().st_mtime < limit:
                shutil.rmtree(path)
