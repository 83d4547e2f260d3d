"""A snapshot's nodes, edges, classes, places and sums, on heaps small enough to count by hand."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from pytest_sentinel.errors import HeapSnapshotError
from pytest_sentinel.leaks.heapsnapshot import Location, Snapshot, Tally, class_name
from tests.unit.leaks.heapbuilder import HeapBuilder, serialise


def shop() -> tuple[HeapBuilder, dict[str, int]]:
    """A heap with a window, a cache with two entries, and a closure that V8 knows the place of."""
    heap = HeapBuilder()
    window = heap.window()
    app = heap.held(window, "property", "app", "object", "App", 16)
    table = heap.held(app, "internal", "table", "array", "", 64)
    first = heap.held(table, "internal", "3", "object", "Item", 24)
    second = heap.held(table, "internal", "6", "object", "Item", 24)
    title = heap.held(second, "property", "title", "string", "blue\nshirt", 32)
    load = heap.held(app, "property", "load more", "closure", "load", 28)
    script = heap.held(load, "internal", "shared", "code", "system / SharedFunctionInfo / load")
    heap.locations.append((load, 7, script, 41, 4))
    return heap, {
        "window": window,
        "app": app,
        "table": table,
        "first": first,
        "second": second,
        "title": title,
        "load": load,
        "script": script,
    }


def test_a_snapshot_knows_its_nodes() -> None:
    """Type, name, class, id and size of each."""
    heap, at = shop()
    snapshot = heap.snapshot()
    assert len(snapshot) == len(heap.nodes)
    assert snapshot.type_name(at["load"]) == "closure"
    assert snapshot.name(at["title"]) == "blue\nshirt"
    assert snapshot.class_name(at["first"]) == "Item"
    assert snapshot.class_name(at["title"]) == "(string)"
    assert int(snapshot.self_size[at["table"]]) == 64
    assert snapshot.index_of(int(snapshot.node_id[at["app"]])) == at["app"]
    assert snapshot.index_of(4) is None
    assert repr(snapshot) == f"<Snapshot heap snapshot: {len(snapshot)} nodes, 10 edges>"


def test_a_snapshot_knows_its_edges() -> None:
    """Who holds whom, under which name, written as JavaScript would."""
    heap, at = shop()
    heap.edge(at["app"], "element", 12, at["first"])
    heap.edge(at["load"], "context", "page", at["app"])
    snapshot = heap.snapshot()
    said = [snapshot.describe_edge(edge) for edge in snapshot.edges_of(at["app"])]
    assert said == ["(table)", '["load more"]', "[12]"]
    assert [snapshot.describe_edge(edge) for edge in snapshot.edges_of(at["load"])][1] == " -> page"
    assert snapshot.describe_edge(snapshot.edges_of(at["window"])[0]) == ".app"
    into = snapshot.edges_into(at["first"])
    assert snapshot.holders(into).tolist() == [at["app"], at["table"]]
    assert [snapshot.holder(edge) for edge in into.tolist()] == [at["app"], at["table"]]
    assert snapshot.edge_label(int(into[0])) == "12"


def test_a_type_that_this_version_lacks_matches_nothing() -> None:
    """An unknown type's index is one that no row has."""
    snapshot = HeapBuilder().snapshot()
    assert snapshot.type_index("synthetic") == 9
    assert snapshot.type_index("wasm object") == 255
    assert snapshot.edge_type_index("weak") == 6
    assert snapshot.edge_type_index("strong") == 255


@pytest.mark.parametrize("old", [False, True])
def test_the_place_of_a_function_is_told_from_one(old: bool) -> None:
    """Line and column count from 1 as editors do; the address comes from the script."""
    heap, at = shop()
    script = at["script"]
    if old:
        script = heap.held(at["script"], "internal", "script", "code", "system / Script")
    heap.held(script, "property", "name", "string", "not this one")
    heap.held(script, "internal", "name", "string", "https://a.test/app.js")
    snapshot = heap.snapshot(old)
    place = snapshot.location(at["load"])
    assert place == Location(7, "https://a.test/app.js", 42, 5)
    assert str(place) == "https://a.test/app.js:42:5"
    assert snapshot.location(at["app"]) is None


