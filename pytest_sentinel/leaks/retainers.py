"""Who keeps what alive: reachability, retainer paths, retained bytes, detached state.

Every question is one breadth-first search in numpy: a level of the graph at a time where levels are
wide, node by node where they are narrow, so that a linked list of any length costs linear time.
Retained bytes need no dominator tree: what can no longer be reached when some nodes are blocked is
what those nodes retain, and up to 64 such questions share one search, a bit for each. How a path is
written is retainerpaths.py's business.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pytest_sentinel.leaks.heapcolumns import Column
from pytest_sentinel.leaks.heapedges import (
    BROWSER,
    MACHINERY,
    NEVER,
    PROGRAM,
    ROOT,
    edge_worth,
    node_kinds,
)
from pytest_sentinel.leaks.heapsnapshot import ATTACHED, DETACHED, UNKNOWN, Nodes, Snapshot

_SCRIPT_SCOPE: Final = "system / ScriptContextTable"
_CELLS: Final = ("system / ContextCell", "system / PropertyCell", "system / PropertyArray")
_GLOBAL_OBJECT: Final = " [JSGlobalObject]"
_BITS: Final = 64
_NARROW: Final = 192  # edges; below this, plain Python beats the fixed cost of numpy calls
_SLICE: Final = 16_384  # nodes expanded at a time, to bound the working memory


@dataclass(frozen=True, slots=True)
class Retainer:
    """A holder of a node that stays reachable without it.

    Attributes:
        edge: an edge through which it holds the node.
        owner: the node that a developer would name as the holder: the Map, not its table.
    """

    edge: int
    owner: int


class Tree:
    """The best path from a root to every node, as the edge by which each was first reached.

    Attributes:
        via: that edge, or -1 for a root and for what was not reached.
        cost: PROGRAM, BROWSER or MACHINERY by the worst edge needed; 0 where nothing leads to.
    """

    def __init__(self, snapshot: Snapshot, via: Column, cost: Column) -> None:
        self.snapshot = snapshot
        self.via = via
        self.cost = cost

    def edges_to(self, node: int) -> list[int] | None:
        """Return the edges from a root to ``node`` in that order, or None if it is not reached."""
        if not self.cost[node]:
            return None
        edges = []
        while (edge := int(self.via[node])) >= 0:
            edges.append(edge)
            node = self.snapshot.holder(edge)
        return edges[::-1]


class Graph:
    """The edges of a snapshot with their worth, and the questions that searches answer.

    Attributes:
        worth: PROGRAM, BROWSER, MACHINERY or NEVER (weak, or a WeakMap's hold on its values,
            which the keys hold) for each edge.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._alive: Column | None = None
        self.kind = node_kinds(snapshot)
        self.worth = edge_worth(snapshot, self.kind)

    @property
    def alive(self) -> Column:
        """Which nodes can be reached from the root."""
        if self._alive is None:
            self._alive = self.reachable()
        return self._alive

    @functools.cached_property
    def tree(self) -> Tree:
        """The best path to every node."""
        return self.paths()

    @functools.cached_property
    def scopes(self) -> Nodes:
        """The tables of top-level ``const``, ``let`` and ``class``, one for each global object."""
        return self._nodes_of_class(_SCRIPT_SCOPE)

    @functools.cached_property
    def global_objects(self) -> Nodes:
        """The objects that scripts know as ``window``, ``self`` or ``globalThis``."""
        snapshot = self.snapshot
        edges = np.array(snapshot.edges_of(0), np.int64)
        shortcut = snapshot.edge_type[edges] == snapshot.edge_type_index("shortcut")
        class_of, names = snapshot.classes
        named = [place for place, name in enumerate(names) if name.endswith(_GLOBAL_OBJECT)]
        return np.union1d(
            snapshot.edge_to[edges[shortcut]], np.flatnonzero(np.isin(class_of, named))
        )

    def reachable(self, blocked: Nodes | None = None) -> Column:
        """Return which nodes can be reached from the root; ``blocked`` ones count as removed."""
        search = _Search(self.snapshot, self.worth < NEVER, [] if blocked is None else [blocked])
        search.run(np.zeros(1, np.int64))
        return search.reached()

    def retained_bytes(self, groups: Sequence[Nodes]) -> list[int]:
        """Return the bytes that each group of nodes retains, itself included.

        That is what the collector could free if the whole group went away at once. Nodes that are
        not reachable anyway retain nothing.
        """
        sizes: list[int] = []
        nobody = np.empty(0, np.int64)
        for start in range(0, len(groups), _BITS - 1):
            # The last question blocks nothing: its answer is what is reachable at all.
            batch = [*groups[start : start + _BITS - 1], nobody]
            search = _Search(self.snapshot, self.worth < NEVER, batch)
            search.run(np.zeros(1, np.int64))
            self._alive = search.reached(len(batch) - 1)
            for bit in range(len(batch) - 1):
                lost = self._alive & ~search.reached(bit)
                sizes.append(int(self.snapshot.self_size[lost].sum()))
        return sizes

    def paths(self, blocked: Nodes | None = None) -> Tree:
        """Return the best path to every node, as if ``blocked`` ones were removed.

        Paths over what a program wrote (properties, elements, variables) from its own globals come
        first, then those through the browser's objects, then from V8's and Blink's handles, and
        through V8's machinery only where nothing else leads.
        """
        snapshot = self.snapshot
        cost = np.zeros(len(snapshot), np.uint8)
        search = _Search(snapshot, self.worth <= PROGRAM, [] if blocked is None else [blocked])
        # The window of a frame that is gone may wait for the collector, or hang on what is blocked.
        live = self.alive if blocked is None else self.reachable(blocked)
        beginnings = np.union1d(self.global_objects, self.scopes)
        handles = np.flatnonzero((self.kind == ROOT) & live)
        for limit, roots in (
            (PROGRAM, beginnings[live[beginnings]]),
            (BROWSER, handles[:0]),
            (BROWSER, handles),
            (MACHINERY, handles[:0]),
        ):
            search.usable = self.worth <= limit
            search.run(np.concatenate((roots, search.border())))
            cost[search.reached() & (cost == 0)] = limit
        return Tree(snapshot, search.via, cost)

    def independent_retainers(self, node: int) -> tuple[list[Retainer], Tree]:
        """Return who holds ``node`` without its help, and the paths on which each is reached.

        With more than one, cutting one frees nothing. Best paths come first.
        """
        snapshot = self.snapshot
        tree = self.paths(np.array([node]))
        edges = snapshot.edges_into(node)
        edges = edges[self.worth[edges] < NEVER]
        holders = snapshot.holders(edges)
        held = tree.cost[holders] > 0
        found: dict[int, int] = {}
        order = np.lexsort((self.worth[edges[held]], tree.cost[holders[held]]))
        for place in order.tolist():
            edge, holder = int(edges[held][place]), int(holders[held][place])
            found.setdefault(self._owner(holder, tree), edge)
        return [Retainer(edge, owner) for owner, edge in found.items()], tree

    def _owner(self, node: int, tree: Tree) -> int:
        """Climb from V8's backing stores to the object they belong to."""
        snapshot = self.snapshot
        while snapshot.type_name(node) in ("array", "hidden") or (
            snapshot.class_name(node) in _CELLS
        ):
            edge = int(tree.via[node])
            if edge < 0:
                return node
            node = snapshot.holder(edge)
        return node

    def _nodes_of_class(self, name: str) -> Nodes:
        class_of, names = self.snapshot.classes
        return np.flatnonzero(class_of == names.index(name)) if name in names else np.empty(0, int)


