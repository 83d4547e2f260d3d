"""The way from a root to every object of a snapshot, told as its author would write it.

Law: a path through the program's own names beats a shorter one through the browser's insides,
and nothing that only the inspector or the test holds counts as held.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_sentinel.leaks.heapsnapshot import ATTACHED, Snapshot

Column = npt.NDArray[Any]

_PROGRAM, _BROWSER, _LAST, _NEVER = 0, 1, 2, 9

# Objects that grow by being inspected, measured or typed into, not by the page's doing.
_ARTIFACTS = re.compile(
    r"InjectedScript|UtilityScript|Inspector|NetworkResourcesData|XHRReplayData|DevTools"
    r"|Performance(?!Mark|Measure|Observer)\w*Timing|PerformanceLong|\w*ContentfulPaint|blink::UndoStack|blink::UndoStep|blink::WindowPerformance::"
    r"|MemoryCache|blink::Resource\b|SpeculationRule|blink::PaintTiming|InteractionTiming"
    r"|SoftNavigation|LayoutShift|ResponsivenessMetrics|VisibilityStateEntry"
)
# Names of the browser's own plumbing: they link things that have names, and have none to show.
_PLUMBING = re.compile(
    r"blink::|gin::|system / (?!Context)|EventListener$|RegisteredEventListener|EventListenerMap"
    r"|V8\w+(Callback|Function|NonNull|Handler|Listener|Constructor)\b|V8FrameCallback"
    r"|DOMTimer|\(|cppgc|std::|InternalNode|ScriptState|PropertyArray|JSArrayBufferData|ScheduledAction"
)


_SCOPES = ("HTMLDocument", "XMLDocument", "Document", "ShadowRoot", "DocumentFragment")
_LEAVES = ("Text", "Comment", "CDATASection")


class OwnerPaths:
    """One spanning tree over a snapshot, rooted where a developer would begin to look.

    Attributes:
        parent, parent_edge, depth: of every node; -1 where none.
        levels: the nodes in the order they were reached, parents always before children.
        reached: which nodes the page itself keeps alive.
        artifact: which of those are the browser's own books.
    """

    def __init__(self, snapshot: Snapshot, earlier: Snapshot | None = None) -> None:
        self.snapshot = snapshot
        self._earlier = earlier
        self._ways: dict[int, tuple[int, ...]] = {}
        count = len(snapshot)
        self._source = np.repeat(np.arange(count), np.diff(snapshot.first_edge))
        class_of, names = snapshot.classes
        native = snapshot.node_type == snapshot.type_index("native")
        names_in_dom = [n.startswith("<") or n in _LEAVES or n in _SCOPES for n in names]
        self._in_dom = np.array(names_in_dom, np.bool_)[class_of] & native
        self._is_scope_of_dom = np.array([n in _SCOPES for n in names], np.bool_)[class_of] & native
        self.parent = np.full(count, -1, np.int64)
        self.parent_edge = np.full(count, -1, np.int64)
        self.depth = np.full(count, -1, np.int32)
        self.levels: list[Column] = []
        self._worth = self._edge_worth()
        self._grow()
        self.reached = self.depth >= 0
        self.artifact = self._artifacts()
        self._hang_under_dom_parents()

    # ---- building

    def _edge_worth(self) -> Column:
        snapshot = self.snapshot
        source = self._source
        source_type = snapshot.node_type[source]
        target_type = snapshot.node_type[snapshot.edge_to]
        worth = np.full(snapshot.edge_to.size, _PROGRAM, np.uint8)
        native, synthetic = snapshot.type_index("native"), snapshot.type_index("synthetic")
        hidden_edge = snapshot.edge_type_index("hidden")
        prop = snapshot.edge_type_index("property")
        from_browser = (source_type == native) & (snapshot.edge_type != prop)
        worth[from_browser | (source_type == synthetic)] = _BROWSER
        worth[snapshot.edge_type == hidden_edge] = _BROWSER
        class_of, class_names = snapshot.classes
        blink = np.array([name.startswith("blink::") for name in class_names], np.bool_)[class_of]
        # Layout, id maps and the like point at nodes of the document; they do not own them.
        child = self._in_dom & ~self._is_scope_of_dom
        worth[(blink & (snapshot.node_type == native))[source] & child[snapshot.edge_to]] = _LAST
        internal = snapshot.edge_type == snapshot.edge_type_index("internal")
        to_native = (target_type == native) & internal
        worth[to_native] = _BROWSER
        for name in ("__proto__", "constructor"):
            found = snapshot.strings.index_of(name)
            if found is not None:
                worth[(snapshot.edge_name == found) & (snapshot.edge_type == prop)] = _BROWSER
        for kind, value in (("hidden", _BROWSER), ("code", _NEVER), ("object shape", _NEVER)):
            index = snapshot.type_index(kind)
            worth[(source_type == index) | (target_type == index)] = value
        worth[snapshot.edge_type == snapshot.edge_type_index("weak")] = _NEVER
        worth[snapshot.edge_type == snapshot.edge_type_index("shortcut")] = _BROWSER
        ephemeron = self._names_with(b" pair in WeakMap (table @")
        if ephemeron.size:
            pairs = internal & np.isin(snapshot.edge_name, ephemeron)
            array = snapshot.type_index("array")
            worth[pairs] = _BROWSER
            worth[pairs & (source_type == array)] = _NEVER
        held_by_test = self._names_with(b"/ DevTools console")
        worth[internal & np.isin(snapshot.edge_name, held_by_test)] = _NEVER
        return worth

    def _names_with(self, needle: bytes) -> Column:
        strings = self.snapshot.strings
        positions = [found.start() for found in re.finditer(re.escape(needle), strings.raw)]
        if not positions:
            return np.empty(0, np.int64)
        return np.unique(np.searchsorted(strings.starts, positions, "right") - 1)

    def _seeds(self) -> Column:
        """Return the global objects and script scopes, where the program's names begin."""
        snapshot = self.snapshot
        class_of, names = snapshot.classes
        wanted = [
            kind
            for kind, name in enumerate(names)
            if name.startswith("Window [JSGlobalObject]") or name == "system / ScriptContextTable"
        ]
        seeds = np.flatnonzero(np.isin(class_of, wanted))
        if self._earlier is None:
            return seeds
        # The global object of a frame that came later is held by somebody, and may be leaked.
        return seeds[np.isin(snapshot.node_id[seeds], self._earlier.node_id)]

    def _grow(self) -> None:
        seeds = self._seeds()
        self.depth[seeds] = 1
        self.depth[0] = 0
        self.levels += [np.array([0]), seeds]
        pending = [np.array([0]), seeds, *self._spread(seeds)]
        while pending:
            while pending:
                crossed = self._expand(np.concatenate(pending), _BROWSER)
                pending = [crossed, *self._spread(crossed)] if crossed.size else []
            crossed = self._expand(np.flatnonzero(self.depth >= 0), _LAST)
            pending = [crossed, *self._spread(crossed)] if crossed.size else []

    def _spread(self, frontier: Column) -> list[Column]:
        fresh = []
        while frontier.size:
            frontier = self._expand(frontier, _PROGRAM)
            if frontier.size:
                fresh.append(frontier)
        return fresh

    def _expand(self, nodes: Column, worth: int) -> Column:
        snapshot = self.snapshot
        first = snapshot.first_edge[nodes].astype(np.int64)
        counts = snapshot.first_edge[nodes + 1].astype(np.int64) - first
        total = int(counts.sum())
        if not total:
            return np.empty(0, np.int64)
        starts = np.repeat(first - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
        edges = starts + np.arange(total)
        source = np.repeat(nodes, counts)
        keep = self._worth[edges] == worth
        edges, source = edges[keep], source[keep]
        targets = snapshot.edge_to[edges]
        new = self.depth[targets] < 0
        edges, source, targets = edges[new], source[new], targets[new]
        found, place = np.unique(targets, return_index=True)
        found = found.astype(np.int64)
        self.parent[found] = source[place]
        self.parent_edge[found] = edges[place]
        self.depth[found] = self.depth[source[place]] + 1
        if found.size:
            self.levels.append(found)
        return found

    def _artifacts(self) -> Column:
        class_of, names = self.snapshot.classes
        bad = np.array([bool(_ARTIFACTS.search(name)) for name in names], np.bool_)
        own = bad[class_of]
        result = own.copy()
        for level in self.levels:
            parents = self.parent[level]
            has_parent = parents >= 0
            result[level[has_parent]] |= result[parents[has_parent]]
        return result

    def _hang_under_dom_parents(self) -> None:
        """Let a node that was reached through a sibling hang under the parent of both.

        Blink links a parent to its first child only. The tree scope and then the parent are
        neighbours among a node's edges; edges have no names to tell them by.
        """
        snapshot = self.snapshot
        native = snapshot.node_type == snapshot.type_index("native")
        in_dom, is_scope, source = self._in_dom, self._is_scope_of_dom, self._source
        element = snapshot.edge_type == snapshot.edge_type_index("element")
        target = snapshot.edge_to
        pairs = np.flatnonzero(element & (in_dom & ~is_scope)[source] & is_scope[target])
        pairs = pairs[pairs + 1 < target.size]
        following = target[pairs + 1]
        # The last edge of a node is one to itself; a node without a parent has that one next.
        parents = in_dom[following] & (following != source[pairs])
        pairs = pairs[(source[pairs + 1] == source[pairs]) & parents]
        child, first = np.unique(source[pairs], return_index=True)
        dom_parent = np.full(len(snapshot), -1, np.int64)
        dom_parent[child] = target[pairs[first] + 1]
        child = child[self.reached[child] & self.reached[dom_parent[child]]]
        above = self.parent[child]
        siblings = (above >= 0) & (dom_parent[above] == dom_parent[child])
        strangers = (above >= 0) & native[above] & ~in_dom[above]
        if self._earlier is not None:
            # A new node that is in the document belongs there, whoever else refers to it.
            young = ~np.isin(snapshot.node_id[child], self._earlier.node_id)
            attached = snapshot.detachedness[child] == ATTACHED
            strangers |= (above >= 0) & ~in_dom[above] & young & attached
        rest = [n for n in child[strangers].tolist() if not self._leads_to(n, int(dom_parent[n]))]
        moved = np.concatenate([child[siblings], np.array(rest, np.int64)])
        self.parent[moved] = dom_parent[moved]
        self.parent_edge[moved] = -1

    def _leads_to(self, ancestor: int, node: int) -> bool:
        while node >= 0 and node != ancestor:
            node = int(self.parent[node])
        return node == ancestor

    # ---- asking

    def way(self, node: int) -> tuple[int, ...]:
        """Return the nodes from the root down to ``node``, both included."""
        known = self._ways.get(node)
        if known is None:
            nodes = []
            place = node
            while place >= 0:
                nodes.append(place)
                place = int(self.parent[place])
            known = self._ways[node] = tuple(reversed(nodes))
        return known

    def under(self, node: int) -> Column:
        """Return which nodes hang under ``node`` in the tree."""
        mask = np.zeros(self.parent.size, np.bool_)
        mask[node] = True
        # Twice, because a node of the document may have been hung under a later one.
        for level in (*self.levels, *self.levels):
            above = self.parent[level]
            mask[level] |= (above >= 0) & mask[above]
        mask[node] = False
        return mask

    def is_plumbing(self, node: int) -> bool:
        """Tell whether a node has no name of its own to show."""
        kind = self.snapshot.type_name(node)
        if kind in ("array", "hidden", "code", "object shape", "synthetic"):
            return True
        return bool(_PLUMBING.match(self.snapshot.name(node))) and kind in ("native", "object")

    def nameable(self, node: int) -> int:
        """Return the nearest node from here to the root that a developer has a name for."""
        while self.is_plumbing(node):
            above = int(self.parent[node])
            if above < 0:
                return node
            node = above
        return node

    def _is_scope(self, node: int) -> bool:
        return self.snapshot.name(node).startswith("system / Context")

    def property_label(self, node: int) -> str:
        """Return the name of the property that holds ``node``, or "" if it is held otherwise."""
        edge = int(self.parent_edge[node])
        if edge < 0:
            return ""
        kind = self.snapshot.edge_types[self.snapshot.edge_type[edge]]
        return self.snapshot.edge_label(edge) if kind == "property" else ""

    def slot(self, owner: int, nodes: Sequence[int]) -> str:
        """Return the one property or variable of ``owner`` that leads to all ``nodes``, or ""."""
        found = set()
        for node in nodes:
            way = self.way(node)
            if owner not in way:
                return ""
            below = way[way.index(owner) + 1 :]
            found.add(next((text for step in below if (text := self._hop(step))), ""))
            if len(found) > 1:
                return ""
        text = found.pop() if found else ""
        return "" if text == "[*]" or text.startswith("<") or text.endswith("()") else text

    def hops(self, node: int) -> list[str]:
        """Return the path to ``node`` in readable steps, the root first."""
        steps: list[str] = []
        for place in self.way(node):
            text = self._hop(place)
            if text in ("window", "document"):
                # The global objects need no path: everybody knows where they are.
                steps = [text]
            elif text:
                steps.append(text)
        return _folded(steps)

    def owner_text(self, node: int) -> str:
        """Return the path from the last name that a developer would start from."""
        text = ""
        for step in self.hops(node):
            text = text + step if step[0] in ".[" else step
        name = self.snapshot.name(node)
        if name.startswith("<") and not text.endswith(name):
            text = f"{text} {name}"
        return text

    def closure_below(self, owner: int, node: int) -> str:
        """Return the name of the first function between ``owner`` and ``node``, as a call."""
        way = self.way(node)
        for place in way[way.index(owner) + 1 :]:
            if self.snapshot.type_name(place) == "closure":
                return f"{self.snapshot.name(place) or 'anonymous'}()"
        return ""

    def class_between(self, node: int, owner: int, pattern: re.Pattern[str]) -> str:
        """Return what ``pattern`` finds in a class name on the way from ``owner`` to ``node``."""
        while node >= 0 and node != owner:
            found = pattern.search(self.snapshot.name(node))
            if found:
                return found.group()
            node = int(self.parent[node])
        return ""

    def _hop(self, node: int) -> str:
        snapshot = self.snapshot
        name = snapshot.name(node)
        edge = int(self.parent_edge[node])
        if name.startswith("Window [JSGlobalObject]"):
            return "window"
        if name.startswith("HTMLDocument"):
            return "document"
        if name.startswith("Window") and snapshot.type_name(node) == "native":
            return "window"
        if edge < 0:
            return name if self.parent[node] >= 0 else ""
        kind, label = snapshot.edge_types[snapshot.edge_type[edge]], snapshot.edge_label(edge)
        if kind == "property":
            if label.startswith("<symbol"):
                return f"[Symbol({label[8:-1]})]"
            plain = label.isidentifier() or (label[:1] == "#" and label[1:].isidentifier())
            return f".{label}" if plain else f'["{label}"]'
        if kind == "context":
            return label
        if kind == "element" and snapshot.type_name(int(self.parent[node])) != "native":
            return "" if self.is_plumbing(node) else "[*]"
        if self.is_plumbing(node) or self._is_scope(node):
            return ""
        if snapshot.type_name(node) == "native":
            return name
        if snapshot.type_name(node) == "closure":
            return f"{name or 'anonymous'}()"
        if snapshot.type_name(int(self.parent[node])) == "array":
            return "[*]"
        return ""


def _folded(steps: list[str]) -> list[str]:
    """Shorten the same step many times over: a linked list has one name, not a thousand."""
    result: list[str] = []
    for step in steps:
        if len(result) >= 2 and result[-1] == step == result[-2]:
            continue
        result.append(step)
    return result
