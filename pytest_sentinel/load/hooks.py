"""What happens to browser users around a run of Locust: options, sidecar, reports, end.

Handlers of Locust's events, which user.py registers. They know environments and runners by sight;
nothing of Locust is imported here.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

import gevent
from gevent.event import Event

from pytest_sentinel import gates
from pytest_sentinel.load import outcome, wire
from pytest_sentinel.load.desk import Desk
from pytest_sentinel.load.parentdeath import ask_for_signal
from pytest_sentinel.load.plan import check_pool
from pytest_sentinel.load.roles import with_roles
from pytest_sentinel.load.webtab import add_tab
from pytest_sentinel.memory.processes import read_memory
from pytest_sentinel.pool.servesettings import read_token

_DESK: Final = "sentinel_desk"
_STOP: Final = "sentinel-stop"
_STOPPED: Final = "sentinel-stopped"
_SHARES: Final = "sentinel-shares"
_STOP_TIMEOUT: Final = 10.0
_STOPPED_WITHIN: Final = 15.0  # beyond the time that users have to stop
_CPU_LIMIT: Final = 90.0

log = logging.getLogger("pytest_sentinel.load")


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
        "A threshold, such as 'load_requests: p(95) < 2s'; may be given again.",
        action="append",
        default=[],
    )
    add("--sentinel-report", "Write what the run came to as JSON into this file.", default="")
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
    if pool := pool_of(environment):
        check_pool(pool)
    role = role_of(environment)
    runner, events = environment.runner, environment.events
    name = getattr(runner, "client_id", "local") if role == "worker" else role
    desk = Desk(name, None if role == "master" else _setup(environment))
    setattr(environment, _DESK, desk)
    desk.is_alone = role == "local"
    desk.own_memory = _own_memory
    desk.gates = asked
    if not environment.stop_timeout:
        # At once would cut every iteration off; it can be set to another number with -s.
        environment.stop_timeout = _STOP_TIMEOUT
    events.request.add_listener(lambda **facts: _note_request(desk, **facts))
    events.test_start.add_listener(lambda **_: desk.begin_run())
    events.test_stop.add_listener(lambda **_: desk.drop_starts())
    events.usage_monitor.add_listener(lambda **facts: _note_usage(desk, **facts))
    if role != "worker":
        events.test_start.add_listener(lambda **_: desk.reset())
        events.reset_stats.add_listener(lambda **_: desk.reset())
    if role == "master":
        _begin_master(environment, desk, dispatcher)
    elif role == "worker":
        _begin_worker(environment, desk)
    if desk.link is not None:
        events.quit.add_listener(lambda **_: desk.link.close())
        desk.link.start()
    if environment.web_ui is not None:
        add_tab(environment.web_ui, desk)
    return desk


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


# Master and workers


def _begin_worker(environment: Any, desk: Desk) -> None:
    runner, events = environment.runner, environment.events
    parent = os.getppid()
    if getattr(environment.parsed_options, "processes", None):
        # Forked by a master on this machine. Locust's workers would miss it for a minute.
        ask_for_signal(signal.SIGTERM)

    def finish(**_: Any) -> None:
        """Stop the users, and have the last report be out before anybody is gone."""
        if os.getppid() != parent:
            environment.stop_timeout = 0.0  # nobody waits for what they would still say
        runner.stop()
        desk.drop_starts()
        runner._send_stats()
        runner.send_message(_STOPPED, {"begun": desk.tally.begun})

    events.report_to_master.add_listener(
        lambda client_id, data: data.update(sentinel=desk.report())
    )
    # Registered after Locust's own listener, so it hears first of the end: before the farewell.
    events.quitting.add_listener(finish)
    runner.register_message(_STOP, finish, concurrent=True)
    runner.register_message(_SHARES, lambda environment, msg: desk.share(msg.data))


def _begin_master(environment: Any, desk: Desk, dispatcher: type | None) -> None:
    runner, events = environment.runner, environment.events
    stopped: set[str] = set()
    heard = Event()
    told: dict[str, dict[str, float]] = {}

    def take_report(client_id: str, data: dict[str, Any]) -> None:
        if "sentinel" in data:
            desk.merge(client_id, data["sentinel"])
        if any(client.state == "missing" for client in runner.clients.all):
            desk.tally.doubt("a worker missed its heartbeats")
        _share_out(environment, told)

    def note_stopped(environment: Any, msg: Any) -> None:
        stopped.add(msg.node_id)
        heard.set()

    def stop_workers(**_: Any) -> None:
        """Have every worker stop and report, before Locust lets go of them."""
        stopped.clear()
        busy = {client.id for client in runner.clients.all if client.state != "missing"}
        runner.send_message(_STOP)
        deadline = gevent.get_hub().loop.now() + environment.stop_timeout + _STOPPED_WITHIN
        while left := (busy - stopped) & set(runner.clients):
            heard.clear()
            patience = deadline - gevent.get_hub().loop.now()
            if patience <= 0:
                log.warning("%d workers did not tell their last figures", len(left))
                break
            heard.wait(min(patience, 1.0))

    if environment.parsed_options is not None and option(environment, "roles", 0) and dispatcher:
        environment.dispatcher_class = with_roles(dispatcher, option(environment, "roles"))
    events.worker_report.add_listener(take_report)
    events.test_stopping.add_listener(stop_workers)
    events.test_start.add_listener(lambda **_: told.clear())
    runner.register_message(_STOPPED, note_stopped)


def _share_out(environment: Any, told: dict[str, dict[str, float]]) -> None:
    """Tell each worker its share of the intended starts, when that has changed."""
    kinds = [c.__name__ for c in environment.user_classes if getattr(c, "arrival_rate", None)]
    if not kinds:
        return
    workers = {c.id: c.user_classes_count for c in environment.runner.clients.all}
    for name, counts in workers.items():
        shares = {}
        for kind in kinds:
            total = sum(others.get(kind, 0) for others in workers.values())
            shares[kind] = counts.get(kind, 0) / total if total else 0.0
        if told.get(name) != shares:
            told[name] = shares
            environment.runner.send_message(_SHARES, shares, name)


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


def _note_usage(desk: Desk, cpu_usage: float, **_: Any) -> None:
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
        path = Path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(outcome.as_json(desk.tally, verdicts), indent=1) + "\n")
    lines = outcome.tables(desk.tally, verdicts)

    def show(**_: Any) -> None:
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()

    # After Locust's own tables.
    environment.events.quit.add_listener(show)