class _Search:
    """One flood over the graph that answers up to 64 questions, a bit of ``marks`` for each."""

    def __init__(self, snapshot: Snapshot, usable: Column, blocked: Sequence[Nodes]) -> None:
        self.snapshot = snapshot
        self.first = snapshot.first_edge
        self.to = snapshot.edge_to
        self.usable = usable
        self.blocked = blocked
        self.bits = (1 << max(len(blocked), 1)) - 1
        kind = np.min_scalar_type(self.bits)
        self.marks = np.zeros(len(snapshot), kind)
        self.fresh = np.zeros(len(snapshot), kind)  # bits that a node has yet to pass on
        self.via = np.full(len(snapshot), -1, np.int32)
        for bit, nodes in enumerate(blocked):
            # What passes for reached already is never entered.
            self.marks[nodes] |= kind.type(1 << bit)

    def reached(self, bit: int = 0) -> Column:
        """Return which nodes question ``bit`` reached."""
        reached: Column = (self.marks & self.marks.dtype.type(1 << bit)) != 0
        if self.blocked:
            reached[self.blocked[bit]] = False
        return reached

    def border(self) -> Nodes:
        """Return the nodes reached by the first question from which it can now go further."""
        crossing = np.repeat(self.reached(), np.diff(self.first))
        crossing &= self.usable
        crossing &= (self.marks == 0)[self.to]
        holders = np.zeros(self.marks.size, np.bool_)
        holders[self.snapshot.holders(np.flatnonzero(crossing))] = True
        return np.flatnonzero(holders)

    def run(self, frontier: Nodes) -> None:
        """Flood from ``frontier`` until nothing new is reached."""
        self.fresh[frontier] = self.bits
        for bit, nodes in enumerate(self.blocked):
            self.fresh[nodes] &= self.fresh.dtype.type(self.bits ^ (1 << bit))
        self.marks[frontier] |= self.fresh[frontier]
        nodes = frontier[self.fresh[frontier] != 0]
        while nodes.size:
            starts = self.first[nodes].astype(np.int64)
            counts = self.first[nodes + 1] - starts
            if int(counts.sum()) > _NARROW:
                nodes = self._wide(nodes, starts, counts)
            else:
                nodes = self._narrow(nodes.tolist())

    def _wide(self, nodes: Nodes, starts: Nodes, counts: Nodes) -> Nodes:
        """Pass the fresh bits of one level on; return the next level."""
        bits = self.fresh[nodes]
        self.fresh[nodes] = 0
        following = [nodes[:0]]
        for at in range(0, nodes.size, _SLICE):
            count = counts[at : at + _SLICE]
            ends = np.cumsum(count)
            edges = np.repeat(starts[at : at + _SLICE] - (ends - count), count)
            edges += np.arange(edges.size)
            targets = self.to[edges]
            news = np.repeat(bits[at : at + _SLICE], count)
            news &= ~self.marks[targets]
            news *= self.usable[edges]
            kept = np.flatnonzero(news)
            edges, targets, news = edges[kept], targets[kept], news[kept]
            idle = self.fresh[targets] == 0
            self.via[targets[idle]] = edges[idle]
            # Of several edges to one node the one that stayed in ``via`` stands for all.
            following.append(targets[idle & (self.via[targets] == edges)].astype(np.int64))
            while targets.size:
                self.marks[targets] |= news
                self.fresh[targets] |= news
                lost = np.flatnonzero((self.fresh[targets] & news) != news)
                targets, news = targets[lost], news[lost]
        return np.concatenate(following)

    def _narrow(self, nodes: list[int]) -> Nodes:
        """Do the same level by level in plain Python, until a level is wide."""
        # An element of a memoryview costs a third of one of an array.
        first, to, usable = self.first.data, self.to.data, self.usable.data
        marks, fresh, via = self.marks.data, self.fresh.data, self.via.data
        work = 0
        while nodes and work <= _NARROW:
            following = []
            work = 0
            for node in nodes:
                bits = fresh[node]
                fresh[node] = 0
                for edge in range(first[node], first[node + 1]):
                    target = to[edge]
                    news = bits & ~marks[target]
                    if news and usable[edge]:
                        if not fresh[target]:
                            following.append(target)
                            via[target] = edge
                            work += first[target + 1] - first[target]
                        fresh[target] |= news
                        marks[target] |= news
            nodes = following
        return np.array(nodes, np.int64)


def propagate_detachedness(snapshot: Snapshot) -> Column:
    """Return for every node whether it is ATTACHED, DETACHED or UNKNOWN, as DevTools decides it.

    V8 marks the DOM nodes that scripts have touched; their state spreads to the browser's objects
    below them, and what an attached node leads to stays attached.
    """
    states = snapshot.detachedness.copy()
    native = snapshot.node_type == snapshot.type_index("native")
    usable = native[snapshot.edge_to]
    for kind in ("weak", "hidden"):
        usable &= snapshot.edge_type != snapshot.edge_type_index(kind)
    for state in (ATTACHED, DETACHED):
        settled = np.flatnonzero((states != UNKNOWN) & (states != state))
        search = _Search(snapshot, usable, [settled])
        search.run(np.flatnonzero((states == state) & native))
        states[search.reached()] = state
    return states
