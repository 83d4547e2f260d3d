"""Retainer paths in words, for each kind of step that a page's objects are held by."""

from __future__ import annotations

import numpy as np

from pytest_sentinel.leaks.heapsnapshot import Location
from pytest_sentinel.leaks.retainerpaths import path_through, shortest_path
from pytest_sentinel.leaks.retainers import Graph
from tests.unit.leaks.heapbuilder import HeapBuilder


def path(heap: HeapBuilder, node: int) -> str:
    return str(shortest_path(Graph(heap.snapshot()).tree, node))


def test_properties_and_elements_read_like_code() -> None:
    """Names are joined by dots, indexes stand in brackets, odd names in quotes."""
    heap = HeapBuilder()
    app = heap.held(heap.window(), "property", "app", "object", "App")
    listing = heap.held(app, "property", "open orders", "object", "Array")
    item = heap.held(listing, "element", 3, "object", "Order")
    tag = heap.held(item, "property", "<symbol tag>", "string", "x")
    assert path(heap, tag) == 'window.app["open orders"][3][tag]'


def test_entries_of_maps_and_sets_have_no_number() -> None:
    """Where an entry lies in V8's table says nothing to anybody."""
    heap = HeapBuilder()
    cache = heap.held(heap.window(), "property", "cache", "object", "Map")
    table = heap.held(cache, "internal", "table", "array", "")
    entry = heap.held(table, "internal", "362", "native", "<div>")
    assert path(heap, entry) == "window.cache[*]"


def test_variables_of_closures_are_named() -> None:
    """The function's name, and the variable that it closes over, whatever scope that is in."""
    heap = HeapBuilder()
    window = heap.window()
    load = heap.held(window, "property", "load", "closure", "loadPage")
    inner = heap.held(load, "internal", "context", "object", "system / Context / scope @9")
    outer = heap.held(inner, "internal", "previous", "object", "system / Context / scope @7")
    cell = heap.held(outer, "context", "pages", "native", "system / ContextCell")
    pages = heap.held(cell, "hidden", 0, "object", "Array")
    page = heap.held(pages, "element", 0, "object", "Page")
    assert path(heap, page) == "window.load (closure) loadPage -> pages[0]"
    nameless = heap.held(window, "property", "f", "closure", "")
    scope = heap.held(nameless, "internal", "context", "object", "system / Context / scope @11")
    held = heap.held(scope, "context", "held", "object", "Held")
    assert path(heap, held) == "window.f (closure) <anonymous> -> held"


def test_top_level_variables_stand_alone() -> None:
    """A script's `const` is written as in the script."""
    heap = HeapBuilder()
    heap.window()
    scopes = heap.held(2, "internal", "scopes", "native", "system / ScriptContextTable")
    context = heap.held(scopes, "hidden", 2, "object", "system / Context / scope @41")
    cell = heap.held(context, "context", "Registry", "native", "system / ContextCell")
    registry = heap.held(cell, "hidden", 0, "closure", "Registry")
    item = heap.held(registry, "property", "items", "object", "Array")
    assert path(heap, item) == "Registry.items"


def listener_heap() -> tuple[HeapBuilder, int, int]:
    heap = HeapBuilder()
    window = heap.window()
    name = "<symbol Window#DocumentCachedAccessor>"
    document = heap.held(window, "property", name, "native", "HTMLDocument")
    body = heap.held(document, "element", 1, "native", "<body>")
    button = heap.held(body, "element", 2, "native", '<button id="buy">')
    data = heap.held(button, "element", 7, "native", "blink::EventTargetData")
    listener = heap.held(data, "element", 1, "native", "EventListener")
    wrapper = heap.held(listener, "element", 1, "native", "V8EventListener")
    function = heap.held(wrapper, "element", 1, "closure", "onClick")
    context = heap.held(function, "internal", "context", "object", "system / Context / scope @3")
    cart = heap.held(context, "context", "cart", "object", "Cart")
    return heap, function, cart


def test_listeners_are_told_by_element_and_function() -> None:
    """Of the document's tree only the element matters, of Blink's objects only what has a name."""
    heap, function, cart = listener_heap()
    expected = 'window.document <button id="buy"> EventListener (closure) onClick'
    assert path(heap, function) == expected
    assert path(heap, cart) == f"{expected} -> cart"


def test_a_function_without_a_name_is_called_anonymous() -> None:
    """An arrow function that a timer holds."""
    heap = HeapBuilder()
    blink = heap.held(
        heap.window(), "internal", "cppgc_object", "native", "Window / https://a.test"
    )
    timer = heap.held(blink, "element", 1, "native", "DOMTimer")
    action = heap.held(timer, "element", 1, "native", "ScheduledAction")
    tick = heap.held(action, "element", 1, "closure", "")
    assert path(heap, tick) == "window DOMTimer (closure) <anonymous>"


def test_a_detached_tree_shows_its_last_element() -> None:
    """Where in the tree a node stands does not matter; which node it is does."""
    heap = HeapBuilder()
    dialog = heap.held(heap.window(), "property", "dialog", "native", '<div class="dialog">')
    row = heap.held(dialog, "element", 1, "native", "<p>")
    text = heap.held(row, "element", 1, "native", "Text")
    assert path(heap, row) == "window.dialog <p>"
    assert path(heap, text) == "window.dialog <p> Text"


