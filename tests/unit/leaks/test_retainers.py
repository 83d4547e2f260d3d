"""Reachability, retained bytes and paths: by hand on small heaps, by brute force on random ones."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_sentinel.leaks import retainers
from pytest_sentinel.leaks.heapedges import BROWSER, MACHINERY, NEVER, PROGRAM
from pytest_sentinel.leaks.heapsnapshot import ATTACHED, DETACHED, UNKNOWN
from pytest_sentinel.leaks.retainers import Graph, Retainer, propagate_detachedness
from tests.unit.leaks.heapbuilder import HeapBuilder


def indexes(*nodes: int) -> retainers.Nodes:
    return np.array(nodes, np.int64)


# ---- against brute force

EDGES = st.lists(
    st.tuples(st.integers(0, 11), st.integers(0, 11), st.sampled_from(["property", "weak"])),
    max_size=40,
)


def random_heap(edges: list[tuple[int, int, str]]) -> HeapBuilder:
    heap = HeapBuilder()
    for number in range(11):
        heap.node("object", "Thing", 2**number)
    for holder, target, kind in edges:
        heap.edge(holder, kind, f"to{target}", target)
    return heap


def brute_force(edges: list[tuple[int, int, str]], blocked: set[int]) -> set[int]:
    reached: set[int] = set()
    pending = [0]
    while pending:
        node = pending.pop()
        if node not in reached and node not in blocked:
            reached.add(node)
            pending += [t for h, t, kind in edges if h == node and kind != "weak"]
    return reached


@pytest.fixture(params=["wide", "narrow", "both"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Search level by level in numpy, node by node in Python, or as the graph suggests."""
    limits = {"wide": -1, "narrow": 10**9, "both": 3}
    monkeypatch.setattr(retainers, "_NARROW", limits[request.param])
    monkeypatch.setattr(retainers, "_SLICE", 3)
    return str(request.param)


@pytest.mark.usefixtures("way")
def test_searches_agree_with_brute_force() -> None:
    """On random graphs: what is reached, what is reached without some nodes, what these retain."""

    @settings(max_examples=60, deadline=None)
    @given(EDGES, st.lists(st.sets(st.integers(1, 11), max_size=4), min_size=1, max_size=9))
    def agree(edges: list[tuple[int, int, str]], groups: list[set[int]]) -> None:
        graph = Graph(random_heap(edges).snapshot())
        alive = brute_force(edges, set())
        assert set(np.flatnonzero(graph.alive).tolist()) == alive
        expected = []
        for group in groups:
            left = brute_force(edges, group)
            blocked = indexes(*sorted(group))
            assert set(np.flatnonzero(graph.reachable(blocked)).tolist()) == left
            expected.append(sum(2 ** (node - 1) for node in alive - left))
        assert graph.retained_bytes([indexes(*sorted(group)) for group in groups]) == expected

    agree()


@pytest.mark.usefixtures("way")
def test_paths_are_the_shortest() -> None:
    """On random graphs every reached node has a path of as few edges as brute force finds."""

    @settings(max_examples=60, deadline=None)
    @given(EDGES)
    def shortest(edges: list[tuple[int, int, str]]) -> None:
        heap = random_heap(edges)
        heap.edges[0].clear()
        window = heap.window()
        heap.edge(window, "property", "start", 1)
        edges = [edge for edge in edges if edge[0]]
        tree = Graph(heap.snapshot()).tree
        distance, level = {1: 1}, [1]
        while level:
            below = [t for h, t, kind in edges if h in level and kind != "weak"]
            level = sorted({node for node in below if node not in distance})
            distance |= dict.fromkeys(level, max(distance.values()) + 1)
        for node in range(1, 12):
            way = tree.edges_to(node)
            assert (None if way is None else len(way)) == distance.get(node)

    shortest()


def test_more_questions_than_bits_are_asked_in_turns() -> None:
    """Each group gets its own answer, however many there are."""
    heap = HeapBuilder()
    nodes = [heap.held(0, "element", n, "object", "Thing", n) for n in range(1, 131)]
    graph = Graph(heap.snapshot())
    assert graph.retained_bytes([indexes(node) for node in nodes]) == list(range(1, 131))
    assert graph.retained_bytes([]) == []


