"""What a person wants to know first about a heap snapshot, and about one object in it.

Facts only, as plain data that can be printed or written as JSON; heapcommand.py does both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from pytest_sentinel.leaks.heapdiff import ClassDelta, diff, shares_ids, survivors
from pytest_sentinel.leaks.heapsnapshot import DETACHED, Location, Nodes, Snapshot, Tally
from pytest_sentinel.leaks.retainerpaths import RetainerPath, path_through, shortest_path
from pytest_sentinel.leaks.retainers import Graph, propagate_detachedness

TEXT_LIMIT: Final = 200
_DOM: Final = frozenset(
    {"Text", "Comment", "CDATASection", "DocumentFragment", "ShadowRoot", "HTMLDocument", "Attr"}
)


@dataclass(frozen=True, slots=True)
class Constructor:
    """A class of objects; ``retained`` are the bytes that would go if all of them went."""

    name: str
    count: int
    size: int
    retained: int


@dataclass(frozen=True, slots=True)
class Holder:
    """What keeps some nodes alive.

    Attributes:
        path: how they are reached, indexes as ``*``.
        count: how many of them it holds directly.
        example: class of one of them, with its ``@id`` in ``example_id``.
    """

    path: str
    count: int
    example: str
    example_id: int


@dataclass(frozen=True, slots=True)
class DetachedDom:
    """DOM nodes that are in no document and still reachable."""

    count: int
    size: int
    retained: int
    classes: list[Tally]
    holders: list[Holder]


@dataclass(frozen=True, slots=True)
class Text:
    """A string of the heap, or several equal ones; ``size`` is that of all together.

    V8 writes only the beginning of a long string; ``text`` is at most its first 200 letters.
    """

    text: str
    count: int
    size: int
    node_id: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The first page about a snapshot; sizes are bytes."""

    nodes: int
    edges: int
    size: int
    reachable_nodes: int
    reachable_size: int
    native_size: int
    types: list[Tally]
    by_size: list[Constructor]
    by_count: list[Tally]
    detached: DetachedDom
    strings: list[Text]
    duplicates: list[Text]


@dataclass(frozen=True, slots=True)
class NodeReport:
    """One object: what it is, what it keeps, and who keeps it.

    Attributes:
        path: the best way to it from a root; None when only weak references lead there.
        retainers: one path for each holder that stays reachable without this object.
        retainer_count: how many of those there are, of which ``retainers`` are the first.
    """

    node_id: int
    name: str
    class_name: str
    type: str
    size: int
    retained: int
    detached: bool
    location: Location | None
    path: RetainerPath | None
    retainers: list[RetainerPath]
    retainer_count: int


@dataclass(frozen=True, slots=True)
class Growth:
    """What a snapshot has more than an earlier one.

    Attributes:
        same_ids: whether ids were kept between the two; without, nothing is known of survivors.
        classes: those that grew, most bytes first.
        held_by: for each of these, what holds most of its new objects; empty when unknown.
    """

    same_ids: bool
    nodes: int
    node_delta: int
    size: int
    size_delta: int
    classes: list[ClassDelta]
    held_by: list[str]


def overview(graph: Graph, top: int) -> Overview:
    """Return the first page about a snapshot, with at most ``top`` rows in each list."""
    snapshot = graph.snapshot
    class_of, names = snapshot.classes
    tallies = snapshot.constructors()
    places = {name: place for place, name in enumerate(names)}
    heaviest = [np.flatnonzero(class_of == places[tally.name]) for tally in tallies[:top]]
    detached = _detached_dom(snapshot)
    *retained, retained_by_dom = graph.retained_bytes([*heaviest, detached])
    detached = detached[graph.alive[detached]]
    return Overview(
        nodes=len(snapshot),
        edges=int(snapshot.edge_to.size),
        size=int(snapshot.self_size.sum()),
        reachable_nodes=int(graph.alive.sum()),
        reachable_size=int(snapshot.self_size[graph.alive].sum()),
        native_size=int(snapshot.head.get("extra_native_bytes", 0)),
        types=snapshot.totals(),
        by_size=[
            Constructor(tally.name, tally.count, tally.size, size)
            for tally, size in zip(tallies, retained, strict=False)
        ],
        by_count=sorted(tallies, key=lambda tally: (-tally.count, tally.name))[:top],
        detached=DetachedDom(
            count=int(detached.size),
            size=int(snapshot.self_size[detached].sum()),
            retained=retained_by_dom,
            classes=snapshot.constructors(detached)[:top] if detached.size else [],
            holders=holders(graph, detached, top),
        ),
        strings=_biggest_strings(snapshot, top),
        duplicates=_duplicate_strings(snapshot, top),
    )


