"""One HTML file that tells a run: charts by Plotly, text by Jinja2, nothing from the network."""

from __future__ import annotations

from importlib import resources
from typing import Any, Final

from pytest_sentinel.gates import format_value
from pytest_sentinel.reportdata import BAD, VITALS, Story
from pytest_sentinel.telemetry.digest import growth
from pytest_sentinel.telemetry.samples import MEASURED
from pytest_sentinel.units import MIB, format_duration, format_size

Figure = dict[str, Any]
_COLOURS: Final = {
    "passed": "#2f855a", "failed": "#c53030", "error": "#822727", "crashed": "#dd6b20",
    "worker-crashed": "#6b46c1", "skipped": "#a0aec0", "xfailed": "#a0aec0", "xpassed": "#38a169",
}  # fmt: skip
_MARKS: Final = {"crashed": "x", "replaced": "diamond", "launch-failed": "cross"}


def write_html(story: Story) -> str:
    """Return the report as one self-contained page."""
    from jinja2 import Environment
    from plotly.offline import get_plotlyjs

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(
        duration=format_duration, size=format_size, growth=growth, verdict=_verdict
    )
    template = resources.files("pytest_sentinel").joinpath("report.html").read_text()
    return environment.from_string(template).render(
        story=story,
        bad=BAD,
        good=VITALS,
        charts=charts(story),
        plotly=get_plotlyjs(),
    )


def charts(story: Story) -> dict[str, Figure]:
    """Return the figures that there are data for, by the id of their place."""
    found = {
        "timeline": _timeline(story),
        "memory": _memory(story),
        "durations": _durations(story),
        "vitals": _vitals(story),
    }
    return {name: figure for name, figure in found.items() if figure["data"]}


def _figure(data: list[Figure], **layout: Any) -> Figure:
    plain = {
        "margin": {"l": 60, "r": 10, "t": 10, "b": 45},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        "hovermode": "closest",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 12},
    }
    return {"data": data, "layout": {**plain, **layout}}


def _timeline(story: Story) -> Figure:
    """Each attempt is a bar on its worker's line: one path for each outcome, however many."""
    bars: dict[str, Figure] = {}
    for line in story.attempts:
        bar = bars.get(line.outcome)
        if bar is None:
            bar = bars[line.outcome] = {
                "type": "scatter", "mode": "lines", "name": line.outcome, "x": [], "y": [],
                "text": [], "hoverinfo": "text",
                "line": {"width": 14, "color": _COLOURS.get(line.outcome, "#4a5568")},
            }  # fmt: skip
        start = (line.started or line.finished) - story.began
        end = max(line.finished - story.began, start)
        told = f"{line.nodeid} ({format_duration(line.seconds)})"
        bar["x"] += [round(start, 3), round(end, 3), None]
        bar["y"] += [line.worker, line.worker, None]
        bar["text"] += [told, told, None]
    marks: list[Figure] = []
    for event, symbol in _MARKS.items():
        happened = [each for each in story.events if each.event == event]
        if happened:
            marks.append({
                "type": "scatter", "mode": "markers", "name": f"browser {event}",
                "x": [round(each.at - story.began, 3) for each in happened],
                "y": [each.worker for each in happened],
                "text": [f"{each.browser}: {each.detail}" for each in happened],
                "hoverinfo": "text", "marker": {"symbol": symbol, "size": 11, "color": "#1a202c"},
            })  # fmt: skip
    workers = len({line.worker for line in story.attempts})
    return _figure(
        [*bars.values(), *marks],
        height=170 + 34 * workers,
        xaxis={"title": {"text": "seconds since the start"}, "rangemode": "tozero"},
        yaxis={"type": "category", "range": [workers - 0.4, -0.6]},
    )


def _memory(story: Story) -> Figure:
    data: list[Figure] = []
    for name, points in sorted(story.memory().items()):
        whole = name.endswith("all of it")
        data.append({
            "type": "scatter", "mode": "lines", "name": name,
            "x": [round(at, 3) for at, _ in points], "y": [round(s / MIB, 1) for _, s in points],
            "line": {"width": 2 if whole else 1, "dash": "solid" if whole else "dot"},
        })  # fmt: skip
    limit = story.run.settings.get("worker_memory")
    if data and isinstance(limit, int):
        last = max(at for line in data for at in line["x"])
        data.append({
            "type": "scatter", "mode": "lines", "name": f"limit, {format_size(limit)}",
            "x": [0, last], "y": [limit / MIB] * 2,
            "line": {"color": "#c53030", "width": 1, "dash": "dash"},
        })  # fmt: skip
    return _figure(
        data,
        height=400,
        xaxis={"title": {"text": "seconds since the start"}, "rangemode": "tozero"},
        yaxis={"title": {"text": "PSS, MiB"}, "rangemode": "tozero"},
    )


def _durations(story: Story) -> Figure:
    seconds = [round(line.seconds, 3) for line in story.attempts if line.outcome != "skipped"]
    data = [{"type": "histogram", "x": seconds, "marker": {"color": "#3182ce"}}] if seconds else []
    return _figure(
        data,
        height=260,
        xaxis={"title": {"text": "seconds of an attempt"}},
        yaxis={"title": {"text": "attempts"}},
        showlegend=False,
    )


def _vitals(story: Story) -> Figure:
    data = [
        {"type": "box", "name": name.upper(), "y": values, "boxpoints": "outliers"}
        for name, values in story.vitals().items()
    ]
    return _figure(
        data,
        height=320,
        yaxis={"title": {"text": "seconds (CLS: score)"}, "rangemode": "tozero"},
        showlegend=False,
    )


def _verdict(value: float | None, text: str) -> str:
    if value is None:
        return "nothing was measured"
    metric = text.partition(":")[0].partition("{")[0].strip()
    known = MEASURED.get(metric)
    counts = ": count" in text or ":count" in text
    return format_value(value, known.unit if known is not None and not counts else "")
