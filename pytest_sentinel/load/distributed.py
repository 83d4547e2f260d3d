"""Master and workers of a distributed run: reports, shares of starts, an end that loses nothing.

Locust's master lets go of its workers half a second after it has told them to stop; users of
browsers need longer. So ours are stopped first, and the master waits for the last figures of each.
Handlers that know environments and runners by sight.
"""

from __future__ import annotations

import logging
import os
import signal
from typing import Any, Final

import gevent
from gevent.event import Event

from pytest_sentinel.load.desk import Desk
from pytest_sentinel.load.parentdeath import ask_for_signal
from pytest_sentinel.load.roles import with_roles

_STOP: Final = "sentinel-stop"
_STOPPED: Final = "sentinel-stopped"
_SHARES: Final = "sentinel-shares"
_STOPPED_WITHIN: Final = 15.0  # beyond the time that users have to stop

log = logging.getLogger("pytest_sentinel.load")


def begin_worker(environment: Any, desk: Desk) -> None:
    """Have this worker report to its master, and end when that does."""
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
    # A worker that is on its way out already must not be told again: Locust would not end then.
    events.quitting.add_listener(lambda **_: ask_for_signal(0))
    runner.register_message(_STOP, finish, concurrent=True)
    runner.register_message(_SHARES, lambda environment, msg: desk.share(msg.data))


def begin_master(environment: Any, desk: Desk, dispatcher: type | None, roles: int) -> None:
    """Have this master merge what workers report; ``roles`` of them are for browsers alone."""
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

    if roles and dispatcher is not None:
        environment.dispatcher_class = with_roles(dispatcher, roles)
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
