"""The reader against whole, cut and damaged files, in pieces of every size."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from pytest_sentinel.errors import HeapSnapshotError
from pytest_sentinel.leaks import heapformat
from pytest_sentinel.leaks.heapformat import SnapshotReader
from tests.unit.leaks.heapbuilder import HeapBuilder, serialise


def small_heap() -> HeapBuilder:
    heap = HeapBuilder()
    window = heap.window()
    cache = heap.held(window, "property", "cache", "object", "Map", 24)
    closure = heap.held(cache, "property", "load", "closure", "load", 32)
    heap.locations.append((closure, 7, cache, 41, -1))
    heap.samples.append((123_456_789_012, 99))
    return heap


def read(text: bytes, size: int | None = None) -> SnapshotReader:
    reader = SnapshotReader("page.heapsnapshot")
    size = size or max(len(text), 1)
    for at in range(0, len(text), size):
        reader.feed(text[at : at + size])
    reader.finish()
    return reader


def tables(reader: SnapshotReader) -> dict[str, Any]:
    sections = ("nodes", "edges", "locations", "samples")
    return {
        section: {name: column.tolist() for name, column in reader.columns(section).items()}
        for section in sections
    }


@pytest.mark.parametrize("old", [False, True])
def test_columns_are_found_by_their_names(old: bool) -> None:
    """The same heap gives the same columns, written by V8 of today or of some years ago."""
    heap = small_heap()
    reader = read(heap.file(old))
    found = tables(reader)
    assert found["nodes"]["id"] == [node["id"] for node in heap.nodes]
    assert found["nodes"]["edge_count"] == [len(edges) for edges in heap.edges]
    assert found["nodes"]["self_size"] == [node["self_size"] for node in heap.nodes]
    assert ("trace_node_id" in found["nodes"]) is old
    assert found["edges"]["to_node"] == [edge[2] for edges in heap.edges for edge in edges]
    assert found["locations"]["object_index"] == [heap.locations[0][0]]
    assert found["locations"]["line"] == [41]
    assert found["locations"]["column"] == [-1]
    assert ("script_object_index" in found["locations"]) is not old
    assert found["samples"] == {"timestamp_us": [123_456_789_012], "last_assigned_id": [99]}
    assert list(map(reader.strings.__getitem__, range(len(reader.strings)))) == list(heap.strings)


def test_pieces_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the text is cut, between keys, digits or letters, nothing changes."""
    text = small_heap().file()
    whole = tables(read(text))
    monkeypatch.setattr(heapformat, "_BLOCK", 16)
    for size in (1, 2, 3, 5, 7, 11, 64, 1000, len(text)):
        reader = read(text, size)
        assert tables(reader) == whole
        assert len(reader.strings) == len(small_heap().strings)


def test_text_is_taken_as_well_as_bytes() -> None:
    """CDP events carry text."""
    reader = SnapshotReader("a page")
    reader.feed(small_heap().file().decode())
    reader.finish()
    assert reader.columns("nodes")["id"].size == len(small_heap().nodes)


def test_another_writer_may_use_more_white_space() -> None:
    """A snapshot that went through a JSON formatter is read too."""
    heap = small_heap()
    for indent in (None, 1):
        text = json.dumps(heap.document(), indent=indent).encode() + b"\n"
        assert tables(read(text)) == tables(read(heap.file()))


def test_numbers_are_kept_at_full_width() -> None:
    """A backing store of more than 4 GiB keeps its size."""
    heap = small_heap()
    heap.held(0, "element", 2, "native", "system / JSArrayBufferData", 5_000_000_000)
    assert int(read(heap.file()).columns("nodes")["self_size"].max()) == 5_000_000_000


def test_a_section_that_the_file_does_not_describe_is_empty() -> None:
    """Without a description of locations there are none."""
    document = small_heap().document()
    del document["snapshot"]["meta"]["location_fields"]
    assert read(serialise(document)).columns("locations") == {}


def problem(text: bytes, size: int | None = None) -> str:
    with pytest.raises(HeapSnapshotError) as caught:
        read(text, size)
    assert caught.value.source == "page.heapsnapshot"
    return caught.value.problem


@pytest.mark.parametrize("text", [b"", b"{", b"PNG\r\n", b"[1, 2]", b'{"log": {"version": "1.2"}}'])
def test_another_kind_of_file_is_named_so(text: bytes) -> None:
    """What is no heap snapshot is said to be none."""
    assert problem(text) == "it does not begin like a heap snapshot"


def test_a_head_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that only begins like a snapshot does not fill the memory."""
    monkeypatch.setattr(heapformat, "_HEAD_LIMIT", 1000)
    assert "does not begin" in problem(b'{"snapshot":' + b" " * 2000)


def test_every_cut_is_noticed() -> None:
    """A file that lacks its last bytes, however few or many, is refused."""
    text = small_heap().file()
    for length in range(12, len(text)):
        assert problem(text[:length])


def test_a_cut_among_the_numbers_says_how_much_is_there() -> None:
    """The reader of the message learns that the file is cut, and where."""
    heap = small_heap()
    text = heap.file()
    cut = text[: text.index(b'"edges":[') + 9]
    assert problem(cut) == f"it is cut short: 0 of {sum(map(len, heap.edges))} edges are there"
    assert problem(text[:-1]) == "it is cut short: its strings do not end"


def test_a_missing_field_is_damage() -> None:
    """Without a field that every version has, nothing can be said."""
    document = small_heap().document()
    document["snapshot"]["meta"]["node_fields"][3] = "weight"
    assert problem(serialise(document)) == "it is damaged: 'self_size' is not in list"


def test_letters_among_the_numbers_are_damage() -> None:
    """A number that is none is reported."""
    text = small_heap().file().replace(b'"edges":[', b'"edges":[x')
    assert "holds something else" in problem(text)


def test_a_head_that_is_no_json_is_damage() -> None:
    """Broken JSON in the head is reported as the file's fault."""
    assert "it is damaged" in problem(b'{"snapshot":{oops},"nodes":[1,2]')


def test_counts_that_no_memory_could_hold_are_damage() -> None:
    """An absurd count does not end in an error of the interpreter."""
    document = small_heap().document()
    document["snapshot"]["node_count"] = 2**62
    assert "it is damaged" in problem(serialise(document))


def test_a_finished_reader_takes_no_more() -> None:
    """Pieces of the next snapshot are not mixed into this one."""
    reader = read(small_heap().file())
    with pytest.raises(HeapSnapshotError, match="it goes on after its end"):
        reader.feed(b" " * heapformat._BLOCK)


def test_columns_are_handed_over_once() -> None:
    """The reader does not keep what it gave away."""
    reader = read(small_heap().file())
    assert isinstance(reader.columns("nodes")["id"], np.ndarray)
    assert reader.columns("nodes") == {}
