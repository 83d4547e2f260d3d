"""The process beside a Locust worker that drives its browsers: asyncio, Playwright, no gevent.

``python -m pytest_sentinel.load.sidecar FD`` speaks wire.py on a socket that it inherits. Law: it
lives as long as that socket. When its worker closes it or dies, every iteration is cancelled and
every browser ended; a worker's death ends it even where its own code hangs.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from pytest_sentinel.browsers import prepare
from pytest_sentinel.errors import LocustfileError, SentinelError, WireError
from pytest_sentinel.load import wire
from pytest_sentinel.load.artifacts import Artifacts
from pytest_sentinel.load.histogram import Histogram
from pytest_sentinel.load.localpool import LocalPool
from pytest_sentinel.load.locustfile import UNPATCHED, Found, import_file, scenarios_in
from pytest_sentinel.load.nodedriver import NodeDriver
from pytest_sentinel.load.parentdeath import ask_for_signal
from pytest_sentinel.load.plan import default_slots
from pytest_sentinel.load.remotepool import RemotePool
from pytest_sentinel.load.scenario import Iteration, Result
from pytest_sentinel.load.steps import StepResult, failure_of, stand_in
from pytest_sentinel.memory.host import available_memory
from pytest_sentinel.memory.processes import identify, read_memory
from pytest_sentinel.pool.reaper import Reaper
from pytest_sentinel.pool.scratch import Scratch, remove_leftovers
from pytest_sentinel.pool.subreaper import adopt_orphans

_LAG_EVERY: Final = 0.1
_FIGURES_EVERY: Final = 1.0
_WEIGH_EVERY: Final = 5  # figures
_ENDED_WITHIN: Final = 10.0

log = logging.getLogger("pytest_sentinel.load")


class Sidecar:
    """What one worker asked for, and how far it is.

    Args:
        setup: the worker's first message.
        scenarios: by name, what it may ask for.
        writer: takes messages to the worker.
        reaper: ends browsers that a kill -9 of this process would leave.
    """

    def __init__(
        self, setup: wire.Setup, scenarios: dict[str, Found], writer: Any, reaper: Reaper
    ) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        slots = setup.slots or default_slots(cores, available_memory(), setup.share)
        self._setup = setup
        self._scenarios = scenarios
        self._writer = writer
        self._driver = NodeDriver(reaper, os.environ.get("TMPDIR"))
        self.local = LocalPool(
            slots, self._driver, reaper, headed=setup.headed, launch_args=tuple(setup.launch_args)
        )
        self._remote: dict[str, RemotePool] = {}
        self._iterations: dict[int, asyncio.Task[None]] = {}
        self._persons: dict[tuple[int, type], Any] = {}
        self._states: dict[int, Any] = {}
        self._artifacts = Artifacts(Path(setup.artifacts), str(os.getpid()))
        self._lag = Histogram()

    def take(self, message: wire.Message) -> bool:
        """Do what the worker asks; False when it asks for the end."""
        match message:
            case wire.Run():
                task = asyncio.create_task(self._run(message))
                self._iterations[message.iteration] = task
                task.add_done_callback(lambda _: self._iterations.pop(message.iteration, None))
            case wire.Cancel(iteration):
                if iteration in self._iterations:
                    self._iterations[iteration].cancel()
            case wire.Leave(user):
                self._states.pop(user, None)
                for key in [key for key in self._persons if key[0] == user]:
                    del self._persons[key]
            case wire.Close():
                return False
            case _:
                raise WireError(f"a worker that says {type(message).__name__}")
        return True

    async def keep_watch(self) -> None:
        """Tell the worker at intervals how things are, until cancelled."""
        loop = asyncio.get_running_loop()
        memory: dict[str, int] = {}
        number, due = 0, loop.time() + _FIGURES_EVERY
        while True:
            before = loop.time()
            await asyncio.sleep(_LAG_EVERY)
            self._lag.add(loop.time() - before - _LAG_EVERY)
            if loop.time() < due:
                continue
            due = loop.time() + _FIGURES_EVERY
            if number % _WEIGH_EVERY == 0:
                memory = await self.local.weigh()
                memory["sidecar"] = await asyncio.to_thread(_own_memory)
            number += 1
            self._say(self._figures(memory))

    async def aclose(self) -> None:
        """End every iteration and every browser."""
        for task in self._iterations.values():
            task.cancel()
        if self._iterations:
            await asyncio.wait(set(self._iterations.values()), timeout=_ENDED_WITHIN)
        await self.local.aclose()
        await self._driver.aclose()

    def _figures(self, memory: dict[str, int]) -> wire.Figures:
        slots, waiting = self.local.figures()
        busy, possible = self.local.use()
        lag, self._lag = self._lag, Histogram()
        waiting += sum(pool.waiting for pool in self._remote.values())
        running = len(self._iterations)
        counters = self.local.counters()
        return wire.Figures(slots, waiting, running, busy, possible, lag, memory, counters)

    async def _run(self, run: wire.Run) -> None:
        """Run one iteration, and tell how it ended; one that is cancelled tells nothing."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        started_at: float | None = None
        found = self._scenarios.get(run.scenario)
        if found is None:
            why = LocustfileError(", ".join(self._setup.files), f"has no task {run.scenario}")
            self._say(wire.Ended(run.iteration, "infrastructure", 0.0, 0.0, failure_of(why)))
            return
        try:
            pool = self._pool(run.pool)
            async with pool.seat(found.terms.browser, found.terms.lease_timeout) as seat:
                started_at = loop.time()
                result = await self._iterate(run, found).on(seat)
                ended_at = loop.time()
        except SentinelError as error:
            result, ended_at = Result("infrastructure", failure_of(error)), loop.time()
        except Exception as error:  # a bug, or a driver that does not start
            log.exception("iteration %d of %s", run.iteration, run.scenario)
            result, ended_at = Result("infrastructure", failure_of(error)), loop.time()
        if result.state is not None:
            self._states[run.user] = result.state
        waited = (started_at or ended_at) - asked_at
        self._say(
            wire.Ended(
                run.iteration,
                result.outcome,
                waited,
                ended_at - (started_at or ended_at),
                result.failure,
                result.in_step,
                result.loads,
            )
        )

    def _iterate(self, run: wire.Run, found: Found) -> Iteration:
        def tell(step: StepResult) -> None:
            self._say(
                wire.StepEnded(run.iteration, step.name, step.started, step.seconds, step.failure)
            )

        key = (run.user, found.cls)
        if key not in self._persons:
            self._persons[key] = stand_in(found.cls, run.user, run.host)
        return Iteration(
            found.task.scenario,
            run.scenario,
            self._persons[key],
            found.terms,
            self._artifacts,
            tell,
            host=run.host,
            state=self._states.get(run.user),
        )

    def _pool(self, address: str) -> LocalPool | RemotePool:
        if address == "auto":
            return self.local
        if address not in self._remote:
            self._remote[address] = RemotePool(
                address, self._driver, self._setup.owner, self._setup.token
            )
        return self._remote[address]

    def _say(self, message: wire.FromSidecar) -> None:
        if not self._writer.is_closing():
            self._writer.write(wire.encode(message))