def test_a_name_given_by_the_source_goes_before_the_address() -> None:
    """What `//# sourceURL` says is what the developer called the script."""
    heap, at = shop()
    heap.held(at["script"], "internal", "name", "string", "https://a.test/")
    heap.held(at["script"], "internal", "source_url", "string", "cart.js")
    place = heap.snapshot().location(at["load"])
    assert place is not None
    assert place.url == "cart.js"


@pytest.mark.parametrize("kind", ["string", "hidden"])
def test_a_script_without_a_name_is_told_by_its_number(kind: str) -> None:
    """Code from eval has neither address nor name."""
    heap, at = shop()
    heap.held(at["script"], "internal", "name", kind, "")
    assert str(heap.snapshot().location(at["load"])) == "script 7:42:5"


def test_an_old_snapshot_may_not_lead_to_the_script() -> None:
    """Where the function's code is not followed to a script, number and line remain."""
    for keep in (True, False):
        heap, at = shop()
        if not keep:
            heap.edges[at["load"]].clear()
        assert str(heap.snapshot(old=True).location(at["load"])) == "script 7:42:5"


def test_without_locations_nothing_has_a_place() -> None:
    """A writer may leave them out."""
    heap, at = shop()
    document = heap.document()
    del document["snapshot"]["meta"]["location_fields"]
    assert Snapshot.from_chunks([serialise(document)]).location(at["load"]) is None


def test_totals_are_by_type_and_by_class() -> None:
    """Heaviest first; what weighs the same, by number, then by name."""
    heap, at = shop()
    heap.held(at["app"], "element", 1, "native", '<div class="a">', 8)
    heap.held(at["app"], "element", 2, "native", "<div>", 8)
    heap.held(at["app"], "element", 3, "hidden", "system / ContextCell", 4)
    heap.held(at["app"], "element", 4, "hidden", "odds", 2)
    snapshot = heap.snapshot()
    assert snapshot.totals()[:3] == [
        Tally("object", 4, 64),
        Tally("array", 1, 64),
        Tally("string", 1, 32),
    ]
    tallies = {tally.name: (tally.count, tally.size) for tally in snapshot.constructors()}
    assert tallies["Item"] == (2, 48)
    assert tallies["<div>"] == (2, 16)
    assert tallies["system / ContextCell"] == (1, 4)
    assert tallies["(hidden)"] == (1, 2)
    assert tallies["Function"] == (1, 28)
    assert next(iter(tallies)) == "(array)"


def test_the_classes_of_all_nodes_are_those_of_each() -> None:
    """Elements with and without attributes, of any alphabet, are counted under one name."""
    heap = HeapBuilder()
    names = ['<my-tag id="a">', "<my-tag>", "<svg:a x>", "<\u00fcber tag>", "< odd", "Plain / x"]
    nodes = [heap.held(0, "element", 1, "native", name) for name in names]
    snapshot = heap.snapshot()
    class_of, classes = snapshot.classes
    assert [classes[class_of[node]] for node in nodes] == [snapshot.class_name(n) for n in nodes]
    assert classes[class_of[nodes[0]]] == "<my-tag>"


def test_some_nodes_can_be_summed_alone() -> None:
    """The same for a choice of nodes, without what is not among them."""
    heap, at = shop()
    snapshot = heap.snapshot()
    chosen = snapshot.constructors(snapshot.edges_into(0)[:0])
    assert chosen == []
    chosen = snapshot.constructors(np.array([at["first"], at["load"]]))
    assert chosen == [Tally("Function", 1, 28), Tally("Item", 1, 24)]


