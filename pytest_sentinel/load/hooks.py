"""What happens to browser users around a run of Locust: options, sidecar, reports, end.

Handlers of Locust's events, which user.py registers. They know environments and runners by sight;
nothing of Locust is imported here.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from pytest_sentinel import gates
from pytest_sentinel.addresses import parse_address, parse_services
from pytest_sentinel.load import outcome, wire
from pytest_sentinel.load.desk import Desk
from pytest_sentinel.load.distributed import begin_master, begin_worker
from pytest_sentinel.load.exposition import serve_metrics
from pytest_sentinel.load.plainusers import count_tasks
from pytest_sentinel.load.plan import check_pool
from pytest_sentinel.load.roles import is_browser
from pytest_sentinel.load.runrecord import lines_of
from pytest_sentinel.load.summary import summary_of
from pytest_sentinel.load.webtab import add_tab
from pytest_sentinel.memory.processes import read_memory
from pytest_sentinel.pool.servesettings import read_token
from pytest_sentinel.telemetry.branches import branch_class
from pytest_sentinel.telemetry.record import End, Run, encode
from pytest_sentinel.version import __version__

_DESK: Final = "sentinel_desk"
_STOP_TIMEOUT: Final = 10.0
_CPU_LIMIT: Final = 90.0
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
        begin(environment, dispatcher)

    events.init.add_listener(init)


def add_options(parser: Any, **_: Any) -> None:
    """Add our options to Locust's."""

    def add(flag: str, help_text: str, **how: Any) -> None:
        shown = {"include_in_web_ui": False, "env_var": flag[2:].replace("-", "_").upper()}
        parser.add_argument(flag, help=help_text, **{**shown, **how})

    add(
        "--sentinel-pool",
        "Where browsers come from: auto, or ws://HOST:PORT of a service.",
        default="",
    )
    add(
        "--sentinel-slots",
        "Iterations at once on a worker's own browsers (default: by cores and memory).",
        type=int,
        default=0,
    )
    add("--sentinel-owner", "Whose leases these are, for a service.", default="locust")
    add("--sentinel-token-file", "A file with what the service wants to see.", default="")
    add("--sentinel-artifacts", "The directory for what failures leave.", default="sentinel-load")
    add("--sentinel-headed", "Browsers have windows.", action="store_true", default=False)
    add(
        "--sentinel-launch-arg",
        "An argument for the browsers' command line; may be given again.",
        action="append",
        default=[],
    )
    add(
        "--sentinel-gate",
        "A threshold, such as 'load_requests: p(95) < 2s'; may be given again, and stands in "
        "place of those in the file.",
        action="append",
        default=[],
    )
    add("--sentinel-report", "Write what the run came to as JSON into this file.", default="")
    add("--sentinel-summary", "Write figures by endpoint as JSON into this file, to compare runs "
        "by.", default="")  # fmt: skip
    add("--sentinel-record", "Write a run record into this file, for sentinel gate and report.",
        default="")  # fmt: skip
    add("--sentinel-metrics", "Serve Prometheus metrics of the whole run at HOST:PORT (not on "
        "workers).", default="")  # fmt: skip
    add("--sentinel-roles", "Keep browser users and others apart: this many workers, the first "
        "ones, are for browser users alone.", type=int, default=0)  # fmt: skip


def option(environment: Any, name: str, default: Any = None) -> Any:
    """Return the value of one of our options; the default where Locust has parsed none."""
    parsed = environment.parsed_options
    return default if parsed is None else getattr(parsed, f"sentinel_{name}", default)


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
        SentinelError: an option makes no sense.
    """
    asked = [gates.parse(text) for text in option(environment, "gate", ())]
    asked = asked or list(_REQUIRED.values())
    if pool := pool_of(environment):
        check_pool(pool)
    role = role_of(environment)
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
    events.test_stop.add_listener(lambda **_: desk.drop_starts())
    has_users = role != "master"
    events.usage_monitor.add_listener(lambda **facts: _note_usage(desk, has_users, **facts))
    if role != "worker":
        services = parse_services(pool) if pool not in ("", "auto") else ()
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
    if role != "worker" and (place := option(environment, "metrics", "")):
        serve_metrics(parse_address(place, 0), environment, desk)
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
        token=read_token(Path(token).read_text(), token).decode() if token else None,
        artifacts=os.path.abspath(option(environment, "artifacts", "sentinel-load")),
        headed=bool(option(environment, "headed", False)),
        launch_args=tuple(option(environment, "launch_arg", ())),
    )


def _files_of(classes: Any) -> list[str]:
    """Return the files in which classes were written, for an environment that parsed none."""
    found = {getattr(sys.modules.get(cls.__module__), "__file__", None) for cls in classes or ()}
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
    if file := option(environment, "report", ""):
        _write(Path(file), outcome.as_json(desk.tally, verdicts))
    if file := option(environment, "record", ""):
        _write_record(Path(file), environment, desk, verdicts, status if desk.gates else 0)
    if file := option(environment, "summary", ""):
        stats = environment.stats
        ended = stats.last_request_timestamp or stats.start_time
        _write(Path(file), summary_of(desk.tally, ended - stats.start_time))
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
