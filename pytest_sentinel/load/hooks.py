"""What happens to browser users around a run of Locust: sidecar, reports, end.

Handlers of Locust's events, which user.py registers. They know environments and runners by sight;
nothing of Locust is imported here.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import gevent

from pytest_sentinel import gates
from pytest_sentinel.addresses import Address, parse_address, parse_services
from pytest_sentinel.errors import PoolUnreachable, SentinelError
from pytest_sentinel.load import outcome, wire
from pytest_sentinel.load.desk import Desk
from pytest_sentinel.load.distributed import begin_master, begin_worker
from pytest_sentinel.load.exposition import serve_metrics
from pytest_sentinel.load.interrupts import interrupt_in_order
from pytest_sentinel.load.options import add_options, check_host, option, to_send
from pytest_sentinel.load.plainusers import count_tasks
from pytest_sentinel.load.roles import is_browser
from pytest_sentinel.load.runrecord import lines_of
from pytest_sentinel.load.summary import summary_of
from pytest_sentinel.load.tasks import plan_of
from pytest_sentinel.load.webtab import add_tab
from pytest_sentinel.memory.processes import read_memory
from pytest_sentinel.pool.tokens import read_token_file
from pytest_sentinel.telemetry.branches import branch_class
from pytest_sentinel.telemetry.record import End, Run, encode
from pytest_sentinel.version import __version__

_DESK: Final = "sentinel_desk"
_STOP_TIMEOUT: Final = 10.0
_CPU_LIMIT: Final = 90.0
_SERVICE_WITHIN: Final = 5.0
_CLASSES: Final[list[type]] = []
# The gates of the locustfile: Locust tells it nothing but what it imports, before a run is there.
_REQUIRED: Final[dict[str, gates.Gate]] = {}


def require(texts: Iterable[str]) -> None:
    """Note the gates that a locustfile asks for.

    Raises:
        GateError: one makes no sense.
    """
    _REQUIRED.update({text: gates.parse(text) for text in texts})


def register(events: Any, dispatcher: type) -> None:
    """Register everything with Locust's events, once, when BrowserUser is imported."""
    events.init_command_line_parser.add_listener(add_options)
    # The first to be registered is the last to hear of the end, when all else is over.
    events.quitting.add_listener(judge_at_end)

    def init(environment: Any, **_: Any) -> None:
        try:
            begin(environment, dispatcher)
        except (SentinelError, OSError) as error:
            # Locust would show a traceback, of a mistake that is in no code.
            sys.stderr.write(f"sentinel: {error}\n")
            sys.stderr.flush()
            sys.exit(1)
        if "locust.main" in sys.modules:
            interrupt_in_order()
        # Else the time that imports took is cut off from --run-time, which is counted from here.
        gevent.get_hub().loop.update_now()

    events.init.add_listener(init)
    if "locust.main" in sys.modules:
        say_in_one_line()


def note_class(cls: type) -> None:
    """Note a class of browser users, for a run that does not say which file it is of."""
    _CLASSES.append(cls)


def say_in_one_line() -> None:
    """Have what a locustfile has wrong be shown in one line, if it is ours to say."""
    before = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        if isinstance(error, SentinelError):
            sys.stderr.write(f"sentinel: {error}\n")
        else:
            before(kind, error, trace)

    sys.excepthook = show


def pool_of(environment: Any) -> str:
    """Return the pool that the command line asks for; empty when it asks for none."""
    return str(option(environment, "pool", "") or "")


def desk_of(environment: Any) -> Desk:
    """Return the desk of this process, and set it up where nobody has fired ``init``."""
    desk = getattr(environment, _DESK, None)
    if desk is None:
        desk = begin(environment, None)
    assert isinstance(desk, Desk)
    return desk


def role_of(environment: Any) -> str:
    """Return what this process is: ``master``, ``worker``, or ``local`` when it is all."""
    name = type(environment.runner).__name__
    return {"MasterRunner": "master", "WorkerRunner": "worker"}.get(name, "local")