@pytest.mark.parametrize("groups", [1, 9, 33, 63])
def test_every_width_of_marks_works(groups: int) -> None:
    """Marks of 8, 16, 32 and 64 bits."""
    heap = HeapBuilder()
    nodes = [heap.held(0, "element", n, "object", "Thing", 100 + n) for n in range(groups)]
    graph = Graph(heap.snapshot())
    expected = [100 + n for n in range(groups)]
    assert graph.retained_bytes([indexes(node) for node in nodes]) == expected


def linked_list(length: int) -> HeapBuilder:
    heap = HeapBuilder()
    node = heap.held(heap.window(), "property", "head", "object", "Link", 1)
    for _ in range(length - 1):
        node = heap.held(node, "property", "next", "object", "Link", 1)
    return heap


def test_a_linked_list_takes_linear_time() -> None:
    """100,000 levels of one node each are searched in a fraction of a second of CPU time."""
    heap = linked_list(100_000)
    snapshot = heap.snapshot()
    last = len(heap.nodes) - 1
    started = time.process_time()
    graph = Graph(snapshot)
    assert graph.retained_bytes([indexes(last - 1)]) == [2]
    way = graph.tree.edges_to(last)
    assert time.process_time() - started < 3.0
    assert way is not None
    assert len(way) == 100_000


# ---- what an edge is worth


def test_edges_are_weighed_by_what_they_say() -> None:
    """What the program wrote is worth most, bookkeeping least, and weak edges nothing."""
    heap = HeapBuilder()
    window = heap.window()
    element = heap.held(window, "property", "box", "native", "<div>")
    style = heap.held(element, "element", 1, "native", "blink::ComputedStyle")
    mine = heap.held(element, "property", "mine", "object", "Mine")
    held = [
        (window, "property", "__proto__", "object", "Window (prototype)", BROWSER),
        (window, "internal", "cppgc_object", "native", "Window / https://a.test", BROWSER),
        (window, "shortcut", "native_context", "object", "Odd", MACHINERY),
        (mine, "internal", "map", "object shape", "system / Map", MACHINERY),
        (mine, "internal", "code", "code", "system / Code", MACHINERY),
        (mine, "internal", "cell", "native", "system / PropertyCell", PROGRAM),
        (mine, "internal", "old cell", "hidden", "system / PropertyCell", PROGRAM),
        (mine, "internal", "scope", "native", "system / NativeContext / x", MACHINERY),
        (mine, "hidden", 3, "object", "Other", PROGRAM),
        (mine, "context", "page", "object", "Other", PROGRAM),
        (mine, "weak", "memo", "object", "Other", NEVER),
        (style, "weak", "1", "native", "blink::Node", NEVER),
        (style, "element", 2, "native", "blink::Node", BROWSER),
    ]
    targets = [heap.held(*parts[:5]) for parts in held]
    graph = Graph(heap.snapshot())

    def worth(target: int) -> int:
        edges = graph.snapshot.edges_into(target)
        assert edges.size == 1
        return int(graph.worth[edges[0]])

    assert [worth(target) for target in targets] == [parts[5] for parts in held]
    assert (worth(element), worth(style), worth(mine)) == (PROGRAM, BROWSER, PROGRAM)


def weak_map_heap() -> tuple[HeapBuilder, dict[str, int]]:
    heap = HeapBuilder()
    window = heap.window()
    key = heap.held(window, "property", "key", "object", "Key", 1)
    weak_map = heap.held(window, "property", "extra", "object", "WeakMap", 1)
    table = heap.held(weak_map, "internal", "table", "array", "", 1, node_id=501)
    value = heap.node("object", "Value", 10)
    entry = "1 / part of key (Key @5) -> value (Value @9) pair in WeakMap (table @501)"
    heap.edge(key, "internal", entry, value)
    heap.edge(table, "internal", entry, value)
    heap.edge(table, "weak", "0", key)
    return heap, {"window": window, "key": key, "value": value, "table": table}


def test_the_entry_of_a_weak_map_lives_by_its_key() -> None:
    """The map's own edge to a value holds nothing; the key's does."""
    heap, at = weak_map_heap()
    graph = Graph(heap.snapshot())
    assert graph.retained_bytes([indexes(at["key"]), indexes(at["table"])]) == [11, 1]
    into = graph.snapshot.edges_into(at["value"])
    assert graph.worth[into].tolist() == [PROGRAM, NEVER]


