"""Take the snapshots of a suspected page and turn what they show into named leaks.

Everything that needs numpy is imported from here on, so that counters work without it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from pytest_sentinel.leaks.cohorts import (
    PROBABLE,
    Growth,
    awaited_by_timers,
    is_document_node,
    survivors,
    swollen,
)
from pytest_sentinel.leaks.counters import Collection, Counters
from pytest_sentinel.leaks.heapedges import PROGRAM
from pytest_sentinel.leaks.heapsnapshot import Snapshot
from pytest_sentinel.leaks.ownerpath import OwnerPaths
from pytest_sentinel.leaks.pagescripts import OBJECT_URLS
from pytest_sentinel.leaks.retainers import Graph
from pytest_sentinel.leaks.verdict import Finding, Leak, Rate

_OBSERVER = re.compile(r"(Mutation|Intersection|Resize|Performance|Reporting)Observer")
_BUFFER = re.compile(r"ArrayBuffer|(Int|Uint|Float|BigInt|BigUint)\d+(Clamped)?Array|DataView")
_COLLECTION = re.compile(r"Array|Map|Set|WeakMap")

_HELD_BY_PROGRAM = ("heap", "collection", "closure", "string", "array-buffer", "detached-dom")
_VIRTUAL_CLOCK = ".__pwClock."  # Playwright's, which keeps a page's timers while it is installed
_LEAST_SWELLING = 8  # bytes per iteration
_SLOWEST = 6  # iterations per leaked object; what grows more slowly is beyond a quick check
_FEWEST_AWAITED = 3  # of one class: a lone timer brings a closure or two of its own
_STILL_THERE = 0.8  # of the accused objects, after their timers had time to fire
_ROLES = {"listeners": "event listener", "timer": "timer", "observer": "observer"}


class Forensics:
    """Two snapshots with a mark between them, and what they say.

    Attributes:
        raw: the snapshots as files, oldest first.
        findings: what else was seen that a reader should know.
        windows: the iterations between the snapshots that were judged last.
        explained: counters whose growth is the browser's own bookkeeping.
    """

    def __init__(self, counters: Counters) -> None:
        self.counters = counters
        self.raw: tuple[bytes, ...] = ()
        self.findings: list[Finding] = []
        self.windows: tuple[int, ...] = ()
        self.explained: set[str] = set()
        self._before: Snapshot | None = None
        self._between: Snapshot | None = None
        self._after: Snapshot | None = None
        self._late: dict[Leak, Any] = {}
        self._awaited = 0
        self._repeated = False
        self._accused = False
        self._swellings: dict[tuple[int, str], float] = {}

    def begin(self) -> None:
        """Take the snapshot before the windows; the one that ended the last pair will do."""
        self._before = self._after or self._take()
        self._between = None

    def divide(self) -> None:
        """Take the snapshot between two windows."""
        self._between = self._take()

    def end(self) -> None:
        """Take the snapshot after the windows."""
        self._after = self._take()

    def _take(self) -> Snapshot:
        data = self.counters.snapshot()
        self.raw = (*self.raw[:1], data)
        return Snapshot.from_chunks([data])

    @property
    def awaits_timers(self) -> bool:
        """Tell whether what timers refer to, that have yet to fire, may change the verdict."""
        return bool(self._late) or (not self._accused and self._awaited >= _FEWEST_AWAITED)

    def given_back(self) -> list[Leak]:
        """Look once more, and return the accused whose objects go now that timers fired."""
        now = self._after = self._take()
        return [
            leak
            for leak, ids in self._late.items()
            if np.isin(ids, now.node_id).sum() < _STILL_THERE * ids.size
        ]

    def leaks(
        self, windows: Sequence[int], collections: Sequence[Collection]
    ) -> tuple[list[Leak], bool]:
        """Return the proven leaks, worst first, and whether something weaker was seen."""
        before, between, after = self._before, self._between, self._after
        if before is None or after is None:
            raise RuntimeError("bug: asked for leaks without two snapshots")
        if between is None:
            windows = [sum(windows)]
        self.windows = tuple(windows)
        paths = OwnerPaths(after, before)
        growths = survivors(before, between, after, windows, paths)
        proven = [growth for growth in growths if growth.strength >= PROBABLE]
        awaited = awaited_by_timers(before, after, paths)
        self._awaited = int(np.bincount(after.classes[0][awaited], minlength=1).max())
        late = {
            growth.owner: after.node_id[growth.nodes]
            for growth in proven
            if 2 * int(awaited[growth.nodes].sum()) >= growth.nodes.size
        }
        urls = self.counters.script_urls() if proven or collections else {}
        span = sum(windows)
        graph = Graph(after) if proven else None
        sizes = graph.retained_bytes([growth.nodes for growth in proven]) if graph else []
        named = [
            (growth, self._leak(growth, paths, graph, size, windows, urls))
            for growth, size in zip(proven, sizes, strict=True)
            if graph is not None
        ]
        self._late = {leak: late[growth.owner] for growth, leak in named if growth.owner in late}
        leaks = [leak for _, leak in named]
        # What the page's author can name comes first; the browser's own objects follow from it.
        leaks.sort(key=lambda leak: (leak.kind == "native", not leak.owner))
        known = {growth.owner for growth in proven}
        for collection in collections:
            node = after.index_of(collection.heap_id)
            if node is None or node in known or not paths.reached[node] or paths.artifact[node]:
                continue
            known.add(node)
            entries = collection.sizes
            leaks.append(
                Leak(
                    kind="collection",
                    owner=paths.owner_text(node),
                    retainer_path=tuple(paths.hops(node)),
                    constructor="entry",
                    per_iteration=Rate((entries[-1] - entries[-2]) / span, 0),
                    retained_bytes=int(after.self_size[node]),
                    evidence=f"{' -> '.join(map(str, entries))} entries",
                )
            )
        self._explain(before, after, paths, span)
        grown = swollen(before, after, paths, _LEAST_SWELLING * span)
        rates = {slot: gained / span for slot, (_, gained) in grown.items()}
        for slot, (node, gained) in grown.items():
            earlier = self._swellings.get(slot)
            if earlier is None or not 0.5 <= rates[slot] / earlier <= 2 or leaks:
                continue
            leaks.append(
                Leak(
                    kind=self._kind_of_content(after, node),
                    owner=paths.owner_text(node),
                    retainer_path=tuple(paths.hops(node)),
                    constructor=after.class_name(node),
                    per_iteration=Rate(0, round(rates[slot])),
                    retained_bytes=gained,
                    location=self._location(node, paths, after, urls),
                    evidence=f"{earlier:.0f}, then {rates[slot]:.0f} bytes more per iteration",
                )
            )
        self._swellings = rates
        self._accused = bool(leaks)
        slow = any(growth.net * _SLOWEST >= span for growth in growths)
        # A swelling is believed when it is seen a second time.
        unproven = bool(rates) and not self._repeated
        self._repeated = True
        return leaks, slow or unproven

    def _kind_of_content(self, after: Snapshot, node: int) -> str:
        if "string" in after.type_name(node):
            return "string"
        return "array-buffer" if _BUFFER.search(after.class_name(node)) else "heap"

    def _leak(
        self,
        growth: Growth,
        paths: OwnerPaths,
        graph: Graph,
        size: int,
        windows: Sequence[int],
        urls: dict[int, str],
    ) -> Leak:
        after = paths.snapshot
        kind = self._kind(growth, paths, after)
        span = sum(windows)
        retainers = 1
        if kind in _HELD_BY_PROGRAM:
            found, tree = graph.independent_retainers(growth.example)
            strict = [r for r in found if tree.cost[r.owner] == PROGRAM]
            retainers = max(1, len({r.owner for r in strict}))
        return Leak(
            kind=kind,
            owner=self._owner(growth, kind, paths),
            retainer_path=tuple(paths.hops(growth.example)),
            constructor=growth.constructor,
            per_iteration=Rate(round(growth.net / span, 2), round(size / span)),
            retained_bytes=size,
            location=self._location(growth.example, paths, after, urls),
            evidence=", then ".join(
                f"{born} from {window} iterations"
                for born, window in zip(growth.born, windows, strict=True)
            )
            + " survived",
            retainers=retainers,
        )

    def _owner(self, growth: Growth, kind: str, paths: OwnerPaths) -> str:
        """Return the owner's path and, for what the browser holds on its behalf, by what."""
        text = paths.owner_text(growth.owner)
        if kind == "timer" and _VIRTUAL_CLOCK in text:
            text = "window"
        role = _ROLES.get(kind)
        if role is None:
            separator = "" if not growth.slot or growth.slot[0] in ".[" else " "
            return f"{text}{separator}{growth.slot}"
        if kind == "observer":
            role = paths.class_between(growth.example, growth.owner, _OBSERVER) or role
        return f"{text} {role} {paths.closure_below(growth.owner, growth.example)}".rstrip()

    def _kind(self, growth: Growth, paths: OwnerPaths, after: Snapshot) -> str:
        example, owner = growth.example, growth.owner
        if growth.slot == OBJECT_URLS or paths.hops(example)[-2:-1] == [OBJECT_URLS]:
            return "blob-url"
        if growth.role in ("observer", "timer"):
            return growth.role
        if _VIRTUAL_CLOCK in paths.owner_text(owner):
            return "timer"
        name = growth.constructor
        if name.startswith(("HTMLDocument", "Window")):
            return "document"
        if name in ("Worker", "SharedWorker"):
            return "worker"
        if name.startswith("<") or name in ("Text", "Comment", "DocumentFragment", "ShadowRoot"):
            return "dom" if self._is_attached(growth, paths, after) else "detached-dom"
        if growth.role == "listeners":
            return growth.role
        if _BUFFER.search(name) or name.startswith("system / JSArrayBuffer"):
            return "array-buffer"
        if "string" in name:
            return "string"
        if name == "Function":
            return "closure"
        if _COLLECTION.fullmatch(after.class_name(owner)):
            return "collection"
        return "native" if after.type_name(example) == "native" else "heap"

    def _is_attached(self, growth: Growth, paths: OwnerPaths, after: Snapshot) -> bool:
        state = int(after.detachedness[growth.example])
        if state:
            return state == 1
        return paths.hops(growth.example)[:1] == ["document"] or after.class_name(
            growth.owner
        ).startswith("<")

    def _location(
        self, node: int, paths: OwnerPaths, after: Snapshot, urls: dict[int, str]
    ) -> str | None:
        """Return where the nearest code stands: the leaked closure, or what holds the owner."""
        for step in reversed(paths.way(node)):
            place = after.location(step)
            if place is not None and place.script_id in urls:
                return f"{urls[place.script_id] or 'script'}:{place.line}:{place.column}"
        return None

    def _explain(self, before: Snapshot, after: Snapshot, paths: OwnerPaths, span: int) -> None:
        """Recognise growth of nodes that only the browser's books or the test's handles hold."""
        class_of, names = after.classes
        dom = [kind for kind, name in enumerate(names) if is_document_node(name)]
        born = ~np.isin(after.node_id, before.node_id) & np.isin(class_of, dom)
        self.findings = []
        for held, text in (
            (paths.reached & paths.artifact, "the browser's undo history keeps typed text"),
            (~paths.reached, "handles of the test keep elements alive; dispose of them"),
        ):
            if int((born & held).sum()) >= span // 2:
                self.explained.add("nodes")
                self.findings.append(Finding(text))