def begin(environment: Any, dispatcher: type | None) -> Desk:
    """Set up the desk of this process, and its sidecar if it is to run users.

    Raises:
        OSError: nothing can listen at the place for metrics.
        SentinelError: an option makes no sense, or no service of the pool answers.
    """
    asked = [gates.parse(text) for text in option(environment, "gate", ())]
    asked = asked or list(_REQUIRED.values())
    pool = pool_of(environment)
    role = role_of(environment)
    classes = [cls for cls in environment.user_classes or () if is_browser(cls)]
    for cls in classes:
        cls.sentinel_plan = plan_of(cls)  # with the tasks that were added since
    if environment.web_ui is None:
        for cls in classes:
            check_host(environment.host or cls.host)
        if role != "worker":
            _find_services({pool or cls.pool for cls in classes})
    runner, events = environment.runner, environment.events
    name = getattr(runner, "client_id", "local") if role == "worker" else role
    desk = Desk(name, _setup(environment) if _needs_browsers(environment, role) else None)
    setattr(environment, _DESK, desk)
    desk.is_alone = role == "local"
    desk.own_memory = _own_memory
    desk.gates = asked
    if not environment.stop_timeout:
        # At once would cut every iteration off; it can be set to another number with -s.
        environment.stop_timeout = _STOP_TIMEOUT
    count_tasks(environment.user_classes or (), desk)
    events.request.add_listener(lambda **facts: _note_request(desk, **facts))
    events.test_start.add_listener(lambda **_: desk.begin_run())
    if desk.link is not None:
        link = desk.link
        events.test_start.add_listener(lambda **_: link.tell(to_send(environment.parsed_options)))
    events.test_stop.add_listener(lambda **_: desk.drop_starts())
    has_users = role != "master"
    events.usage_monitor.add_listener(lambda **facts: _note_usage(desk, has_users, **facts))
    if role != "worker":
        services = parse_services(pool) if pool not in ("", "auto") else ()
        if place := option(environment, "metrics", ""):
            serve_metrics(parse_address(place, 0), environment, desk)
        events.test_start.add_listener(lambda **_: desk.probe(services))
        events.test_start.add_listener(lambda **_: desk.reset())
        events.reset_stats.add_listener(lambda **_: desk.reset())
    if role == "master":
        begin_master(environment, desk, dispatcher, option(environment, "roles", 0) or 0)
    elif role == "worker":
        begin_worker(environment, desk)
    if desk.link is not None:
        events.quit.add_listener(lambda **_: desk.link.close())
        desk.link.start()
    if environment.web_ui is not None:
        add_tab(environment.web_ui, desk)
    return desk


def _needs_browsers(environment: Any, role: str) -> bool:
    classes = environment.user_classes or ()
    return role != "master" and (not classes or any(is_browser(cls) for cls in classes))


def _setup(environment: Any) -> wire.Setup:
    parsed = environment.parsed_options
    files = tuple(environment.parsed_locustfiles or _files_of(environment.user_classes))
    token = option(environment, "token_file", "")
    return wire.Setup(
        tuple(os.path.abspath(file) for file in files),
        slots=option(environment, "slots", 0) or None,
        share=max(1, getattr(parsed, "processes", None) or 1),
        owner=option(environment, "owner", "locust"),
        token=read_token_file(token, "--sentinel-token-file") if token else None,
        artifacts=os.path.abspath(option(environment, "artifacts", "sentinel-load")),
        headed=bool(option(environment, "headed", False)),
        launch_args=tuple(option(environment, "launch_arg", ())),
        options=to_send(parsed),
    )


