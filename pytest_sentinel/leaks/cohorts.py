"""Group what survived by the window it was born in, under the topmost object that grew.

Two snapshots of one session, with a mark between: objects born in the first window of iterations
and still alive at the end are one cohort, those of the second window the other. A leak shows in
both, in proportion; a cache that filled shows in the first only, a recent-items list in the
second only, and a list that drops its oldest entry does not grow in number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_sentinel.leaks.heapsnapshot import Snapshot
from pytest_sentinel.leaks.ownerpath import OwnerPaths

Column = npt.NDArray[Any]

CONFIRMED, PROBABLE, WEAK = 3, 2, 1

# Machinery of V8 that grows while code warms up; no page can leak it by itself.
_KEPT = 0.7  # of the survivors must be net growth
_PARTS = 16  # a string or buffer has no more edges than this
_STORES = ("system / JSArrayBufferData", "ArrayBuffer", "SharedArrayBuffer")
_MACHINERY = ("hidden", "code", "object shape", "synthetic", "number", "symbol")


@dataclass(frozen=True, slots=True)
class Growth:
    """One owner that kept more objects of one class after every window.

    Attributes:
        owner: index of the owner in the later snapshot.
        example: index of one survivor it holds.
        constructor: class of the survivors nearest to the owner.
        first, second: survivors born in each window; ``undated`` ones have no birth id.
        net: how many more of the class the owner holds than before.
        slot: the owner's property that leads to them, if it is one and the same.
        size: bytes of all survivors under the owner.
        nodes: every survivor under the owner.
        strength: CONFIRMED, PROBABLE or WEAK.
    """

    owner: int
    example: int
    constructor: str
    first: int
    second: int
    undated: int
    net: int
    size: int
    strength: int
    slot: str
    nodes: Column = field(repr=False)
    classes: Mapping[str, int] = field(default_factory=dict)

    @property
    def born(self) -> int:
        """Count the survivors of the leaked class, dated or not."""
        return self.first + self.second + self.undated


def judge(first: int, second: int, undated: int, windows: tuple[int, int]) -> int:
    """Weigh the survivors of two birth windows against one another; 0 means no leak."""
    one, two = windows
    if undated:
        # Native objects have no birth date, or lose it with their wrapper: count all of them.
        total, span = first + second + undated, one + two
        if total >= span:
            return PROBABLE if total % span else CONFIRMED
        return WEAK if total >= span // 3 else 0
    if first >= one and second >= two and first * two == second * one:
        return CONFIRMED
    if first >= 3 and second * one * 4 >= first * two * 3:
        return PROBABLE
    return WEAK if first >= 1 and second >= 2 else 0


def survivors(
    before: Snapshot,
    after: Snapshot,
    mark: int,
    windows: tuple[int, int],
    paths: OwnerPaths,
) -> list[Growth]:
    """Return every owner that grew between the snapshots, the strongest and largest first."""
    born = ~np.isin(after.node_id, before.node_id)
    wanted = born & paths.reached & ~paths.artifact
    for name in _MACHINERY:
        wanted &= after.node_type != after.type_index(name)
    nodes = np.flatnonzero(wanted)
    groups = _by_owner(nodes, born, after, paths)
    dated = (after.node_id & 1) == 1
    window = np.where(dated, np.where(after.node_id > mark, 2, 1), 0)
    found = [
        growth
        for owner, members in groups.items()
        if (growth := _grown(owner, np.array(members), window, after, paths, windows))
    ]
    if not found:
        return []
    old_paths = OwnerPaths(before)
    kept = []
    for growth in found:
        net = growth.born - _gone(growth, before, after, old_paths)
        strength = growth.strength
        if growth.undated:
            strength = min(strength, judge(0, 0, max(net, 1), windows))
        # An owner that only exchanges old entries for new ones does not grow.
        if strength and (growth.undated or net >= _KEPT * growth.born):
            kept.append(replace(growth, net=net, strength=strength))
    return sorted(kept, key=lambda g: (-g.strength, -g.size, g.constructor))


def _by_owner(
    nodes: Column, born: Column, after: Snapshot, paths: OwnerPaths
) -> dict[int, list[int]]:
    """Group nodes under the nearest named object that is older than both windows."""
    above = paths.parent[nodes]
    while (young := (above >= 0) & born[above]).any():
        above[young] = paths.parent[above[young]]
    raw: dict[int, list[int]] = defaultdict(list)
    for node, owner in zip(nodes.tolist(), above.tolist(), strict=True):
        if owner >= 0:
            raw[owner].append(node)
    class_of, _ = after.classes
    groups: dict[int, list[int]] = defaultdict(list)
    for owner, members in raw.items():
        named = paths.nameable(owner)
        links = {label for node in members if (label := paths.property_label(node))}
        kinds = set(class_of[members].tolist())
        # A chain of like objects, such as a linked list, belongs to whoever holds its first.
        while int(class_of[named]) in kinds and paths.property_label(named) in links:
            named = paths.nameable(int(paths.parent[named]))
        groups[named].extend(members)
    return groups


def _grown(
    owner: int,
    members: Column,
    window: Column,
    after: Snapshot,
    paths: OwnerPaths,
    windows: tuple[int, int],
) -> Growth | None:
    class_of, names = after.classes
    kinds: dict[int, tuple[int, int, int]] = {}
    for kind in np.unique(class_of[members]).tolist():
        born_in = window[members[class_of[members] == kind]]
        kinds[kind] = (
            int((born_in == 1).sum()),
            int((born_in == 2).sum()),
            int((born_in == 0).sum()),
        )
    strengths = {kind: judge(*counts, windows) for kind, counts in kinds.items()}
    best = max(strengths.values())
    if not best:
        return None
    strong = [kind for kind, strength in strengths.items() if strength == best]
    chosen = members[np.isin(class_of[members], strong)]
    # The class nearest to the owner is what the owner's author would call the leaked thing.
    visible = [node for node in chosen.tolist() if not paths.is_plumbing(node)]
    if not visible:
        return None
    example = min(visible, key=lambda node: (len(paths.way(node)), -node))
    kind = int(class_of[example])
    first, second, undated = kinds[kind]
    same = chosen[class_of[chosen] == kind]
    return Growth(
        owner=owner,
        example=example,
        constructor=names[kind],
        first=first,
        second=second,
        undated=undated,
        net=0,
        size=int(after.self_size[chosen].sum()),
        strength=best,
        slot=paths.slot(owner, same.tolist()),
        nodes=chosen,
        classes={names[kind]: sum(counts) for kind, counts in kinds.items()},
    )


def _gone(growth: Growth, before: Snapshot, after: Snapshot, old_paths: OwnerPaths) -> int:
    """Count objects of the leaked class that the owner held before and that are no more."""
    owner = before.index_of(int(after.node_id[growth.owner]))
    class_of, names = before.classes
    if owner is None or growth.constructor not in names:
        return 0
    kind = names.index(growth.constructor)
    lost = np.flatnonzero((class_of == kind) & old_paths.reached)
    lost = lost[~np.isin(before.node_id[lost], after.node_id)]
    return sum(owner in old_paths.way(node) for node in lost.tolist())


def swollen(
    before: Snapshot, after: Snapshot, paths: OwnerPaths, least: int
) -> dict[tuple[int, str], tuple[int, int]]:
    """Return slots whose content was replaced by something at least ``least`` bytes larger.

    A string that is rewritten longer, or a buffer that is regrown, leaves no survivors to count.
    The key is the holder's heap id and the name of the slot, the value the index of the new
    content and the bytes it gained.
    """
    born = ~np.isin(after.node_id, before.node_id)
    owned = born & paths.reached & ~paths.artifact & (paths.parent >= 0)
    for name in (*_MACHINERY, "closure"):
        owned &= after.node_type != after.type_index(name)
    fresh = np.flatnonzero(owned)
    fresh = fresh[~born[paths.parent[fresh]]]
    found = {}
    for node in fresh.tolist():
        size = _content(after, node)
        if size < least:
            continue
        holder_id = int(after.node_id[paths.parent[node]])
        holder = before.index_of(holder_id)
        label = after.edge_label(int(paths.parent_edge[node]))
        old = None if holder is None else _target(before, holder, label)
        if old is not None and size - _content(before, old) >= least:
            found[holder_id, label] = (node, size - _content(before, old))
    return found


def _target(snapshot: Snapshot, holder: int, label: str) -> int | None:
    for edge in snapshot.edges_of(holder):
        if snapshot.edge_label(edge) == label:
            return int(snapshot.edge_to[edge])
    return None


def _content(snapshot: Snapshot, node: int, depth: int = 3) -> int:
    """Return the bytes of a string or buffer, including the parts it consists of."""
    size = int(snapshot.self_size[node])
    if depth and snapshot.edges_of(node).stop - snapshot.edges_of(node).start <= _PARTS:
        for edge in snapshot.edges_of(node):
            target = int(snapshot.edge_to[edge])
            kind = snapshot.type_name(target)
            if kind.endswith("string") or snapshot.name(target) in _STORES:
                size += _content(snapshot, target, depth - 1)
    return size
