"""Word a retainer path as a developer reads code: ``window.app.cache[*] (closure) load -> page``.

Steps through V8's backing stores and Blink's plumbing are kept as hops but add no text; a linked
list's thousand equal steps become one. No search happens here: retainers.py found the edges.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pytest_sentinel.leaks.heapsnapshot import Location, Snapshot
from pytest_sentinel.leaks.retainers import Tree

_SILENT: Final = frozenset({"elements", "properties", "previous", "table", "value", "cppgc_object"})
# Blink's objects between one that has a name and the function it will call.
_PLUMBING: Final = re.compile(r"V8|Window$|Regist(er|ration)|ScheduledAction|\W")
_SYMBOL: Final = re.compile(r"<symbol (.*)>")
_DOCUMENT: Final = "<symbol Window#DocumentCachedAccessor>"
_CLOSURE: Final = " (closure) "
_NUMBER: Final = re.compile(r"\[\d+\]")
_LONGEST: Final = 80  # hops; the middle of a longer path is left out
_NAME_WIDTH: Final = 60


@dataclass(frozen=True, slots=True)
class Hop:
    """One step of a path: the edge taken and the node it leads to.

    Attributes:
        text: what the step adds to the path's text; empty for steps inside V8 or Blink.
        edge: the edge's name or number as V8 has it; empty for the root.
        edge_type: V8's type of the edge; empty for the root.
        times: how often in a row the same step is taken; above 1 in linked lists.
        node: index of the node it leads to.
        node_id: that node's ``@id``.
        location: where the function was written, when the node is one and V8 knows.
    """

    text: str
    edge: str
    edge_type: str
    times: int
    node: int
    node_id: int
    class_name: str
    name: str
    location: Location | None


@dataclass(frozen=True, slots=True)
class RetainerPath:
    """The hops from a root to a node, the root's own first."""

    hops: tuple[Hop, ...]

    def __str__(self) -> str:
        return "".join(hop.text for hop in self.hops).strip()

    @property
    def pattern(self) -> str:
        """The same for all elements of a collection: every number in brackets becomes ``*``."""
        return _NUMBER.sub("[*]", str(self))


def shortest_path(tree: Tree, node: int) -> RetainerPath | None:
    """Return the best path to ``node``, or None if nothing but weak edges leads there."""
    edges = tree.edges_to(node)
    if edges is None:
        return None
    snapshot = tree.snapshot
    root = snapshot.holder(edges[0]) if edges else node
    hops = [_hop(snapshot, root, _root_text(snapshot, root))]
    steps = _fold(snapshot, edges)
    left_out = max(0, len(steps) - _LONGEST)
    middle = _LONGEST // 2
    for place, (edge, times) in enumerate(steps):
        if middle <= place < middle + left_out:
            continue
        text = _step_text(snapshot, edge, hops)
        if times > 1 and text:
            text = f"({text} x{times:,})"
        if left_out and place == middle + left_out:
            text = f" ...{left_out:,} more steps... {text}"
        hops.append(_hop(snapshot, int(snapshot.edge_to[edge]), text, edge, times))
    return RetainerPath(_without_ancestors(hops))


def path_through(tree: Tree, edge: int) -> RetainerPath | None:
    """Return the best path to the holder of ``edge``, and on through ``edge``."""
    snapshot = tree.snapshot
    path = shortest_path(tree, snapshot.holder(edge))
    if path is None:
        return None
    text = _step_text(snapshot, edge, path.hops)
    last = _hop(snapshot, int(snapshot.edge_to[edge]), text, edge)
    return RetainerPath(_without_ancestors([*path.hops, last]))


def _hop(snapshot: Snapshot, node: int, text: str, edge: int | None = None, times: int = 1) -> Hop:
    return Hop(
        text=text,
        edge="" if edge is None else snapshot.edge_label(edge),
        edge_type="" if edge is None else snapshot.edge_types[int(snapshot.edge_type[edge])],
        times=times,
        node=node,
        node_id=int(snapshot.node_id[node]),
        class_name=snapshot.class_name(node),
        name=snapshot.name(node),
        location=snapshot.location(node) if snapshot.type_name(node) == "closure" else None,
    )


def _fold(snapshot: Snapshot, edges: Sequence[int]) -> list[tuple[int, int]]:
    """Return (last edge, times) for each run of equal steps between nodes of one name."""
    chain = np.asarray(edges, np.int64)
    if not chain.size:
        return []
    targets = snapshot.edge_to[chain]
    changes = np.zeros(chain.size - 1, np.bool_)
    for column in (
        snapshot.edge_name[chain],
        snapshot.edge_type[chain],
        snapshot.node_name[targets],
        snapshot.node_type[targets],
    ):
        changes |= column[1:] != column[:-1]
    lasts = np.append(np.flatnonzero(changes), chain.size - 1)
    return list(zip(chain[lasts].tolist(), np.diff(lasts, prepend=-1).tolist(), strict=True))


def _root_text(snapshot: Snapshot, root: int) -> str:
    name = snapshot.class_name(root)
    if name.startswith("system / "):
        return ""
    if snapshot.type_name(root) == "synthetic":
        return snapshot.name(root)
    if name.startswith("Window"):
        return "window"
    return "globalThis" if name.startswith("global") else "self"


def _step_text(snapshot: Snapshot, edge: int, before: Sequence[Hop]) -> str:
    """Return what one step adds behind the hops ``before`` it."""
    holder, node = snapshot.holder(edge), int(snapshot.edge_to[edge])
    kind, label = snapshot.edge_types[int(snapshot.edge_type[edge])], snapshot.edge_label(edge)
    holder_type = snapshot.type_name(holder)
    if kind == "property":
        symbol = _SYMBOL.fullmatch(label)
        if label == _DOCUMENT:
            return ".document"
        return f"[{symbol[1]}]" if symbol else snapshot.describe_edge(edge)
    if kind == "context":
        return f" -> {label}" if any(hop.text for hop in before) else label
    if kind == "hidden":
        return ""
    if holder_type == "array":
        return "[*]"
    if holder_type in ("native", "synthetic"):
        reason = label.rpartition(" / ")[2] if kind == "internal" else ""
        return f" {reason}" if "console" in reason else _native_text(snapshot, node)
    if kind == "element":
        return f"[{label}]"
    if kind == "internal" and label == "context" and holder_type == "closure":
        named = before[-1].text.startswith(_CLOSURE)
        return "" if named else f"{_CLOSURE}{snapshot.name(holder) or '<anonymous>'}"
    if kind == "internal" and "pair in WeakMap" in label:
        return " (value in a WeakMap)"
    return f" ({label})" if kind == "internal" and label not in _SILENT else ""


def _native_text(snapshot: Snapshot, node: int) -> str:
    """Return the name under which a developer knows what a browser's object leads to."""
    kind, name = snapshot.type_name(node), snapshot.class_name(node)
    if kind == "closure":
        return f"{_CLOSURE}{snapshot.name(node) or '<anonymous>'}"
    if kind == "native" and name.startswith("<"):
        return f" {snapshot.name(node)[:_NAME_WIDTH]}"
    return "" if kind != "native" or _PLUMBING.search(name) else f" {name}"


def _without_ancestors(hops: Sequence[Hop]) -> tuple[Hop, ...]:
    """Unname the elements above an element: they are where it stands, not why it lives."""
    kept: list[Hop] = []
    follower = ""
    for hop in reversed(hops):
        if hop.text.startswith(" <") and follower.startswith(" <"):
            kept.append(replace(hop, text=""))
        else:
            kept.append(hop)
            follower = hop.text or follower
    return tuple(reversed(kept))