def _find_services(pools: set[str]) -> None:
    """Look whether any service of each pool answers, as long as one may take to start again.

    Raises:
        ServiceUnreachable: none does.
    """
    for pool in pools - {"auto"}:
        deadline = time.monotonic() + _SERVICE_WITHIN
        services = parse_services(pool)
        while (problem := _problem_of(services)) is not None:
            if time.monotonic() > deadline:
                raise PoolUnreachable(pool, problem)
            time.sleep(0.5)  # gevent's


def _problem_of(services: Sequence[Address]) -> str | None:
    problem = "no service is named"
    for address in services:
        try:
            socket.create_connection((address.host, address.port), timeout=2.0).close()
        except OSError as error:
            problem = error.strerror or str(error)
        else:
            return None
    return problem


def _files_of(classes: Any) -> list[str]:
    """Return the files in which classes were written, for an environment that parsed none."""
    made = [cls for cls in _CLASSES if not getattr(cls, "abstract", True)]
    modules = {cls.__module__ for cls in classes or made}
    found = {getattr(sys.modules.get(module), "__file__", None) for module in modules}
    return sorted(file for file in found if file)


# What is noted


def _note_request(
    desk: Desk,
    request_type: str,
    name: str,
    response_time: float | None,
    exception: BaseException | None = None,
    **_: Any,
) -> None:
    if request_type not in ("STEP", "FLOW") and response_time is not None:
        seconds = response_time / 1000
        desk.tally.request(f"{request_type} {name}", seconds, failed=exception is not None)


def _note_usage(desk: Desk, has_users: bool, cpu_usage: float, **_: Any) -> None:
    # A sidecar's figures bring the worker's own along.
    if desk.link is None and has_users:
        desk.tally.weigh(desk.worker, _own_memory())
    if cpu_usage > _CPU_LIMIT:
        desk.tally.doubt(f"Locust used more than {_CPU_LIMIT:g} % of a core")


def _own_memory() -> int:
    reading = read_memory([os.getpid()])
    return reading.pss if reading is not None else 0


# The end


def judge_at_end(environment: Any, **_: Any) -> None:
    """Show what the run came to, and decide its exit status where there are gates."""
    desk = getattr(environment, _DESK, None)
    role = role_of(environment)
    if desk is None or role == "worker":
        return
    if role == "local" and environment.runner is not None:
        environment.runner.stop()
    desk.settle()
    verdicts, status = outcome.judge(desk.tally, desk.gates)
    if desk.gates:
        environment.process_exit_code = status
    stats = environment.stats
    seconds = (stats.last_request_timestamp or stats.start_time) - stats.start_time
    writers: dict[str, Callable[[Path], None]] = {
        "report": lambda file: _write(file, outcome.as_json(desk.tally, verdicts)),
        "record": lambda file: _write_record(
            file, environment, desk, verdicts, status if desk.gates else 0
        ),
        "summary": lambda file: _write(file, summary_of(desk.tally, seconds)),
    }
    for name, write in writers.items():
        if file := option(environment, name, ""):
            try:
                write(Path(file))
            except OSError as error:  # one that cannot be written does not take the others along
                sys.stderr.write(f"sentinel: --sentinel-{name}: {error}\n")
    lines = outcome.tables(desk.tally, verdicts)

    def show(**_: Any) -> None:
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()

    # After Locust's own tables.
    environment.events.quit.add_listener(show)


def _write_record(
    path: Path, environment: Any, desk: Desk, verdicts: Iterable[gates.Verdict], status: int
) -> None:
    now, began = time.time(), environment.stats.start_time
    files = environment.parsed_locustfiles or _files_of(environment.user_classes)
    run = Run(
        os.urandom(4).hex(),
        began,
        suite=Path(files[0]).stem if files else "load",
        branch_class=branch_class(os.environ),
        versions={"pytest-sentinel": __version__, "python": platform.python_version()},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = lines_of(run, desk.tally, verdicts, End(now, status))
    path.write_bytes(b"".join(map(encode, lines)))


def _write(path: Path, what: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(what, indent=1) + "\n")
