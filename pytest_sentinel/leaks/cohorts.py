"""Group what survived by the window it was born in, under the topmost object that grew.

Two snapshots of one session, with a mark between: objects born in the first window of iterations
and still alive at the end are one cohort, those of the second window the other. A leak shows in
both, in proportion; a cache that filled shows in the first only, a recent-items list in the
second only, and a list that drops its oldest entry does not grow in number.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_sentinel.leaks.heapsnapshot import Snapshot
from pytest_sentinel.leaks.ownerpath import OwnerPaths
from pytest_sentinel.leaks.roles import ROLES, Roles

Column = npt.NDArray[Any]

CONFIRMED, PROBABLE, WEAK = 3, 2, 1

# Machinery of V8 that grows while code warms up; no page can leak it by itself.
_FEWEST = 3  # survivors that are worth a question
_KEPT = 0.5  # of the survivors must be net growth
_TIMERS = ("DOMTimer",)
_PARTS = 16  # a string or buffer has no more edges than this
_STORE = re.compile(
    r"(Shared)?ArrayBuffer$|(Big)?(Int|Uint|Float)\d+(Clamped)?Array$|DataView$"
    r"|system / JSArrayBuffer"
)
_MACHINERY = ("hidden", "code", "object shape", "synthetic", "number", "symbol")


@dataclass(frozen=True, slots=True)
class Growth:
    """One owner that kept more objects of one class after every window.

    Attributes:
        owner: index of the owner in the later snapshot.
        example: index of one survivor it holds.
        constructor: class of the survivors nearest to the owner.
        born: how many of them were born in each window.
        net: how many more of the class the owner holds than before.
        slot: the owner's property that leads to them, if it is one and the same.
        role: one of ROLES: as what the browser holds them, if it does.
        size: bytes of all survivors under the owner.
        nodes: every survivor under the owner.
        strength: CONFIRMED, PROBABLE or WEAK.
    """

    owner: int
    example: int
    constructor: str
    born: tuple[int, ...]
    net: int
    size: int
    strength: int
    slot: str
    role: str
    nodes: Column = field(repr=False)


def judge(born: Sequence[int], windows: Sequence[int]) -> int:
    """Weigh the survivors born in each window of iterations; 0 means no leak.

    With one window only, the caller must know from elsewhere that growth kept its pace.
    """
    if len(windows) == 1:
        total, span = born[0], windows[0]
        if total >= span:
            return PROBABLE if total % span else CONFIRMED
        return WEAK if total * 3 >= span else 0
    (first, second), (one, two) = born, windows
    if first >= one and second >= two and first * two == second * one:
        return CONFIRMED
    if first >= 3 and second * one * 4 >= first * two * 3:
        return PROBABLE
    return WEAK if first >= 1 and second >= 2 else 0


def survivors(
    before: Snapshot,
    between: Snapshot | None,
    after: Snapshot,
    windows: Sequence[int],
    paths: OwnerPaths,
) -> list[Growth]:
    """Return every owner that grew over all windows, the strongest and largest first.

    ``between`` is the snapshot that parts two windows; there is none for a single window.
    """
    old = np.isin(after.node_id, before.node_id)
    late = np.zeros(old.size, np.bool_)
    if between is not None:
        late = ~old & ~np.isin(after.node_id, between.node_id)
    wanted = ~old & paths.reached & ~paths.artifact
    for name in _MACHINERY:
        wanted &= after.node_type != after.type_index(name)
    groups = _by_owner(np.flatnonzero(wanted), ~old, after, paths)
    groups = {owner: members for owner, members in groups.items() if len(members) >= _FEWEST}
    if not groups:
        return []
    old_paths = OwnerPaths(before)
    roles, old_roles = Roles(paths), Roles(old_paths)
    found = []
    for owner, members in groups.items():
        gone = _gone(owner, before, after, old_paths, old_roles)
        growth = _grown(owner, np.array(members), late, gone, paths, roles, windows)
        if growth is not None:
            found.append(growth)
    return sorted(found, key=lambda g: (-g.strength, -g.size, g.constructor))


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
    late: Column,
    gone: Mapping[tuple[str, int], int],
    paths: OwnerPaths,
    roles: Roles,
    windows: Sequence[int],
) -> Growth | None:
    after = paths.snapshot
    class_of, names = after.classes
    shown = np.array([node for node in members.tolist() if not paths.is_plumbing(node)], np.int64)
    # A listener's callback and a timer's are of one class, and may have one owner.
    kinds = list(zip(class_of[shown].tolist(), roles.below(owner, shown).tolist(), strict=True))
    counts: dict[tuple[int, int], list[int]] = {}
    for node, kind in zip(shown.tolist(), kinds, strict=True):
        counts.setdefault(kind, [0] * len(windows))[int(late[node])] += 1
    strengths, nets = {}, {}
    for kind, born in counts.items():
        name = names[kind[0]]
        net = sum(born) - gone.get((name, kind[1]), 0)
        strength = judge(born, windows)
        if net < _KEPT * sum(born):
            strength = 0  # an owner that exchanges old entries for new ones does not grow
        if is_document_node(name) and net >= sum(windows) and 2 * born[0] >= windows[0]:
            # It is given a new id when its wrapper dies, so that only the sum is to be trusted.
            strength = max(strength, PROBABLE)
        strengths[kind], nets[kind] = strength, net
    best = max(strengths.values(), default=0)
    if not best:
        return None
    strong = {kind for kind, strength in strengths.items() if strength == best}
    chosen = {
        node: kind for node, kind in zip(shown.tolist(), kinds, strict=True) if kind in strong
    }
    # The class nearest to the owner is what the owner's author would call the leaked thing.
    example = min(chosen, key=lambda node: (len(paths.way(node)), -node))
    kind = chosen[example]
    return Growth(
        owner=owner,
        example=example,
        constructor=names[kind[0]],
        born=tuple(counts[kind]),
        net=nets[kind],
        size=int(after.self_size[members].sum()),
        strength=best,
        slot=paths.slot(owner, [node for node, its in chosen.items() if its == kind]),
        role=ROLES[kind[1]],
        nodes=np.array(list(chosen)),
    )


def is_document_node(name: str) -> bool:
    """Tell whether this is the class of a node of a document."""
    return name.startswith("<") or name in ("Text", "Comment")


def _gone(
    owner: int, before: Snapshot, after: Snapshot, old_paths: OwnerPaths, old_roles: Roles
) -> Mapping[tuple[str, int], int]:
    """Count by class and role what the owner held before and that is no more."""
    held_by = before.index_of(int(after.node_id[owner]))
    if held_by is None:
        return {}
    lost = np.flatnonzero(old_paths.under(held_by) & ~np.isin(before.node_id, after.node_id))
    class_of, names = before.classes
    kinds = zip(class_of[lost].tolist(), old_roles.below(held_by, lost).tolist(), strict=True)
    return {(names[kind], role): count for (kind, role), count in Counter(kinds).items()}


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
    class_of, names = after.classes
    content = [name.endswith("string)") or bool(_STORE.match(name)) for name in names]
    fresh = np.flatnonzero(owned & np.array(content, np.bool_)[class_of])
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


def awaited_by_timers(before: Snapshot, after: Snapshot, paths: OwnerPaths) -> Column:
    """Return which young objects a young timer leads to, through young objects only.

    A timer that has still to fire may give back what it refers to when it does.
    """
    young = paths.reached & ~np.isin(after.node_id, before.node_id)
    class_of, names = after.classes
    timers = np.array([name in _TIMERS for name in names], np.bool_)[class_of]
    frontier = np.flatnonzero(young & timers)
    seen = np.zeros(young.size, np.bool_)
    while frontier.size:
        seen[frontier] = True
        edges = [after.edges_of(node) for node in frontier.tolist()]
        held = [after.edge_to[part.start : part.stop] for part in edges]
        targets = np.unique(np.concatenate(held))
        frontier = targets[young[targets] & ~seen[targets]]
    return seen


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
            if kind.endswith("string") or _STORE.match(snapshot.name(target)):
                size += _content(snapshot, target, depth - 1)
    return size
