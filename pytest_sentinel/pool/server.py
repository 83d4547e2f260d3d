"""One browser server: a Node process that holds one browser, and what is known of the two.

It decides nothing. It starts, answers, tells how it ended, and is ended; every wait has a limit.
The program it runs is ``browserserver.js``, with the Playwright that is installed.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytest_sentinel.errors import BrowserLaunchFailed
from pytest_sentinel.memory.processes import ProcessId, identify
from pytest_sentinel.pool.browserlog import launched_pid, read_log
from pytest_sentinel.pool.channel import ENVIRON, Channel
from pytest_sentinel.pool.passing import CAN_WATCH, Door
from pytest_sentinel.pool.serverprocesses import ServerProcesses
from pytest_sentinel.pool.tasks import Tasks

_SCRIPT = Path(__file__).with_name("browserserver.js")
_TAIL_LINES = 40
_LINE_LIMIT = 1024 * 1024
_EXITED_WITHIN = 0.5
_TERMINATED_WITHIN = 2.0
_KILLED_WITHIN = 5.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where clients of a browser server connect; ``path`` is its secret."""

    host: str
    port: int
    path: str
    tls: bool = False


@dataclass(frozen=True, slots=True)
class Recipe:
    """What every browser server of a pool is started with.

    Attributes:
        node: the Node program; ``package`` the Playwright package that it loads.
        environ: its environment.
        launch: Playwright's launch options.
        upstream: the address of a server that is already there; None to launch a browser.
        ping: seconds between two pings of a client's connection; None for no pings.
    """

    node: Path
    package: Path
    environ: Mapping[str, str]
    launch: Mapping[str, Any]
    upstream: str | None = None
    ping: float | None = None


