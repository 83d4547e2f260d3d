"""A tab in Locust's web interface: pools, waits for browsers, vitals and memory, as they are now.

Locust's page draws tables that it is told of, from data that come with each of its own polls.
"""

from __future__ import annotations

import json
from typing import Any, Final

from pytest_sentinel.load.desk import Desk
from pytest_sentinel.load.outcome import vital_rows
from pytest_sentinel.load.tally import VITALS, Outcome
from pytest_sentinel.units import format_duration, format_size

_KEY: Final = "browsers"
_STATISTICS: Final = "/stats/requests"
_COLUMNS: Final = (
    ("name", "Browsers"),
    ("state", "Now"),
    ("iterations", "Iterations"),
    ("wait", "Wait for a browser, p50 / p95"),
    ("service", "Iteration, p50 / p95"),
    ("vitals", "Vitals, p75"),
)


def add_tab(web_ui: Any, desk: Desk) -> None:
    """Add the tab to a web interface that has not started yet."""
    structure = [{"key": key, "title": title} for key, title in _COLUMNS]
    told = web_ui.update_template_args

    def update() -> None:
        told()
        web_ui.template_args = {
            **web_ui.template_args,
            "extended_tabs": [{"title": "Browsers", "key": _KEY}],
            "extended_tables": [{"key": _KEY, "structure": structure}],
        }

    web_ui.update_template_args = update

    @web_ui.app.after_request  # type: ignore[untyped-decorator]
    def extend(response: Any) -> Any:
        from flask import request

        if request.path.endswith(_STATISTICS) and response.is_json:
            data = {**response.json, "extended_stats": [{"key": _KEY, "data": rows(desk)}]}
            response.set_data(json.dumps(data))
        return response


def rows(desk: Desk) -> list[dict[str, str]]:
    """Return the rows of the table: workers, then scenarios, then pages."""
    blank = {key: "" for key, _ in _COLUMNS}
    found = []
    for worker, now in sorted(desk.now().items()):
        state = f"{now['leased']} of {now['slots']} slots, {now['waiting']} waiting, "
        state += f"{now['crashes']} crashes, {format_size(now['memory'])}"
        found.append({**blank, "name": f"worker {worker}", "state": state})
    tally = desk.tally
    for name, counts in sorted(tally.outcomes.items()):
        told = ", ".join(f"{counts.get(o.value, 0)} {o}" for o in Outcome if counts.get(o.value))
        row = {**blank, "name": name, "iterations": told}
        row["wait"] = _pair(tally.waits.get(name))
        row["service"] = _pair(tally.service.get(name))
        found.append(row)
    for page in vital_rows(tally):
        told = ", ".join(
            f"{vital.upper()} {page[vital]:.3f}" + ("" if vital == "cls" else " s")
            for vital in VITALS
            if page.get(vital) is not None
        )
        found.append({**blank, "name": f"page {page['page']}", "vitals": told})
    return found


def _pair(histogram: Any) -> str:
    if histogram is None or not histogram.count:
        return ""
    return " / ".join(format_duration(histogram.quantile(q)) for q in (0.5, 0.95))
