"""`sentinel heap`: read a heap snapshot, show what fills it and what keeps it there.

Works on any .heapsnapshot file of Chromium or Node.js, without a browser. Numpy and what stands on
it are imported only when a file is read, so that the other commands start without.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from pytest_sentinel.errors import HeapSnapshotError
from pytest_sentinel.units import MIB, format_duration, format_size

if TYPE_CHECKING:
    from pytest_sentinel.leaks.heapsnapshot import Snapshot
    from pytest_sentinel.leaks.heapsummary import Growth, NodeReport, Overview
    from pytest_sentinel.leaks.retainerpaths import RetainerPath

_BAR_FROM: Final = 20 * MIB
_PLAIN_WIDTH: Final = 120  # columns, where nobody says how wide the paper is
_TEXT_WIDTH: Final = 60


class NodeId(click.ParamType):  # type: ignore[type-arg] # click has it since 8.4
    """The id of an object as DevTools shows it, with or without the ``@``."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number behind the ``@``."""
        text = str(value).removeprefix("@")
        if not text.isdecimal():
            self.fail(f"{value!r} is no id of an object; write it like 12345 or @12345", param, ctx)
        return int(text)


@click.command(epilog="Example: sentinel heap after.heapsnapshot --diff before.heapsnapshot")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--top",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    help="Number of rows in each list.",
)
@click.option("--retainers", metavar="ID", type=NodeId(), help="Show one object and who keeps it.")
@click.option(
    "--diff",
    "other",
    metavar="OTHER",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Show what FILE has in addition to OTHER, an earlier snapshot.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def heap(*, file: Path, top: int, retainers: int | None, other: Path | None, as_json: bool) -> None:
    """Show what fills the heap in FILE, a .heapsnapshot file (or .heapsnapshot.gz).

    Sizes are bytes on the heap; "retained" is what would be freed with all objects of the row.
    """
    started = time.perf_counter()
    try:
        findings = _examine(file, top, retainers, other)
    except ModuleNotFoundError as error:
        if error.name != "numpy":
            raise
        raise click.ClickException(
            "reading a snapshot needs numpy: pip install 'pytest-sentinel[heap]'"
        ) from error
    except (HeapSnapshotError, OSError) as error:
        raise click.ClickException(str(error)) from error
    seconds = time.perf_counter() - started
    if as_json:
        facts = {"file": str(file), "bytes": file.stat().st_size, "seconds": round(seconds, 2)}
        click.echo(json.dumps(facts | {name: _plain(value) for name, value in findings.items()}))
        return
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
    _line(console, f"{file}: {format_size(file.stat().st_size)}, {format_duration(seconds)}")
    for name, finding in findings.items():
        _PRINTERS[name](console, finding)


def _examine(file: Path, top: int, retainers: int | None, other: Path | None) -> dict[str, Any]:
    """Return the findings that were asked for, by name; the overview when nothing was."""
    from pytest_sentinel.leaks import heapsummary
    from pytest_sentinel.leaks.retainers import Graph

    before = None if other is None else _load(other)
    snapshot = _load(file)
    node = None if retainers is None else snapshot.index_of(retainers)
    if retainers is not None and node is None:
        raise click.BadParameter(f"no object @{retainers} in {file}", param_hint="--retainers")
    graph = Graph(snapshot)
    findings: dict[str, Any] = {}
    if node is not None:
        findings["node"] = heapsummary.describe_node(graph, node, top)
    if before is not None:
        findings["diff"] = heapsummary.growth(before, graph, top)
    return findings or {"overview": heapsummary.overview(graph, top)}


def _load(file: Path) -> Snapshot:
    from pytest_sentinel.leaks.heapsnapshot import Snapshot

    if file.stat().st_size < _BAR_FROM:
        return Snapshot.from_file(file)
    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    quiet = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=quiet) as bar:
        task = bar.add_task("reading", total=file.stat().st_size)
        return Snapshot.from_file(file, lambda done, total: bar.update(task, completed=done))


