"""Where things hang, and what the way there is called."""

from __future__ import annotations

import re

import pytest

from pytest_sentinel.leaks.ownerpath import OwnerPaths
from tests.unit.leaks.heapbuilder import HeapBuilder


@pytest.fixture
def heap() -> HeapBuilder:
    """A heap with nothing but its root."""
    return HeapBuilder()


def text(heap: HeapBuilder, node: int) -> str:
    """Return the owner text of a node."""
    return OwnerPaths(heap.snapshot()).owner_text(node)


def test_properties_are_written_as_in_a_script(heap: HeapBuilder) -> None:
    """Plain names with a dot, private ones with their sign, all others in brackets."""
    app = heap.held(heap.window(), "property", "app", "object", "App")
    private = heap.held(app, "property", "#parts", "object", "Array")
    odd = heap.held(app, "property", "a-b", "object", "Object")
    symbol = heap.held(app, "property", "<symbol drafts>", "object", "Array")
    entry = heap.held(private, "element", 7, "object", "Part")
    paths = OwnerPaths(heap.snapshot())
    assert [paths.owner_text(node) for node in (app, private, odd, symbol, entry)] == [
        "window.app",
        "window.app.#parts",
        'window.app["a-b"]',
        "window.app[Symbol(drafts)]",
        "window.app.#parts[*]",
    ]


def test_a_variable_of_a_script_is_known_by_its_name(heap: HeapBuilder) -> None:
    """``const cache`` at the top of a script hangs in a table of scopes, not at the window."""
    table = heap.held(heap.root, "element", 5, "array", "system / ScriptContextTable")
    scope = heap.held(table, "internal", "1", "object", "system / Context")
    cache = heap.held(scope, "context", "cache", "object", "Map")
    store = heap.held(cache, "internal", "table", "array", "")
    value = heap.held(store, "internal", "3", "object", "Page")
    paths = OwnerPaths(heap.snapshot())
    assert paths.hops(value) == ["cache", "[*]"]
    assert paths.nameable(store) == cache
    assert paths.slot(cache, [value]) == ""


def test_the_programs_names_beat_the_browsers_shortcuts(heap: HeapBuilder) -> None:
    """A long way through properties is told, not a short one through native or class objects."""
    window = heap.window()
    one = heap.held(window, "property", "one", "object", "Object")
    two = heap.held(one, "property", "two", "object", "Object")
    thing = heap.held(two, "property", "three", "object", "Thing")
    native = heap.held(window, "property", "n", "native", "Widget")
    heap.edge(native, "element", 1, thing)
    maker = heap.held(window, "property", "constructor", "closure", "Maker")
    heap.edge(maker, "property", "last", thing)
    assert text(heap, thing) == "window.one.two.three"


def test_listeners_are_found_between_target_and_function(heap: HeapBuilder) -> None:
    """The function is named, anonymous or not; the plumbing in between is not."""
    document = heap.held(heap.window(), "property", "document", "native", "HTMLDocument")
    data = heap.held(document, "element", 1, "native", "blink::EventTargetData")
    listener = heap.held(data, "element", 1, "native", "RegisteredEventListener")
    named = heap.held(listener, "element", 1, "closure", "onKey")
    other = heap.held(listener, "element", 2, "closure", "")
    paths = OwnerPaths(heap.snapshot())
    assert paths.hops(named) == ["document", "onKey()"]
    assert paths.closure_below(document, other) == "anonymous()"
    assert paths.closure_below(document, data) == ""
    assert paths.class_between(named, document, re.compile("Registered")) == "Registered"
    assert paths.class_between(named, document, re.compile("Timer")) == ""
    assert paths.slot(document, [named]) == ""
    assert paths.slot(other, [named]) == ""
    assert paths.slot(other, []) == ""


def test_two_slots_are_no_slot(heap: HeapBuilder) -> None:
    """Only a property that leads to all the nodes is worth naming."""
    app = heap.held(heap.window(), "property", "app", "object", "App")
    nodes = [heap.held(app, "property", name, "object", "Item") for name in ("a", "b")]
    paths = OwnerPaths(heap.snapshot())
    assert paths.slot(app, nodes) == ""
    assert paths.slot(app, nodes[:1]) == ".a"


