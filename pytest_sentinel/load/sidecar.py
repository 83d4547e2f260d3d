"""The process beside a Locust worker that drives its browsers: asyncio, Playwright, no gevent.

``python -m pytest_sentinel.load.sidecar FD`` speaks wire.py on a socket that it inherits. Law: it
lives as long as that socket. When its worker closes it or dies, every iteration is cancelled and
every browser ended; a worker's death ends it even where its own code hangs. The worker hears the
end of every iteration that it did not cancel itself, whatever the code of the locustfile did.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from pytest_sentinel.browsers import prepare
from pytest_sentinel.errors import LocustfileError, SentinelError, WireError
from pytest_sentinel.load import wire
from pytest_sentinel.load.artifacts import Artifacts
from pytest_sentinel.load.endings import failure_of
from pytest_sentinel.load.histogram import Histogram
from pytest_sentinel.load.localpool import LocalPool
from pytest_sentinel.load.locustfile import UNPATCHED, Catalogue, Found, catalogue_of, import_file
from pytest_sentinel.load.nodedriver import NodeDriver
from pytest_sentinel.load.parentdeath import ask_for_signal
from pytest_sentinel.load.plan import default_slots
from pytest_sentinel.load.playing import Watchdog, run
from pytest_sentinel.load.remotepool import RemotePool
from pytest_sentinel.load.scenario import Iteration, Result, call
from pytest_sentinel.load.standin import People
from pytest_sentinel.load.steps import StepResult
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
        catalogue: what it may ask for.
        writer: takes messages to the worker.
        reaper: ends browsers that a kill -9 of this process would leave.
    """

    def __init__(
        self, setup: wire.Setup, catalogue: Catalogue, writer: Any, reaper: Reaper
    ) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        slots = setup.slots or default_slots(cores, available_memory(), setup.share)
        self._setup = setup
        self._catalogue = catalogue
        self._writer = writer
        self._driver = NodeDriver(reaper, os.environ.get("TMPDIR"))
        self.local = LocalPool(
            slots, self._driver, reaper, headed=setup.headed, launch_args=tuple(setup.launch_args)
        )
        self._remote: dict[str, RemotePool] = {}
        self._iterations: dict[int, asyncio.Task[None]] = {}
        self._cancelled: set[int] = set()
        self._people = People(setup.options)
        self._states: dict[int, Any] = {}
        self._artifacts = Artifacts(Path(setup.artifacts), str(os.getpid()))
        self._lag = Histogram()

    def take(self, message: wire.Message) -> bool:
        """Do what the worker asks; False when it asks for the end."""
        match message:
            case wire.Run():
                task = asyncio.create_task(self._run(message))
                self._iterations[message.iteration] = task
                task.add_done_callback(lambda _: self._forget(message.iteration))
            case wire.Cancel(iteration):
                if iteration in self._iterations:
                    self._cancelled.add(iteration)
                    self._iterations[iteration].cancel()
            case wire.Leave(user):
                self._states.pop(user, None)
                self._people.leave(user)
            case wire.Options(options):
                self._people.options = options
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
        self._cancelled.update(self._iterations)
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

    def renew_driver(self) -> None:
        """End Playwright's driver; those who need one get another."""
        self._driver.kill()

    def _forget(self, iteration: int) -> None:
        self._iterations.pop(iteration, None)
        self._cancelled.discard(iteration)

    async def _run(self, run: wire.Run) -> None:
        """Run one iteration, and tell how it ended; one that is cancelled tells nothing."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        seated_at: list[float] = []
        try:
            result = await self._serve(run, seated_at)
        except SentinelError as error:
            result = Result("infrastructure", failure_of(error))
        except asyncio.CancelledError as error:
            if run.iteration in self._cancelled or self._writer.is_closing():
                raise
            log.warning("iteration %d of %s was cancelled by another", run.iteration, run.scenario)
            result = Result("infrastructure", failure_of(error))
        except BaseException as error:  # a bug, or a driver that does not start
            log.exception("iteration %d of %s", run.iteration, run.scenario)
            result = Result("infrastructure", failure_of(error))
        if result.state is not None:
            self._states[run.user] = result.state
        ended_at = loop.time()
        began_at = seated_at[0] if seated_at else ended_at
        self._say(
            wire.Ended(
                run.iteration,
                result.outcome,
                began_at - asked_at,
                ended_at - began_at,
                result.failure,
                result.in_step,
                result.loads,
                result.control,
                result.immediately,
            )
        )

    async def _serve(self, run: wire.Run, seated_at: list[float]) -> Result:
        """Return how an iteration went; note when it had what it needed.

        Raises:
            SentinelError: there is no such task, or no browser for it.
        """
        now = asyncio.get_running_loop().time
        found = self._catalogue.scenarios.get(run.scenario)
        if found is None:
            raise LocustfileError(", ".join(self._setup.files), f"has no task {run.scenario}")
        if not found.needs_page:
            seated_at.append(now())
            try:
                person = self._people.find(run, found.cls, self._catalogue.sets)
            except BaseException as error:  # of the locustfile
                return Result("failed", failure_of(error))
            return await call(found.function, person, found.terms.iteration_timeout)
        async with self._pool(run.pool).seat(
            found.terms.browser, found.terms.lease_timeout
        ) as seat:
            seated_at.append(now())
            try:
                iteration = self._iterate(run, found)
            except BaseException as error:  # of the locustfile
                return Result("failed", failure_of(error))
            return await iteration.on(seat)

    def _iterate(self, run: wire.Run, found: Found) -> Iteration:
        def tell(step: StepResult) -> None:
            self._say(
                wire.StepEnded(run.iteration, step.name, step.started, step.seconds, step.failure)
            )

        return Iteration(
            found.function,
            run.scenario,
            self._people.find(run, found.cls, self._catalogue.sets),
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


async def serve(
    connection: socket.socket, reaper: Reaper, broken: list[Callable[[], None]]
) -> None:
    """Serve the worker at the other end of ``connection`` until it closes it.

    Args:
        connection: the worker's.
        reaper: ends what a kill -9 of this process would leave.
        broken: takes what to call when Playwright's connection may be broken.
    """
    reader, writer = await asyncio.open_unix_connection(sock=connection)
    frames = wire.Frames()
    sidecar: Sidecar | None = None
    watch: asyncio.Task[None] | None = None
    watchdog = Watchdog()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, reader.feed_eof)
    try:
        goes_on = True
        while goes_on and (data := await reader.read(64 * 1024)):
            for message in frames.feed(data):
                if isinstance(message, wire.Setup):
                    try:
                        modules = [import_file(Path(file)) for file in message.files]
                        catalogue = catalogue_of(modules)
                    except SentinelError as error:
                        writer.write(wire.encode(wire.Broken(failure_of(error))))
                        goes_on = False
                        break
                    sidecar = Sidecar(message, catalogue, writer, reaper)
                    broken.append(sidecar.renew_driver)
                    watchdog.start()
                    watch = asyncio.create_task(sidecar.keep_watch())
                    writer.write(wire.encode(wire.Ready(os.getpid(), sidecar.local.slots)))
                elif sidecar is not None:
                    goes_on = goes_on and sidecar.take(message)
    finally:
        if watch is not None:
            watch.cancel()
            watchdog.stop()
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
        broken: list[Callable[[], None]] = []
        is_clean = True
        try:
            is_clean = run(serve(connection, reaper, broken), lambda: [renew() for renew in broken])
        finally:
            if own is not None:
                reaper.release(own)
            reaper.close()
    if not is_clean:
        # Threads of the locustfile that do not end would hold this process.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


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