# ---- paths


def test_a_path_of_names_beats_a_shorter_one_through_the_browser() -> None:
    """Handles and Blink's own links explain less than properties, so they come last."""
    heap = HeapBuilder()
    window = heap.window()
    app = heap.held(window, "property", "app", "object", "App")
    cache = heap.held(app, "property", "cache", "object", "Cache")
    item = heap.held(cache, "property", "item", "object", "Item")
    heap.edge(1, "internal", "12 / DevTools console", item)
    tree = Graph(heap.snapshot()).tree
    labels = [tree.snapshot.edge_label(edge) for edge in tree.edges_to(item) or []]
    assert labels == ["app", "cache", "item"]
    assert int(tree.cost[item]) == PROGRAM


def test_each_worse_kind_of_path_is_tried_in_turn() -> None:
    """Through the browser's objects, from its handles, and through machinery where nothing else."""
    heap = HeapBuilder()
    window = heap.window()
    blink = heap.held(window, "internal", "cppgc_object", "native", "Window / https://a.test")
    timer = heap.held(blink, "element", 1, "native", "DOMTimer")
    tick = heap.held(timer, "element", 1, "closure", "tick")
    handle = heap.held(1, "internal", "5 / pending", "object", "Pending")
    code = heap.held(tick, "internal", "code", "code", "system / Code")
    constant = heap.held(code, "internal", "1", "string", "constant")
    gone = heap.node("object", "Gone")
    tree = Graph(heap.snapshot()).tree
    costs = [int(tree.cost[node]) for node in (tick, handle, constant, gone)]
    assert costs == [BROWSER, BROWSER, MACHINERY, 0]
    assert len(tree.edges_to(tick) or []) == 3
    assert len(tree.edges_to(handle) or []) == 1
    assert tree.edges_to(gone) is None
    assert tree.edges_to(window) == []


def test_top_level_variables_begin_at_their_scope() -> None:
    """`const` at the top of a script is no property of the window, and still a beginning."""
    heap = HeapBuilder()
    heap.window()
    scope = heap.held(
        2, "internal", "script_context_table", "native", "system / ScriptContextTable"
    )
    context = heap.held(scope, "hidden", 2, "object", "system / Context / scope @41")
    cache = heap.held(context, "context", "cache", "object", "Map")
    graph = Graph(heap.snapshot())
    assert graph.scopes.tolist() == [scope]
    assert len(graph.tree.edges_to(cache) or []) == 2


def test_globals_are_found_in_old_snapshots_and_in_those_of_node() -> None:
    """There the root itself points to them."""
    heap = HeapBuilder()
    target = heap.held(0, "shortcut", "1", "object", "global")
    heap.held(0, "element", 2, "synthetic", "(GC roots)")
    graph = Graph(heap.snapshot(old=True))
    assert graph.global_objects.tolist() == [target]
    assert graph.scopes.tolist() == []


def test_paths_avoid_what_is_blocked() -> None:
    """With a node removed, the next best path is found, or none."""
    heap = HeapBuilder()
    window = heap.window()
    first = heap.held(window, "property", "first", "object", "First")
    second = heap.held(window, "property", "second", "object", "Second")
    item = heap.held(first, "property", "item", "object", "Item")
    heap.edge(second, "property", "item", item)
    graph = Graph(heap.snapshot())
    for blocked, other in ((first, "second"), (second, "first")):
        way = graph.paths(indexes(blocked)).edges_to(item) or []
        assert graph.snapshot.edge_label(way[0]) == other
    assert graph.paths(indexes(first, second)).edges_to(item) is None
    assert graph.paths(indexes(item)).edges_to(item) is None


def test_a_window_that_nothing_holds_is_no_beginning() -> None:
    """The global object of a frame that is gone neither keeps anything nor explains anything."""
    heap = HeapBuilder()
    window = heap.window()
    name = "Window [JSGlobalObject] / about:blank"
    lost = heap.node("object", name)
    thing = heap.held(lost, "property", "thing", "object", "Thing")
    frame = heap.held(window, "property", "frame", "object", name)
    inside = heap.held(frame, "property", "inside", "object", "Inside")
    heap.edge(inside, "property", "parent", frame)
    graph = Graph(heap.snapshot())
    assert graph.tree.edges_to(thing) is None
    assert graph.tree.edges_to(inside) is not None
    assert graph.paths(indexes(frame)).edges_to(inside) is None
    found, _ = graph.independent_retainers(frame)
    assert [retainer.owner for retainer in found] == [window]


