"""Two snapshots beside each other: what came, what went, what stayed."""

from __future__ import annotations

from pytest_sentinel.leaks.heapdiff import ClassDelta, diff, shares_ids, survivors
from pytest_sentinel.leaks.heapsnapshot import Snapshot
from tests.unit.leaks.heapbuilder import HeapBuilder


def cart(items: range, gone: str = "", sold: str = "Item") -> Snapshot:
    """A heap with one object for each number, which decides its id."""
    heap = HeapBuilder()
    window = heap.window()
    for number in items:
        heap.held(window, "element", number, "object", sold, 10, node_id=101 + 2 * number)
    if gone:
        heap.held(window, "property", "old", "object", gone, 7, node_id=99)
    return heap.snapshot()


def test_each_class_is_compared() -> None:
    """Counts, bytes, survivors and births; the biggest gain first, the biggest loss last."""
    deltas = diff(cart(range(3), gone="Banner"), cart(range(1, 6)))
    assert deltas[0] == ClassDelta(
        name="Item", count=5, count_delta=2, size=50, size_delta=20, survivors=2, born=3
    )
    assert deltas[-1] == ClassDelta(
        name="Banner", count=0, count_delta=-1, size=0, size_delta=-7, survivors=0, born=0
    )
    assert {delta.count_delta for delta in deltas[1:-1]} == {0}


def test_survivors_are_known_by_their_ids() -> None:
    """A node of the later snapshot survived when the earlier one had its id."""
    before, after = cart(range(2)), cart(range(1, 3))
    items = after.classes[0] == after.classes[1].index("Item")
    assert survivors(before, after)[items].tolist() == [True, False]


def test_ids_of_another_session_are_recognised() -> None:
    """Ids that were given anew name other objects; then nothing can be said of survivors."""
    before = cart(range(60))
    assert shares_ids(before, cart(range(1, 90)))
    assert not shares_ids(before, cart(range(60), sold="Banner"))


def test_snapshots_without_a_common_id_share_none() -> None:
    """Nothing in common is not the same session."""
    assert not shares_ids(HeapBuilder().snapshot(), HeapBuilder().snapshot())
