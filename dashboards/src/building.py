"""How a board is built: variables, panels in rows, one look for all. Knows no metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from grafana_foundation_sdk.builders import common as commons
from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.builders import heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models

WIDTH = 24
TAG = "sentinel"
_SOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
_BUILDERS: dict[str, Any] = {
    "stat": stat.Panel,
    "line": timeseries.Panel,
    "stack": timeseries.Panel,
    "heatmap": heatmap.Panel,
    "table": table.Panel,
}


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        kind: stat, line, stack, heatmap or table.
        unit: as Grafana calls it, such as ``s``, ``bytes`` or ``percentunit``.
        queries: (expression, legend) pairs.
        limit: where the panel turns from green to red; below it is good unless ``high_is_good``.
        mappings: texts for the values 0, 1 ...
    """

    title: str
    description: str
    kind: str
    unit: str
    queries: Sequence[tuple[str, str]]
    width: int = 8
    height: int = 8
    limit: float | None = None
    high_is_good: bool = False
    mappings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Variable:
    """A choice that the reader of a board has; ``metric`` has the label that is chosen."""

    name: str
    label: str
    metric: str


@dataclass(frozen=True)
class Board:
    """One board."""

    name: str
    title: str
    description: str
    variables: Sequence[Variable]
    rows: Sequence[Sequence[Panel]] = field(default_factory=tuple)

    @property
    def uid(self) -> str:
        """What links lead to."""
        return f"sentinel-{self.name}"


def build(board: Board) -> models.Dashboard:
    """Return a board as Grafana's classic model."""
    made = (
        dashboards.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags([TAG])
        .readonly()
        .timezone("utc")
        .refresh("1m")
        .time("now-24h", "now")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(
            dashboards.DashboardLink("sentinel")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
        .with_variable(
            dashboards.DatasourceVariable("datasource").label("Data source").type("prometheus")
        )
    )
    for variable in board.variables:
        made.with_variable(_variable(variable))
    number, top = 0, 0
    for row in board.rows:
        left = 0
        for panel in row:
            number += 1
            spot = models.GridPos(h=panel.height, w=panel.width, x=left, y=top)
            made.with_panel(_panel(panel, number).grid_pos(spot))
            left += panel.width
        top += max(panel.height for panel in row)
    return made.build()


def _variable(variable: Variable) -> dashboards.QueryVariable:
    return (
        dashboards.QueryVariable(variable.name)
        .label(variable.label)
        .query(f"label_values({variable.metric}, {variable.name})")
        .datasource(_SOURCE)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
    )


def _panel(panel: Panel, number: int) -> Any:
    made = (
        _BUILDERS[panel.kind]()
        .id(number)
        .title(panel.title)
        .description(panel.description)
        .datasource(_SOURCE)
        .unit(panel.unit)
    )
    for index, (expression, legend) in enumerate(panel.queries):
        made.with_target(_query(panel, expression, legend, chr(ord("A") + index)))
    if panel.limit is not None:
        made.thresholds(_thresholds(panel.limit, high_is_good=panel.high_is_good))
        if panel.kind == "line":
            style = common.GraphThresholdsStyleMode.LINE
            made.thresholds_style(commons.GraphThresholdsStyleConfig().mode(style))
    if panel.mappings:
        options = {
            str(value): models.ValueMappingResult(text=text)
            for value, text in enumerate(panel.mappings)
        }
        made.mappings([models.ValueMap(options=options)])
    if panel.kind in ("line", "stack"):
        made.legend(
            commons.VizLegendOptions()
            .show_legend(True)
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
        )
    if panel.kind == "stack":
        stacked = commons.StackingConfig().mode(common.StackingMode.NORMAL)
        made.fill_opacity(40).stacking(stacked)
    if panel.kind == "heatmap":
        made.calculate(False)
    return made


def _query(panel: Panel, expression: str, legend: str, reference: str) -> prometheus.Dataquery:
    query = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(reference)
    query.datasource(_SOURCE)
    if panel.kind == "table":
        return query.instant().format("table")
    if panel.kind == "heatmap":
        return query.range().format("heatmap")
    return query.range()


def _thresholds(limit: float, *, high_is_good: bool) -> dashboards.ThresholdsConfig:
    below, above = ("red", "green") if high_is_good else ("green", "red")
    return (
        dashboards.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps(
            [models.Threshold(value=None, color=below), models.Threshold(value=limit, color=above)]
        )
    )