def _plain(value: Any) -> Any:
    """Return ``value`` as what JSON knows; a path gets its text beside its hops."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        text = {"text": str(value)} if "hops" in fields else {}
        return text | {name: _plain(field) for name, field in fields.items()}
    if hasattr(value, "_asdict"):
        return value._asdict()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _print_overview(console: Console, found: Overview) -> None:
    garbage = _nodes(found.nodes - found.reachable_nodes)
    _line(
        console,
        f"{_nodes(found.nodes)}, {found.edges:,} edges, {format_size(found.size)} on the heap; "
        f"{garbage} ({format_size(found.size - found.reachable_size)}) that nothing reaches",
    )
    if found.native_size:
        _line(console, f"{format_size(found.native_size)} of the browser's own outside the heap")
    _table(
        console,
        "By type",
        ("type", ">count", ">size"),
        [(row.name, f"{row.count:,}", format_size(row.size)) for row in found.types],
    )
    _table(
        console,
        "Constructors by size",
        ("constructor", ">count", ">size", ">retained"),
        [
            (row.name, f"{row.count:,}", format_size(row.size), format_size(row.retained))
            for row in found.by_size
        ],
    )
    _table(
        console,
        "Constructors by count",
        ("constructor", ">count", ">size"),
        [(row.name, f"{row.count:,}", format_size(row.size)) for row in found.by_count],
    )
    dom = found.detached
    if dom.count:
        _table(
            console,
            f"Detached DOM: {_nodes(dom.count)}, {format_size(dom.size)}, "
            f"{format_size(dom.retained)} retained",
            ("constructor", ">count", ">size"),
            [(row.name, f"{row.count:,}", format_size(row.size)) for row in dom.classes],
        )
        _table(
            console,
            "Detached DOM is held by",
            ("path", ">nodes", "such as"),
            [
                (row.path, f"{row.count:,}", f"{row.example} @{row.example_id}")
                for row in dom.holders
            ],
        )
    else:
        _line(console, "\nDetached DOM: none")
    _table(
        console,
        "Biggest strings",
        (">size", "id", "text"),
        [(format_size(row.size), f"@{row.node_id}", _quoted(row.text)) for row in found.strings],
    )
    _table(
        console,
        "Strings that exist more than once",
        (">count", ">size", "text"),
        [(f"{row.count:,}", format_size(row.size), _quoted(row.text)) for row in found.duplicates],
    )


def _print_node(console: Console, found: NodeReport) -> None:
    state = ", detached" if found.detached else ""
    name = "" if found.name == found.class_name else f" {_quoted(found.name)}"
    _line(
        console,
        f"\n@{found.node_id} {found.class_name}{name} ({found.type}{state}): "
        f"{format_size(found.size)}, retains {format_size(found.retained)}",
    )
    if found.location is not None:
        _line(console, f"written at {found.location}")
    if found.path is None:
        _line(console, "Nothing but weak references lead to it: a collection frees it.")
        return
    _line(console, f"path: {str(found.path) or '(a root)'}")
    _print_hops(console, found.path)
    _line(console, f"\nIndependent retainers: {found.retainer_count:,}")
    for path in found.retainers:
        _line(console, f"  {path}")
    if found.retainer_count > 1:
        _line(console, "Cutting only one of them frees nothing.")


def _print_hops(console: Console, path: RetainerPath) -> None:
    rows = []
    for hop in path.hops:
        times = f" x{hop.times:,}" if hop.times > 1 else ""
        name = "" if hop.name.startswith(hop.class_name) else f" {_quoted(hop.name)}"
        place = "" if hop.location is None else str(hop.location)
        edge = f"{hop.edge_type} {hop.edge}".strip()
        rows.append((f"{edge}{times}", f"{hop.class_name}{name}", f"@{hop.node_id}", place))
    _table(console, "Hop by hop", ("edge", "leads to", "id", "written at"), rows)


def _print_diff(console: Console, found: Growth) -> None:
    _line(
        console,
        f"{_nodes(found.nodes)} ({found.node_delta:+,}), {format_size(found.size)} on the heap "
        f"({_signed(found.size_delta)}) since the earlier snapshot",
    )
    if not found.same_ids:
        _line(
            console,
            "The snapshots come from different sessions: which objects survived is not known.",
        )
    rows = [
        (
            row.name,
            f"{row.count_delta:+,}",
            _signed(row.size_delta),
            f"{row.survivors:,}" if found.same_ids else "-",
            f"{row.born:,}" if found.same_ids else "-",
            held_by,
        )
        for row, held_by in zip(found.classes, found.held_by, strict=True)
    ]
    columns = ("constructor", ">count", ">size", ">survived", ">born", "new ones are held by")
    _table(console, "What grew", columns, rows)


def _table(
    console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """Print rows under a title; a column whose name begins with ``>`` is set to the right."""
    _line(console, f"\n{title}{'' if rows else ': none'}")
    if not rows:
        return
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for column in columns:
        table.add_column(
            column.removeprefix(">"),
            justify="right" if column.startswith(">") else "left",
            no_wrap=column.startswith(">"),
            overflow="fold",
        )
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _line(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True)


def _quoted(text: str) -> str:
    """Return the beginning of ``text`` on one line, in quotes."""
    short = text if len(text) <= _TEXT_WIDTH else f"{text[:_TEXT_WIDTH]}..."
    return json.dumps(short, ensure_ascii=False)


def _nodes(count: int) -> str:
    return f"{count:,} node{'' if count == 1 else 's'}"


def _signed(size: int) -> str:
    return f"{'+' if size >= 0 else ''}{format_size(size)}"


_PRINTERS: Final[dict[str, Callable[[Console, Any], None]]] = {
    "overview": _print_overview,
    "node": _print_node,
    "diff": _print_diff,
}
