"""Start the reaper, and tell it what this process owns.

The reaper (``reaper.sh``) survives a kill -9 of this process and ends the browsers that it
leaves. It is started with the first browser and ends by itself when this process does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from pytest_sentinel.memory.processes import ProcessId

_SCRIPT = Path(__file__).with_name("reaper.sh")


class Reaper:
    """The one reaper of this process; does nothing where there is no /proc."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owned: dict[ProcessId, str] = {}

    @property
    def pid(self) -> int | None:
        """The reaper's own pid while it runs."""
        return self._process.pid if self._process is not None else None

    def adopt(self, process: ProcessId, directory: str | None) -> None:
        """Have ``process``, its group and its profile directory ended when this process dies."""
        if process in self._owned:
            return
        # The script keeps its list in words; a directory with a space in it is left to the system.
        kept = directory if directory and not set(directory) & set(" \t\n") else "-"
        self._owned[process] = kept
        self._say(_adoption(process, kept))

    def release(self, process: ProcessId) -> None:
        """Forget ``process``: it has ended in good order."""
        if self._owned.pop(process, None) is not None:
            self._say(f"- {process.pid}\n")

    def close(self) -> None:
        """Let the reaper see the end of its input, and wait until it has finished its work."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            self._process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._process = None

    def _say(self, line: str) -> None:
        if not sys.platform.startswith("linux"):
            return
        if self._process is None:
            # In a session of its own: Ctrl-C ends the test process, and the reaper must outlive it.
            self._process = subprocess.Popen(
                ["/bin/sh", os.fspath(_SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()
        except OSError:
            # Somebody killed the reaper: start another, and tell it everything once more.
            with suppress(OSError):
                self._process.stdin.close()
            self._process.wait()
            self._process = None
            if self._owned:
                self._say("".join(_adoption(*entry) for entry in self._owned.items()))


def _adoption(process: ProcessId, directory: str) -> str:
    return f"+ {process.pid} {process.started} {directory}\n"