class BrowserServer:
    """One browser, from its launch to the end of its last process.

    Attributes:
        processes: its own, the browser's, and theirs.
        door: where clients come in.
        ended: resolves with the cause when the browser has ended by itself.
    """

    def __init__(self, directory: Path) -> None:
        self.name = self.engine = ""
        self.directory = directory
        self.endpoint: Endpoint | None = None
        self.processes = ServerProcesses()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._popen: asyncio.subprocess.Process | None = None
        self._ready: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._asked = 0
        self._channel: Channel | None = None
        self.door: Door | None = None
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._readers = Tasks(lambda what, cause: self._lose_sight(f"{what} failed ({cause})"))

    @property
    def process(self) -> ProcessId | None:
        """The Node process; it leads a process group of its own."""
        return self.processes.server

    @property
    def browser(self) -> ProcessId | None:
        """The browser's main process; it leads another group. None with an upstream."""
        return self.processes.browser

    # Its beginning

    async def boot(self, recipe: Recipe) -> None:
        """Start its program, which loads Playwright meanwhile and waits for what to launch.

        Raises:
            BrowserLaunchFailed: there is no such program.
        """
        command = [str(recipe.node), str(_SCRIPT), str(recipe.package)]
        try:
            self.directory.mkdir(mode=0o700, parents=True)
            self._channel = channel = Channel(self._hear, self._lose)
            # A session of its own: Ctrl-C in a terminal ends the service, which ends this in order.
            self._popen = await asyncio.create_subprocess_exec(
                *command,
                env={**recipe.environ, **ENVIRON, "TMPDIR": os.fspath(self.directory)},
                stdin=channel.theirs.fileno(),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
                limit=_LINE_LIMIT,
            )
        except OSError as error:
            if self._channel is not None:
                self._channel.close()
            raise BrowserLaunchFailed("a browser server", str(error)) from error
        channel.begin()
        self.processes.server = identify(self._popen.pid)
        self._readers.begin("reading its answers", self._read_facts(self._popen))
        self._readers.begin("reading its output", self._read_output(self._popen))

    async def start(self, name: str, engine: str, recipe: Recipe, within: float) -> None:
        """Launch an ``engine``, and return when it serves.

        Raises:
            BrowserLaunchFailed: it did not ``within`` so many seconds, or could not.
        """
        self.name, self.engine = name, engine
        if self._popen is None:
            await self.boot(recipe)
        order = {
            "engine": engine,
            "options": dict(recipe.launch),
            "upstream": recipe.upstream,
            "ping": recipe.ping,
        }
        assert self._channel is not None
        with suppress(ConnectionError):  # its end says more
            self._channel.say({"launch": order})
        try:
            fact = await asyncio.wait_for(asyncio.shield(self._ready), within)
        except TimeoutError:
            cause = f"it did not start within {within:g} s"
            raise BrowserLaunchFailed(self.engine, cause, self.tail()) from None
        if "endpoint" not in fact:
            raise BrowserLaunchFailed(self.engine, *_explain(fact, self.tail()))
        self.endpoint = _parse(fact["endpoint"])
        if CAN_WATCH and fact["takes"]:
            self.door = Door(self._channel, self.endpoint.path)
        self.processes.browser = identify(fact["pid"]) if fact["pid"] else None
        await asyncio.to_thread(self.processes.look)

    def is_fresh(self) -> bool:
        """Tell whether it waits for its first and only launch."""
        return not self.name and not self.ended.done()

    def abort(self, why: str) -> None:
        """Let a start that is under way fail."""
        if not self._ready.done():
            self._ready.set_result({"error": why})

    # What it says

    def tail(self) -> str:
        """Return the last lines that the browser wrote, without what every Chromium says."""
        pid = self.browser.pid if self.browser else 0
        return "\n".join(read_log([f"[pid={pid}] {line}" for line in self._tail]).tail)

    async def ask(self, what: str, within: float, **facts: str) -> Any:
        """Return the answer to ``what``: contexts, dispose or probe.

        Raises:
            TimeoutError: there was no answer ``within`` so many seconds.
            ConnectionError: it is gone, or answered that it could not.
        """
        if self._channel is None:
            raise ConnectionError(f"{self.name} is gone")
        self._asked += 1
        number = self._asked
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            self._channel.say({"id": number, "ask": what, **facts})
            return await asyncio.wait_for(answer, within)
        finally:
            del self._answers[number]

    async def contexts(self, within: float) -> frozenset[str] | None:
        """Return the ids of all contexts but those of probes; None where nobody can tell."""
        found = await self.ask("contexts", within)
        return None if found is None else frozenset(found)

    def _hear(self, fact: dict[str, Any]) -> None:
        if self.door is not None:
            self.door.hear(fact)

    def _lose(self) -> None:
        if self.door is not None:
            self.door.close()

    async def _read_facts(self, popen: asyncio.subprocess.Process) -> None:
        assert popen.stdout is not None
        async for line in popen.stdout:
            try:
                fact = json.loads(line)
            except (ValueError, RecursionError):
                fact = None
            if not isinstance(fact, dict):
                self._tail.append(line.decode(errors="replace").rstrip())
                continue
            if "id" in fact:
                self._take_answer(fact)
            elif "ended" in fact:
                self._note_end(f"the browser died ({fact['ended']})")
            elif not self._ready.done():
                self._ready.set_result(fact)
        code = await popen.wait()
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        self._lose_sight(f"the browser server died ({how})", f"its server ended ({how})")

    def _lose_sight(self, cause: str, starting: str = "") -> None:
        """Take it for gone: nothing more will be heard of it."""
        if not self._ready.done():
            self._ready.set_result({"error": f"{starting or cause} while starting"})
        self._note_end(cause)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ConnectionError(f"{self.name} is gone"))

    async def _read_output(self, popen: asyncio.subprocess.Process) -> None:
        assert popen.stderr is not None
        while chunk := await popen.stderr.read(64 * 1024):
            self._tail.extend(chunk.decode(errors="replace").splitlines())

    def _take_answer(self, fact: dict[str, Any]) -> None:
        answer = self._answers.get(fact["id"])
        if answer is None or answer.done():
            return
        if "error" in fact:
            answer.set_exception(ConnectionError(fact["error"]))
        else:
            answer.set_result(fact["value"])

    def _note_end(self, cause: str) -> None:
        if not self.ended.done():
            self.ended.set_result(cause)

    # Its end

    async def end(self, *, kill: bool, within: float) -> None:
        """End it, politely ``within`` so many seconds unless ``kill``; return when all is gone."""
        if not self.ended.done():
            self.ended.cancel()
        await asyncio.to_thread(self.processes.look)
        if not kill and self._popen is not None and self._popen.returncode is None:
            with suppress(TimeoutError, ConnectionError):
                await self.ask("end", within)
            if not await self.processes.are_gone(_EXITED_WITHIN):
                self.processes.signal(signal.SIGTERM)
                await self.processes.are_gone(_TERMINATED_WITHIN)
        self.processes.signal(signal.SIGKILL)
        await self.processes.are_gone(_KILLED_WITHIN)
        if self._popen is not None:
            # Somebody stuck in the kernel must not keep the books from going on.
            if readers := self._readers.running():
                await asyncio.wait(readers, timeout=_KILLED_WITHIN)
            self._readers.cancel()
        if self._channel is not None:
            self._channel.close()
        await self.processes.reap()

    async def sweep(self) -> None:
        """Remove its files, after its end."""
        await asyncio.to_thread(shutil.rmtree, self.directory, ignore_errors=True)


def _explain(fact: Mapping[str, Any], tail: str) -> tuple[str, str]:
    """Return the cause of a failed launch in one line, and the browser's last words."""
    message = str(fact.get("error") or f"the browser ended while starting ({fact.get('ended')})")
    pid = launched_pid(message)
    log = read_log(message, pid)
    cause = message.strip().splitlines()[0]
    if log.ended is not None:
        cause = f"the browser process ended while starting ({log.ended})"
    return cause, "\n".join(log.tail) or tail


def _parse(address: str) -> Endpoint:
    parts = urlsplit(address)
    tls = parts.scheme == "wss"
    path = parts.path or "/"
    if parts.query:
        path += f"?{parts.query}"
    return Endpoint(parts.hostname or "", parts.port or (443 if tls else 80), path, tls)