def test_what_only_the_test_holds_is_not_reached(heap: HeapBuilder) -> None:
    """Handles of the inspector keep objects alive, but the page does not."""
    heap.window()
    handles = heap.held(heap.root, "element", 2, "synthetic", "(Global handles)")
    held = heap.held(handles, "internal", "6 / DevTools console", "object", "Object")
    weak = heap.held(handles, "weak", "7", "object", "Object")
    paths = OwnerPaths(heap.snapshot())
    assert not paths.reached[held]
    assert not paths.reached[weak]
    assert paths.owner_text(held) == ""


def test_a_weak_maps_table_does_not_hold_its_values(heap: HeapBuilder) -> None:
    """The value lives by its key; the table alone keeps nothing."""
    window = heap.window()
    name = "2 / part of key (K @9) -> value (V @11) pair in WeakMap (table @7)"
    table = heap.held(window, "property", "weak", "array", "")
    lost = heap.held(table, "internal", name, "object", "V")
    key = heap.held(window, "property", "key", "object", "K")
    value = heap.held(key, "internal", name, "object", "V")
    paths = OwnerPaths(heap.snapshot())
    assert (bool(paths.reached[lost]), bool(paths.reached[value])) == (False, True)


def test_compiled_code_holds_nothing(heap: HeapBuilder) -> None:
    """What only feedback refers to is not the page's."""
    work = heap.held(heap.window(), "property", "work", "closure", "work")
    cell = heap.held(work, "internal", "feedback_cell", "code", "FeedbackCell")
    literal = heap.held(cell, "internal", "boilerplate", "object", "Object")
    assert not OwnerPaths(heap.snapshot()).reached[literal]


def test_the_browsers_books_are_artifacts_with_all_they_hold(heap: HeapBuilder) -> None:
    """An undo step and the text it keeps are marked; marks of the page's own are not."""
    window = heap.window()
    undo = heap.held(window, "internal", "x", "native", "blink::UndoStack")
    kept = heap.held(undo, "element", 1, "native", "Text")
    entry = heap.held(window, "internal", "y", "native", "PerformanceResourceTiming")
    mark = heap.held(window, "internal", "z", "native", "PerformanceMark")
    artifact = OwnerPaths(heap.snapshot()).artifact
    assert [bool(artifact[node]) for node in (undo, kept, entry, mark)] == [True, True, True, False]


def document_with_layout(heap: HeapBuilder) -> tuple[int, int, int]:
    """Draw a body whose second child is first met through its layout object."""
    document = heap.held(heap.window(), "property", "document", "native", "HTMLDocument")
    body = heap.held(document, "element", 1, "native", "<body>")
    first = heap.held(body, "element", 1, "native", "<p>")
    second = heap.held(first, "element", 2, "native", "<p>", detached=1)
    layout = heap.held(body, "element", 3, "native", "blink::LayoutBlock")
    heap.edge(layout, "element", 1, second)
    for node in (first, second):
        heap.edge(node, "element", 8, document)
        heap.edge(node, "element", 9, body)
        heap.edge(node, "element", 10, node)
    heap.edge(body, "element", 8, document)
    heap.edge(body, "element", 9, body)
    return body, first, second


def test_layout_does_not_own_what_it_lays_out(heap: HeapBuilder) -> None:
    """Nodes of the document hang under their parent, and are under it when asked."""
    body, first, second = document_with_layout(heap)
    paths = OwnerPaths(heap.snapshot())
    assert paths.parent[second] == body
    assert paths.hops(second) == ["document", "<body>", "<p>"]
    assert sorted(n for n in (first, second) if paths.under(body)[n]) == [first, second]
    assert paths.property_label(second) == ""
    assert paths.property_label(body) == ""