# ---- independent retainers


def test_independent_retainers_are_counted_by_owner() -> None:
    """An array and its backing store are one holder; what hangs on the object itself is none."""
    heap = HeapBuilder()
    window = heap.window()
    listing = heap.held(window, "property", "list", "object", "Array")
    store = heap.held(listing, "internal", "elements", "array", "(object elements)")
    item = heap.held(listing, "element", 0, "object", "Item", 5)
    heap.edge(store, "internal", "0", item)
    index = heap.held(window, "property", "index", "object", "Map")
    table = heap.held(index, "internal", "table", "array", "")
    heap.edge(table, "internal", "7", item)
    cell = heap.held(window, "hidden", 4, "native", "system / PropertyCell")
    heap.edge(cell, "internal", "value", item)
    back = heap.held(item, "property", "child", "object", "Child")
    heap.edge(back, "property", "parent", item)
    heap.edge(item, "property", "self", item)
    graph = Graph(heap.snapshot())
    found, tree = graph.independent_retainers(item)
    assert {retainer.owner for retainer in found} == {listing, index, window}
    assert found[0].owner in (listing, index)
    assert tree.edges_to(item) is None
    names = {r.owner: graph.snapshot.edge_label(r.edge) for r in found}
    assert names[index] == "7"


def test_an_object_that_one_thing_holds_has_one_retainer() -> None:
    """Cutting that one frees it."""
    heap = HeapBuilder()
    window = heap.window()
    item = heap.held(window, "property", "item", "object", "Item")
    found, _ = Graph(heap.snapshot()).independent_retainers(item)
    assert found == [Retainer(edge=heap_edge(heap, window, item), owner=window)]


def heap_edge(heap: HeapBuilder, holder: int, target: int) -> int:
    before = sum(len(edges) for edges in heap.edges[:holder])
    return before + [edge[2] for edge in heap.edges[holder]].index(target)


def test_a_backing_store_without_an_owner_stands_for_itself() -> None:
    """What only a handle holds is named as it is."""
    heap = HeapBuilder()
    store = heap.held(0, "shortcut", "1", "array", "(object elements)")
    item = heap.held(store, "internal", "0", "object", "Item")
    found, _ = Graph(heap.snapshot()).independent_retainers(item)
    assert [retainer.owner for retainer in found] == [store]


# ---- detached state


def test_detachedness_spreads_through_the_browsers_objects() -> None:
    """Attached wins; script objects, weak and hidden edges pass nothing on."""
    heap = HeapBuilder()
    window = heap.window()
    document = heap.held(window, "property", "document", "native", "HTMLDocument", detached=1)
    body = heap.held(document, "element", 1, "native", "<body>")
    loose = heap.held(window, "property", "loose", "native", "<section>", detached=2)
    child = heap.held(loose, "element", 1, "native", "<b>")
    text = heap.held(child, "element", 1, "native", "Text")
    heap.edge(loose, "element", 2, document)
    weak = heap.held(loose, "weak", "1", "native", "<i>")
    hidden = heap.held(loose, "hidden", 1, "native", "<u>")
    script = heap.held(loose, "property", "data", "object", "Data")
    behind = heap.held(script, "element", 1, "native", "<p>")
    known = heap.held(body, "element", 1, "native", "<em>", detached=2)
    states = propagate_detachedness(heap.snapshot())
    assert [int(states[node]) for node in (document, body)] == [ATTACHED] * 2
    assert [int(states[node]) for node in (loose, child, text, known)] == [DETACHED] * 4
    assert [int(states[node]) for node in (weak, hidden, script, behind)] == [UNKNOWN] * 4


def test_a_version_without_detached_state_knows_nothing() -> None:
    """Old V8 does not write the column; then no node is attached or detached."""
    heap = HeapBuilder()
    heap.held(0, "element", 1, "native", "<div>")
    snapshot = heap.snapshot()
    snapshot.detachedness = np.zeros(len(snapshot), np.uint8)
    assert not propagate_detachedness(snapshot).any()
