"""Start the reaper, and tell it what this process owns.

The reaper (``reaper.sh``) survives a kill -9 of this process and ends what it leaves: Playwright's
driver, browsers, their directories. It is started with the first of them and ends by itself when
this process does. Children that this process forks do not keep it waiting.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pytest_sentinel.memory.processes import ProcessId, leads_group
from pytest_sentinel.pool.disowning import disown_in_children

_SCRIPT = Path(__file__).with_name("reaper.sh")
_DONE_WITHIN = 15.0  # it waits 7.6 s at most, and a busy machine takes its time


class Reaper:
    """The one reaper of this process; does nothing where there is no /proc."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owned: dict[ProcessId, tuple[str, ...]] = {}
        disown_in_children(self)

    @property
    def pid(self) -> int | None:
        """The reaper's own pid while it runs."""
        return self._process.pid if self._process is not None else None

    def adopt(self, process: ProcessId, *directories: str | None) -> None:
        """Have ``process``, its group and its directories ended when this process dies."""
        if process in self._owned:
            return
        # The script keeps its list in words; a directory with a space in it is left to the system.
        kept = tuple(path for path in directories if path and not set(path) & set(" \t\n"))
        self._owned[process] = kept
        self._say(_adoption(process, kept))

    def release(self, process: ProcessId) -> None:
        """Forget ``process``: it has ended in good order."""
        if self._owned.pop(process, None) is not None:
            self._say(f"- {process.pid}\n")

    def disown(self) -> None:
        """In a forked child: let go of the parent's reaper, which must see the parent's end."""
        process, self._process = self._process, None
        self._owned.clear()
        if process is not None:
            assert process.stdin is not None
            with suppress(OSError):
                process.stdin.close()
            process.returncode = 0  # not a child of this process: nothing to wait for

    def close(self) -> None:
        """Let the reaper see the end of its input, and wait until it has finished its work."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            self._process.wait(_DONE_WITHIN)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._process = None

    def _say(self, line: str) -> None:
        if not sys.platform.startswith("linux"):
            return
        if self._process is None:
            # In a session of its own: Ctrl-C ends the test process, and the reaper must outlive it.
            # Without a buffer: nothing is left in it for a forked child to write once more.
            self._process = subprocess.Popen(
                [*_told_of_our_death(), "/bin/sh", os.fspath(_SCRIPT), str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                bufsize=0,
            )
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode())
        except OSError:
            # Somebody killed the reaper: start another, and tell it everything once more.
            with suppress(OSError):
                self._process.stdin.close()
            self._process.wait()
            self._process = None
            if self._owned:
                self._say("".join(_adoption(*entry) for entry in self._owned.items()))


def _told_of_our_death() -> list[str]:
    """Return a prefix to a command that has the kernel signal it when we die, where there is one.

    Python closes our end of the pipe in the children that it forks. A library that forks by itself
    does not, and its child would hold the pipe open for as long as it lives.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "USR1", "--"] if setpriv is not None else []


def _adoption(process: ProcessId, directories: Sequence[str]) -> str:
    verb = "+" if leads_group(process) else "="
    return "".join(
        f"{verb} {process.pid} {process.started} {path}\n" for path in directories or ("-",)
    )
