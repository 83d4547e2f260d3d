"""What each edge of a snapshot is worth to somebody who asks why an object is still alive.

A property that the program wrote explains more than a slot inside Blink, and that more than V8's
bookkeeping; some edges hold nothing at all. This is decided once for all edges, by type, with few
exceptions by name. No search happens here: retainers.py follows the edges.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from pytest_sentinel.leaks.heapcolumns import Column
from pytest_sentinel.leaks.heapsnapshot import Nodes, Snapshot

# Best first; NEVER is weak, or a WeakMap's hold on its values, which their keys hold.
PROGRAM, BROWSER, MACHINERY, NEVER = 1, 2, 3, 9
OBJECT, BLINK, INTERNAL, ROOT = range(4)  # what a node is to the edges that touch it

_INTERNAL_TYPES: Final = ("code", "object shape")
_SLICE: Final = 1024 * 1024  # edges looked at a time, to bound the working memory
_NATIVE_CONTEXT: Final = "system / NativeContext"
_WEAK_MAP: Final = re.compile(rb" pair in WeakMap \(table @(\d+)\)\"")


def node_kinds(snapshot: Snapshot) -> Column:
    """Return what each node is to the edges that touch it."""
    by_type = np.full(len(snapshot.node_types), OBJECT, np.uint8)
    for place, name in enumerate(snapshot.node_types):
        if name in _INTERNAL_TYPES:
            by_type[place] = INTERNAL
        elif name == "synthetic":
            by_type[place] = ROOT
    class_of, names = snapshot.classes
    by_class = np.array(
        [OBJECT if name.startswith("system / ") else BLINK for name in names], np.uint8
    )
    if _NATIVE_CONTEXT in names:
        by_class[names.index(_NATIVE_CONTEXT)] = INTERNAL
    kinds: Column = by_type[snapshot.node_type]
    # Older V8 files its own natives under "hidden".
    for kind in ("native", "hidden"):
        chosen = np.flatnonzero(snapshot.node_type == snapshot.type_index(kind))
        kinds[chosen] = by_class[class_of[chosen]]
    return kinds


def edge_worth(snapshot: Snapshot, kinds: Column) -> Column:
    """Return PROGRAM, BROWSER, MACHINERY or NEVER for every edge."""
    table = np.zeros((4, 8, 4), np.uint8)
    for place, edge_type in enumerate(snapshot.edge_types):
        for holder in range(4):
            for target in range(4):
                table[holder, place, target] = _worth(holder, edge_type, target)
    keys = np.repeat(kinds, np.diff(snapshot.first_edge))
    keys *= 32
    keys += snapshot.edge_type * np.uint8(4)
    keys += kinds[snapshot.edge_to]
    worth: Column = table.ravel()[keys]
    for edge_type, name in (("property", "__proto__"), ("internal", "cppgc_object")):
        index = snapshot.strings.index_of(name)
        if index is not None:
            named = snapshot.edge_name == index
            named &= snapshot.edge_type == snapshot.edge_type_index(edge_type)
            named &= worth == PROGRAM
            worth[named] = BROWSER
    worth[_held_by_weak_maps(snapshot)] = NEVER
    return worth


def _worth(holder: int, edge_type: str, target: int) -> int:
    if edge_type == "weak":
        return NEVER
    if INTERNAL in (holder, target) or (edge_type == "shortcut" and holder != ROOT):
        return MACHINERY
    written = edge_type in ("property", "context")
    return PROGRAM if holder == OBJECT or (holder == BLINK and written) else BROWSER


def _held_by_weak_maps(snapshot: Snapshot) -> Nodes:
    """Return the edges from a WeakMap's table to its values.

    V8 writes each entry twice, from the key and from the table, with one name that tells the
    table's id. An entry lives as long as its key, so only the key's edge holds it.
    """
    strings = snapshot.strings
    entries = [(match.start(), int(match[1])) for match in _WEAK_MAP.finditer(strings.raw)]
    if not entries:
        return np.empty(0, np.int64)
    table_of = np.zeros(len(strings), np.uint32)
    offsets, tables = np.array(entries).T
    table_of[strings.indexes_at(offsets)] = tables
    internal = snapshot.edge_type_index("internal")
    found = []
    for start in range(0, snapshot.edge_to.size, _SLICE):
        edges = np.flatnonzero(snapshot.edge_type[start : start + _SLICE] == internal) + start
        edges = edges[table_of[snapshot.edge_name[edges]] != 0]
        holder_ids = snapshot.node_id[snapshot.holders(edges)]
        found.append(edges[holder_ids == table_of[snapshot.edge_name[edges]]])
    return np.concatenate(found)