async def serve(connection: socket.socket, reaper: Reaper) -> None:
    """Serve the worker at the other end of ``connection`` until it closes it."""
    reader, writer = await asyncio.open_unix_connection(sock=connection)
    frames = wire.Frames()
    sidecar: Sidecar | None = None
    watch: asyncio.Task[None] | None = None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, reader.feed_eof)
    try:
        goes_on = True
        while goes_on and (data := await reader.read(64 * 1024)):
            for message in frames.feed(data):
                if isinstance(message, wire.Setup):
                    try:
                        modules = [import_file(Path(file)) for file in message.files]
                        scenarios = scenarios_in(modules)
                    except SentinelError as error:
                        writer.write(wire.encode(wire.Broken(failure_of(error))))
                        goes_on = False
                        break
                    sidecar = Sidecar(message, scenarios, writer, reaper)
                    watch = asyncio.create_task(sidecar.keep_watch())
                    writer.write(wire.encode(wire.Ready(os.getpid(), sidecar.local.slots)))
                elif sidecar is not None:
                    goes_on = goes_on and sidecar.take(message)
    finally:
        if watch is not None:
            watch.cancel()
        if sidecar is not None:
            await sidecar.aclose()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def main() -> None:
    """Serve on the descriptor that the command line names."""
    ask_for_signal(signal.SIGKILL)
    # Ctrl-C in a terminal reaches the worker, which ends its iterations in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ[UNPATCHED] = "1"
    logging.basicConfig(level=logging.WARNING, format="sidecar %(levelname)s: %(message)s")
    remove_leftovers()
    adopt_orphans(True)
    prepare(os.environ)
    reaper = Reaper()
    own = identify(os.getpid())
    with _scratch() as directory, socket.socket(fileno=int(sys.argv[1])) as connection:
        connection.setblocking(False)
        if own is not None:
            # Killed, this process leaves its group and its files to the reaper.
            reaper.adopt(own, directory)
        try:
            asyncio.run(serve(connection, reaper))
        finally:
            if own is not None:
                reaper.release(own)
            reaper.close()


@contextmanager
def _scratch() -> Iterator[str]:
    """Have the browsers keep their files in one directory, and remove it."""
    scratch = Scratch()
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(scratch.directory)
    try:
        yield str(scratch.directory)
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before
        scratch.close()


def _own_memory() -> int:
    reading = read_memory([os.getpid()])
    return reading.pss if reading is not None else 0


if __name__ == "__main__":
    main()
