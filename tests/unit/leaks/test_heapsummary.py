"""The first page about a heap, one object's report, and what grew, on a heap counted by hand."""

from __future__ import annotations

import pytest

from pytest_sentinel.leaks.heapsnapshot import Tally
from pytest_sentinel.leaks.heapsummary import (
    Constructor,
    Holder,
    Overview,
    Text,
    describe_node,
    growth,
    overview,
)
from pytest_sentinel.leaks.retainers import Graph
from tests.unit.leaks.heapbuilder import HeapBuilder


def shop(items: int = 3) -> tuple[HeapBuilder, dict[str, int]]:
    """A page with some items in a list, two detached rows, and a string that exists twice."""
    heap = HeapBuilder()
    window = heap.window()
    listing = heap.held(window, "property", "items", "object", "Array", 16)
    removed = heap.held(window, "property", "removed", "object", "Array", 16)
    current = heap.held(window, "property", "current", "object", "Cursor", 12)
    rows = [
        heap.held(removed, "element", number, "native", "<tr>", 100, node_id=2001 + 2 * number)
        for number in range(2)
    ]
    for row in rows:
        heap.nodes[row]["detachedness"] = 2
        heap.held(row, "element", 1, "native", "blink::Style", 7)
        heap.held(row, "element", 2, "native", "<td>", 50)
    lone = heap.held(window, "property", "lone", "native", "Text", 30, node_id=3001, detached=2)
    garbage = heap.node("object", "Garbage", 1000)
    # The items come last, so that one more of them changes no other id.
    names = []
    for number in range(items):
        item = heap.held(
            listing, "element", number, "object", "Item", 24, node_id=1001 + 2 * number
        )
        names.append(heap.held(item, "property", "name", "string", "shirt", 20))
        heap.held(item, "property", "note", "string", "n" * (300 + number), 400 + number)
    heap.edge(current, "property", "item", item)
    return heap, {
        "window": window,
        "items": listing,
        "item": item,
        "row": rows[0],
        "lone": lone,
        "garbage": garbage,
        "name": names[0],
    }


def page(top: int = 10) -> Overview:
    return overview(Graph(shop()[0].snapshot()), top)


def test_the_overview_counts_what_is_there() -> None:
    """Nodes, edges and bytes, in all and still reachable."""
    heap, _ = shop()
    found = page()
    total = sum(node["self_size"] for node in heap.nodes)
    assert (found.nodes, found.edges) == (len(heap.nodes), sum(map(len, heap.edges)))
    assert (found.size, found.reachable_size) == (total, total - 1000)
    assert found.reachable_nodes == found.nodes - 1
    assert found.native_size == 4096
    assert found.types[0] == Tally("string", 6, 1263)


def test_constructors_are_ranked_by_size_and_by_count() -> None:
    """With what all objects of a class retain together; garbage retains nothing."""
    found = page()
    assert found.by_size[0] == Constructor("(string)", 6, 1263, 1263)
    assert found.by_size[1] == Constructor("Garbage", 1, 1000, 0)
    assert Constructor("Item", 3, 72, 1335) in found.by_size
    assert found.by_count[0] == Tally("(string)", 6, 1263)
    assert [row.name for row in page(2).by_size] == ["(string)", "Garbage"]
    assert len(page(2).by_count) == 2


def test_detached_dom_is_summed_with_who_holds_it() -> None:
    """Only DOM nodes count, the browser's objects below them are retained with them."""
    found = page().detached
    assert (found.count, found.size, found.retained) == (5, 330, 344)
    assert found.classes == [Tally("<tr>", 2, 200), Tally("<td>", 2, 100), Tally("Text", 1, 30)]
    assert found.holders == [
        Holder("window.removed[*]", 2, "<tr>", 2001),
        Holder("window.lone", 1, "Text", 3001),
    ]


def test_a_page_without_detached_dom_has_none() -> None:
    """Nothing detached, nobody to blame."""
    heap = HeapBuilder()
    heap.held(heap.window(), "property", "box", "native", "<div>", 9, detached=1)
    found = overview(Graph(heap.snapshot()), 10).detached
    assert (found.count, found.size, found.retained) == (0, 0, 0)
    assert (found.classes, found.holders) == ([], [])