def describe_node(graph: Graph, node: int, top: int) -> NodeReport:
    """Return what is known about one node, with at most ``top`` of its retainers."""
    snapshot = graph.snapshot
    retainers, tree = graph.independent_retainers(node)
    paths = [path_through(tree, retainer.edge) for retainer in retainers[:top]]
    return NodeReport(
        node_id=int(snapshot.node_id[node]),
        name=snapshot.name(node)[:TEXT_LIMIT],
        class_name=snapshot.class_name(node),
        type=snapshot.type_name(node),
        size=int(snapshot.self_size[node]),
        retained=graph.retained_bytes([np.array([node])])[0],
        detached=bool(propagate_detachedness(snapshot)[node] == DETACHED),
        location=snapshot.location(node),
        path=shortest_path(graph.tree, node),
        retainers=[path for path in paths if path is not None],
        retainer_count=len(retainers),
    )


def growth(before: Snapshot, graph: Graph, top: int) -> Growth:
    """Return what the graph's snapshot has more than ``before``, at most ``top`` classes."""
    after = graph.snapshot
    grown = [d for d in diff(before, after) if d.size_delta > 0 or d.count_delta > 0][:top]
    same_ids = shares_ids(before, after)
    class_of, names = after.classes
    born = ~survivors(before, after) & graph.alive
    held_by = []
    for delta in grown:
        new = np.flatnonzero(born & (class_of == names.index(delta.name)))
        found = holders(graph, new, 1) if same_ids else []
        held_by.append(found[0].path if found else "")
    return Growth(
        same_ids=same_ids,
        nodes=len(after),
        node_delta=len(after) - len(before),
        size=int(after.self_size.sum()),
        size_delta=int(after.self_size.sum()) - int(before.self_size.sum()),
        classes=grown,
        held_by=held_by,
    )


def holders(graph: Graph, nodes: Nodes, top: int) -> list[Holder]:
    """Return what holds the topmost of ``nodes``, the busiest first, at most ``top``."""
    snapshot, tree = graph.snapshot, graph.tree
    among = np.zeros(len(snapshot), np.bool_)
    among[nodes] = True
    rooted = nodes[tree.via[nodes] >= 0]
    above = snapshot.holders(tree.via[rooted])
    outermost = ~among[above]
    rooted, above = rooted[outermost], above[outermost]
    _, first, counts = np.unique(above, return_index=True, return_counts=True)
    found: dict[str, Holder] = {}
    # Several holders can have one pattern, so a few more are worded than are wanted.
    for place in np.argsort(-counts, kind="stable")[: 4 * top].tolist():
        node = int(rooted[first[place]])
        path = shortest_path(tree, node)
        pattern = "" if path is None else path.pattern
        before = found[pattern].count if pattern in found else 0
        found[pattern] = Holder(
            path=pattern,
            count=int(counts[place]) + before,
            example=snapshot.class_name(node),
            example_id=int(snapshot.node_id[node]),
        )
    return sorted(found.values(), key=lambda holder: (-holder.count, holder.path))[:top]


def _detached_dom(snapshot: Snapshot) -> Nodes:
    class_of, names = snapshot.classes
    dom = np.array([name.startswith("<") or name in _DOM for name in names], np.bool_)
    return np.flatnonzero((propagate_detachedness(snapshot) == DETACHED) & dom[class_of])


def _string_nodes(snapshot: Snapshot) -> Nodes:
    return np.flatnonzero(snapshot.node_type == snapshot.type_index("string"))


def _biggest_strings(snapshot: Snapshot, top: int) -> list[Text]:
    nodes = _string_nodes(snapshot)
    biggest = nodes[np.argsort(-snapshot.self_size[nodes], kind="stable")[:top]]
    return [
        Text(
            text=snapshot.name(node)[:TEXT_LIMIT],
            count=1,
            size=int(snapshot.self_size[node]),
            node_id=int(snapshot.node_id[node]),
        )
        for node in biggest.tolist()
    ]


def _duplicate_strings(snapshot: Snapshot, top: int) -> list[Text]:
    """Return the strings that exist more than once, those that waste most first."""
    nodes = _string_nodes(snapshot)
    nodes = nodes[np.bincount(snapshot.node_name[nodes])[snapshot.node_name[nodes]] > 1]
    # Equal beginnings of long strings share a name, so equal sizes are asked for too.
    keys = np.stack((snapshot.node_name[nodes].astype(np.int64), snapshot.self_size[nodes]))
    order = np.lexsort(keys)
    starts = np.flatnonzero(np.any(np.diff(keys[:, order], prepend=-1), axis=0))
    counts = np.diff(starts, append=order.size)
    sizes = keys[1, order[starts]]
    wasted = (counts - 1) * sizes
    worst = np.argsort(-wasted, kind="stable")[:top]
    return [
        Text(
            text=snapshot.strings[int(keys[0, order[starts[place]]])][:TEXT_LIMIT],
            count=int(counts[place]),
            size=int(counts[place] * sizes[place]),
            node_id=int(snapshot.node_id[nodes[order[starts[place]]]]),
        )
        for place in worst.tolist()
        if wasted[place] > 0
    ]