def test_other_roots_are_named() -> None:
    """Workers, Node.js, and handles of V8 with the reason they give."""
    heap = HeapBuilder()
    heap.window()
    name = "DedicatedWorkerGlobalScope [JSGlobalObject] / https://a.test"
    worker = heap.held(0, "shortcut", "2", "object", name)
    node = heap.held(0, "shortcut", "3", "object", "global")
    logged = heap.held(1, "internal", "12 / DevTools console", "object", "Logged")
    pending = heap.held(1, "internal", "9 / pending activity", "native", "MediaQueryList")
    plain = heap.held(1, "element", 4, "object", "Plain")
    assert path(heap, heap.held(worker, "property", "x", "object", "X")) == "self.x"
    assert path(heap, heap.held(node, "property", "y", "object", "Y")) == "globalThis.y"
    assert path(heap, logged) == "(Global handles) DevTools console"
    assert path(heap, pending) == "(Global handles) MediaQueryList"
    assert path(heap, plain) == "(Global handles)"


def test_other_internal_links_are_named_in_brackets() -> None:
    """Bound functions, promises and WeakMaps."""
    heap = HeapBuilder()
    window = heap.window()
    bound = heap.held(window, "property", "f", "closure", "native_bind")
    this = heap.held(bound, "internal", "bound_this", "object", "Widget")
    entry = "1 / part of key (Widget @5) -> value (Data @9) pair in WeakMap (table @501)"
    data = heap.held(this, "internal", entry, "object", "Data")
    assert path(heap, this) == "window.f (bound_this)"
    assert path(heap, data) == "window.f (bound_this) (value in a WeakMap)"


def test_what_only_weak_edges_lead_to_has_no_path() -> None:
    """The collector will take it."""
    heap = HeapBuilder()
    memo = heap.held(heap.window(), "weak", "1", "object", "Memo")
    child = heap.held(memo, "property", "child", "object", "Child")
    tree = Graph(heap.snapshot()).tree
    assert shortest_path(tree, memo) is None
    into = int(tree.snapshot.edges_into(child)[0])
    assert path_through(tree, into) is None


def test_a_linked_list_is_folded() -> None:
    """Many equal steps are one hop that says how many."""
    heap = HeapBuilder()
    node = heap.held(heap.window(), "property", "head", "object", "Link")
    for _ in range(3000):
        node = heap.held(node, "property", "next", "object", "Link")
    value = heap.held(node, "property", "value", "string", "x")
    found = shortest_path(Graph(heap.snapshot()).tree, value)
    assert found is not None
    assert str(found) == "window.head(.next x3,000).value"
    assert [hop.times for hop in found.hops] == [1, 1, 3000, 1]


def test_of_a_long_winding_path_the_middle_is_left_out() -> None:
    """Both ends are shown, and how much is missing."""
    heap = HeapBuilder()
    node = heap.held(heap.window(), "property", "start", "object", "Start")
    for number in range(200):
        node = heap.held(node, "property", "ab"[number % 2], "object", "Pair")
    found = shortest_path(Graph(heap.snapshot()).tree, node)
    assert found is not None
    assert str(found).startswith("window.start.a.b.a.b")
    assert " ...121 more steps... " in str(found)
    assert str(found).endswith(".a.b")
    assert len(found.hops) == 81


def test_a_path_goes_on_through_a_given_edge() -> None:
    """The second retainer of an object has a path of its own."""
    heap = HeapBuilder()
    window = heap.window()
    item = heap.held(window, "property", "current", "object", "Item")
    others = heap.held(window, "property", "others", "object", "Array")
    heap.edge(others, "element", 4, item)
    graph = Graph(heap.snapshot())
    tree = graph.paths(np.array([item]))
    said = {str(path_through(tree, edge)) for edge in graph.snapshot.edges_into(item).tolist()}
    assert said == {"window.current", "window.others[4]"}


def test_a_path_tells_the_facts_of_each_hop() -> None:
    """Edge, node, class and, for functions, the place in the script."""
    heap, function, cart = listener_heap()
    heap.locations.append((function, 7, function, 11, 2))
    found = shortest_path(Graph(heap.snapshot()).tree, cart)
    assert found is not None
    root, last = found.hops[0], found.hops[-1]
    assert (root.text, root.edge, root.edge_type) == ("window", "", "")
    assert (last.text, last.edge, last.edge_type) == (" -> cart", "cart", "context")
    assert (last.node, last.node_id, last.class_name) == (cart, 2 * cart + 1, "Cart")
    places = [hop.location for hop in found.hops if hop.location]
    assert places == [Location(7, "", 12, 3)]
    assert found.hops[2].text == ""


def test_the_pattern_of_a_path_is_the_same_for_all_elements() -> None:
    """Indexes become stars, so that equal leaks can be counted together."""
    heap = HeapBuilder()
    rows = heap.held(heap.window(), "property", "rows", "object", "Array")
    cell = heap.held(heap.held(rows, "element", 17, "object", "Array"), "element", 2, "object", "C")
    found = shortest_path(Graph(heap.snapshot()).tree, cell)
    assert found is not None
    assert found.pattern == "window.rows[*][*]"