def test_strings_are_ranked_by_size_and_by_waste() -> None:
    """The longest ones cut for reading; those that exist more than once with all their copies."""
    found = page()
    assert [text.size for text in found.strings] == [402, 401, 400, 20, 20, 20]
    assert found.strings[0].text == "n" * 200
    assert found.duplicates == [Text("shirt", 3, 60, found.duplicates[0].node_id)]


def test_equal_beginnings_of_different_strings_are_no_duplicates() -> None:
    """V8 writes only the beginning of a long string, so the size has to be equal too."""
    heap = HeapBuilder()
    window = heap.window()
    for number in range(2):
        heap.held(window, "element", number, "string", "same beginning", 2000 + number)
    assert overview(Graph(heap.snapshot()), 10).duplicates == []


def test_a_heap_without_strings_has_no_biggest() -> None:
    """The lists are empty, not missing."""
    found = overview(Graph(HeapBuilder().snapshot()), 10)
    assert (found.strings, found.duplicates) == ([], [])


def test_one_object_is_described() -> None:
    """What it is, what it keeps, the way to it and every independent retainer."""
    heap, at = shop()
    found = describe_node(Graph(heap.snapshot()), at["item"], 10)
    assert (found.node_id, found.class_name, found.name) == (1005, "Item", "Item")
    assert (found.type, found.size, found.retained) == ("object", 24, 24 + 20 + 402)
    assert not found.detached
    assert found.location is None
    assert str(found.path) in ("window.items[2]", "window.current.item")
    assert {str(path) for path in found.retainers} == {"window.items[2]", "window.current.item"}
    assert found.retainer_count == 2


def test_the_list_of_retainers_is_cut_and_counted() -> None:
    """The count tells how many there are beyond those that are shown."""
    heap, at = shop()
    found = describe_node(Graph(heap.snapshot()), at["item"], 1)
    assert (len(found.retainers), found.retainer_count) == (1, 2)


def test_a_detached_node_says_so() -> None:
    """The state of one node is the propagated one."""
    heap, at = shop()
    assert describe_node(Graph(heap.snapshot()), at["row"], 10).detached


def test_what_nothing_holds_has_no_path() -> None:
    """Garbage that waits for the collector."""
    heap, at = shop()
    found = describe_node(Graph(heap.snapshot()), at["garbage"], 10)
    assert (found.path, found.retainers, found.retained) == (None, [], 0)


def test_growth_names_what_came_and_where_it_hangs() -> None:
    """Classes that grew, with the holder of their new objects."""
    before, after = shop(3)[0].snapshot(), shop(8)[0].snapshot()
    found = growth(before, Graph(after), 10)
    assert found.same_ids
    assert (found.nodes, found.node_delta) == (len(after), 15)
    assert found.size_delta == found.size - int(before.self_size.sum())
    by_name = dict(zip([row.name for row in found.classes], found.held_by, strict=True))
    assert by_name["Item"] == "window.items[*]"
    rows = {row.name: row for row in found.classes}
    assert (rows["Item"].count_delta, rows["Item"].survivors, rows["Item"].born) == (5, 3, 5)
    assert [row.name for row in growth(before, Graph(after), 1).classes] == ["(string)"]


def test_growth_that_waits_for_the_collector_has_no_holder() -> None:
    """New objects that nothing reaches hang nowhere."""
    heap, _ = shop()
    before = heap.snapshot()
    heap.node("object", "Loose", 5)
    found = growth(before, Graph(heap.snapshot()), 10)
    assert [row.name for row in found.classes] == ["Loose"]
    assert found.held_by == [""]


@pytest.mark.parametrize("items", [3, 4])
def test_snapshots_of_two_sessions_have_no_survivors_to_name(items: int) -> None:
    """Then holders of what is new are not guessed either."""
    heap, _ = shop(items)
    ids = [node["id"] for node in heap.nodes]
    for node, node_id in zip(heap.nodes, reversed(ids), strict=True):
        node["id"] = node_id
    found = growth(shop()[0].snapshot(), Graph(heap.snapshot()), 10)
    assert not found.same_ids
    assert found.held_by == [""] * len(found.classes)
    assert len(found.classes) == (0 if items == 3 else 2)