def test_what_only_an_id_map_knows_hangs_under_its_parent(heap: HeapBuilder) -> None:
    """A node that was met through the browser's own index belongs to its parent."""
    document = heap.held(heap.window(), "property", "document", "native", "HTMLDocument")
    body = heap.held(document, "element", 1, "native", "<body>")
    index = heap.held(document, "element", 2, "native", "blink::TreeOrderedMap")
    node = heap.held(index, "element", 1, "native", "<p>")
    heap.edge(node, "element", 8, document)
    heap.edge(node, "element", 9, body)
    paths = OwnerPaths(heap.snapshot())
    assert paths.parent[node] == body


def test_a_parent_that_is_known_through_its_child_stays_above_it(heap: HeapBuilder) -> None:
    """A tree that only a variable's reference to an inner node keeps is told from that node."""
    window = heap.window()
    document = heap.held(window, "property", "document", "native", "HTMLDocument")
    index = heap.held(document, "element", 2, "native", "blink::Selection")
    button = heap.held(index, "element", 1, "native", "<button>")
    heap.edge(button, "element", 8, document)
    heap.held(button, "element", 9, "native", "<form>")
    paths = OwnerPaths(heap.snapshot())
    assert paths.parent[button] == index


def test_a_new_node_in_the_document_belongs_there(heap: HeapBuilder) -> None:
    """A row that an array refers to as well hangs under its table, once it is new."""
    window = heap.window()
    document = heap.held(window, "property", "document", "native", "HTMLDocument")
    body = heap.held(document, "element", 1, "native", "<body>")
    rows = heap.held(window, "property", "rows", "object", "Array")
    earlier = heap.snapshot()
    row = heap.held(rows, "element", 0, "native", "<li>", detached=1)
    heap.edge(row, "element", 8, document)
    heap.edge(row, "element", 9, body)
    after = heap.snapshot()
    assert OwnerPaths(after, earlier).parent[row] == body
    assert OwnerPaths(after).parent[row] == rows


def test_a_frame_that_came_later_is_no_root(heap: HeapBuilder) -> None:
    """The global object of a leaked frame is held by somebody, and that is told."""
    window = heap.window()
    earlier = heap.snapshot()
    kept = heap.held(window, "property", "kept", "object", "Array")
    frame = heap.held(kept, "element", 0, "object", "Window [JSGlobalObject] / https://b.test")
    after = heap.snapshot()
    assert OwnerPaths(after, earlier).parent[frame] == kept
    assert OwnerPaths(after).parent[frame] == -1


def test_elements_add_their_tag_to_the_name_of_their_variable(heap: HeapBuilder) -> None:
    """A variable that holds an element is shown with it; the global objects stand alone."""
    window = heap.window()
    table = heap.held(window, "property", "log", "native", '<ul id="log">')
    proxy = heap.held(window, "property", "globalThis", "native", "Window / https://a.test")
    paths = OwnerPaths(heap.snapshot())
    assert paths.owner_text(table) == 'window.log <ul id="log">'
    assert paths.owner_text(proxy) == "window"


def test_natives_and_parts_without_a_name_are_skipped(heap: HeapBuilder) -> None:
    """Browser objects show their class; internal parts show nothing."""
    window = heap.window()
    observer = heap.held(window, "internal", "x", "native", "MutationObserver")
    parts = heap.held(window, "internal", "elements", "object", "Part")
    store = heap.held(observer, "element", 1, "array", "")
    paths = OwnerPaths(heap.snapshot())
    assert paths.hops(observer) == ["window", "MutationObserver"]
    assert paths.hops(parts) == ["window"]
    assert paths.nameable(store) == observer
    assert paths.is_plumbing(0)
    assert paths.nameable(0) == 0


def test_a_long_chain_is_told_in_short(heap: HeapBuilder) -> None:
    """The same step is shown twice at most."""
    node = heap.held(heap.window(), "property", "head", "object", "Item")
    for _ in range(5):
        node = heap.held(node, "property", "next", "object", "Item")
    assert text(heap, node) == "window.head.next.next"