@pytest.mark.parametrize(
    ("kind", "name", "counted"),
    [
        ("object", "Order", "Order"),
        ("object", "Window [JSGlobalObject] / https://a.test", "Window [JSGlobalObject]"),
        ("object", "system / Context / scope @457", "system / Context"),
        ("native", '<a href="x > y">', "<a>"),
        ("native", "<br>", "<br>"),
        ("native", "blink::Node", "blink::Node"),
        ("hidden", "system / AccessorPair", "system / AccessorPair"),
        ("hidden", "x", "(hidden)"),
        ("closure", "load", "Function"),
        ("regexp", "/a/", "RegExp"),
        ("code", "system / SharedFunctionInfo / f", "(compiled code)"),
        ("concatenated string", "ab", "(concatenated string)"),
        ("object shape", "system / Map", "(object shape)"),
    ],
)
def test_equal_things_count_together(kind: str, name: str, counted: str) -> None:
    """Attributes, addresses and scopes make no class of their own."""
    assert class_name(kind, name) == counted


def test_files_are_read_plain_or_compressed(tmp_path: Path) -> None:
    """The progress is told in bytes of the file as it lies there, and ends at all of them."""
    heap, _ = shop()
    for name, text in (("a.heapsnapshot", heap.file()), ("b.gz", gzip.compress(heap.file()))):
        file = tmp_path / name
        file.write_bytes(text)
        told: list[tuple[int, int]] = []
        snapshot = Snapshot.from_file(file, lambda *bytes_read, told=told: told.append(bytes_read))
        assert len(snapshot) == len(heap.nodes)
        assert snapshot.source == str(file)
        assert told == [(len(text), len(text))]
        assert len(Snapshot.from_file(str(file))) == len(heap.nodes)


def test_a_compressed_file_that_is_damaged_is_refused(tmp_path: Path) -> None:
    """Cut, with a wrong checksum or with bad blocks: the message names the file."""
    file = tmp_path / "bad.gz"
    packed = gzip.compress(shop()[0].file())
    for text in (packed[:-20], packed[:-8] + bytes(8), packed[:12] + b"\xff" * 40):
        file.write_bytes(text)
        with pytest.raises(HeapSnapshotError, match=r"bad\.gz: it is cut short or damaged"):
            Snapshot.from_file(file)


@pytest.mark.parametrize(
    ("section", "place", "value", "complaint"),
    [
        ("edges", 2, 6_000_000, "points behind the last node"),
        ("nodes", 1, 6_000_000, "a name is not among the strings"),
        ("edges", 1, 6_000_000, "a name is not among the strings"),
        ("nodes", 0, 99, "a node has an unknown type"),
        ("edges", 0, 99, "an edge has an unknown type"),
        ("nodes", 4, 7, "its nodes claim"),
    ],
)
def test_columns_that_contradict_one_another_are_refused(
    section: str, place: int, value: int, complaint: str
) -> None:
    """Damage is found when the file is read, not when somebody asks for the damaged part."""
    heap = HeapBuilder()
    heap.held(0, "internal", "handles", "synthetic", "(Global handles)")
    document = heap.document()
    document[section][place] = value
    with pytest.raises(HeapSnapshotError, match=complaint):
        Snapshot.from_chunks([serialise(document)])


def test_a_heap_without_nodes_is_refused() -> None:
    """Every heap has a root."""
    document = HeapBuilder().document()
    document["snapshot"]["node_count"] = 0
    document["nodes"] = []
    with pytest.raises(HeapSnapshotError, match="it has no nodes"):
        Snapshot.from_chunks([serialise(document)])


def test_a_snapshot_says_when_ids_were_given() -> None:
    """Samples of a tracked heap date the births; an untracked one has none."""
    heap, _ = shop()
    assert heap.snapshot().samples["timestamp_us"].size == 0
    heap.samples = [(5, 11), (9, 15)]
    assert heap.snapshot().samples["last_assigned_id"].tolist() == [11, 15]
    assert heap.snapshot().trace_node_id is None
    assert heap.snapshot(old=True).trace_node_id is not None
