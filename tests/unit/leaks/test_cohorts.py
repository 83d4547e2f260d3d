"""Survivors by birth window, on heaps small enough to be drawn by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_sentinel.leaks.cohorts import (
    CONFIRMED,
    PROBABLE,
    WEAK,
    Growth,
    awaited_by_timers,
    judge,
    survivors,
    swollen,
)
from pytest_sentinel.leaks.heapsnapshot import Snapshot
from pytest_sentinel.leaks.ownerpath import OwnerPaths
from tests.unit.leaks.heapbuilder import HeapBuilder

Fill = Callable[[HeapBuilder, int, int], None]
WINDOWS = (5, 7)
# Ids of what is made in the scene itself; entries get ids from 1001 on, one each.
OWNER_ID = 501


def heap(fill: Fill, entries: int) -> Snapshot:
    """Draw a heap with ``entries`` entries made so far."""
    builder = HeapBuilder()
    window = builder.window()
    fill(builder, window, entries)
    return builder.snapshot()


def grown(fill: Fill, counts: tuple[int, int, int] = (3, 8, 15)) -> list[Growth]:
    """Judge the scene before, between and after the windows."""
    before, between, after = (heap(fill, count) for count in counts)
    return survivors(before, between, after, WINDOWS, OwnerPaths(after, before))


def entry_id(number: int) -> int:
    """Return the heap id of the entry made as the ``number``-th."""
    return 1001 + 2 * number


def array_in_window(builder: HeapBuilder, window: int, entries: int) -> None:
    """``window.cache`` is an array that keeps every entry."""
    cache = builder.held(window, "property", "cache", "object", "Array", node_id=OWNER_ID)
    for number in range(entries):
        builder.held(cache, "element", number, "object", "Entry", 20, node_id=entry_id(number))


def recent_in_window(builder: HeapBuilder, window: int, entries: int) -> None:
    """``window.recent`` keeps the newest three entries."""
    recent = builder.held(window, "property", "recent", "object", "Array", node_id=OWNER_ID)
    for number in range(max(0, entries - 3), entries):
        builder.held(recent, "element", number, "object", "Entry", 20, node_id=entry_id(number))


def ring_in_window(builder: HeapBuilder, window: int, entries: int) -> None:
    """``window.ring`` keeps the newest twenty entries, and was full before."""
    ring = builder.held(window, "property", "ring", "object", "Array", node_id=OWNER_ID)
    for number in range(entries, entries + 20):
        builder.held(ring, "element", number, "object", "Entry", 20, node_id=entry_id(number))


def list_in_window(builder: HeapBuilder, window: int, entries: int) -> None:
    """``window.jobs.first`` is a linked list that grows at its end."""
    jobs = builder.held(window, "property", "jobs", "object", "Object", node_id=OWNER_ID)
    holder, label = jobs, "first"
    for number in range(entries):
        holder = builder.held(
            holder, "property", label, "object", "Job", 30, node_id=entry_id(number)
        )
        label = "next"


def rows_of_a_table(builder: HeapBuilder, window: int, entries: int) -> None:
    """A table in the document gets a row each time; rows are linked as siblings."""
    document = builder.held(window, "property", "doc", "native", "HTMLDocument", node_id=OWNER_ID)
    table = builder.held(document, "element", 1, "native", '<table id="t">', node_id=OWNER_ID + 2)
    holder = table
    for number in range(entries):
        row = builder.held(holder, "element", 9, "native", "<tr>", 80, node_id=entry_id(number))
        builder.edge(row, "element", 1, document)
        builder.edge(row, "element", 2, table)
        holder = row


def only_machinery(builder: HeapBuilder, window: int, entries: int) -> None:
    """Feedback and numbers pile up, as they do while code gets warm."""
    closure = builder.held(window, "property", "work", "closure", "work", node_id=OWNER_ID)
    for number in range(entries):
        builder.held(closure, "internal", f"cell{number}", "code", "FeedbackVector")
        builder.held(closure, "property", f"n{number}", "number", "heap number")


def only_plumbing(builder: HeapBuilder, window: int, entries: int) -> None:
    """The browser's own objects pile up, and nothing that has a name."""
    host = builder.held(window, "property", "host", "native", "Host", node_id=OWNER_ID)
    for number in range(entries):
        builder.held(host, "element", number, "native", "blink::Thing", node_id=entry_id(number))


@pytest.mark.parametrize(
    ("first", "second", "strength"),
    [
        (5, 7, CONFIRMED),
        (10, 14, CONFIRMED),
        (4, 8, PROBABLE),
        (3, 40, PROBABLE),
        (5, 5, WEAK),
        (1, 2, WEAK),
        (12, 0, 0),  # made once
        (0, 7, 0),  # the newest ones only
    ],
)
def test_two_windows_tell_a_leak_from_a_cache(first: int, second: int, strength: int) -> None:
    """Survivors of both windows in proportion are a leak; of one window only, they are none."""
    assert judge((first, second), WINDOWS) == strength


@pytest.mark.parametrize(
    ("born", "strength"), [(12, CONFIRMED), (24, CONFIRMED), (13, PROBABLE), (4, WEAK), (3, 0)]
)
def test_one_window_tells_how_much_is_left_of_it(born: int, strength: int) -> None:
    """When the pace is known from elsewhere, the sum says the rest."""
    assert judge((born,), (12,)) == strength


def test_one_window_needs_two_snapshots() -> None:
    """The same leak is found without a snapshot in the middle."""
    before, after = heap(array_in_window, 3), heap(array_in_window, 15)
    [growth] = survivors(before, None, after, (12,), OwnerPaths(after, before))
    assert (growth.born, growth.strength) == ((12,), CONFIRMED)


def test_an_array_that_keeps_everything_is_named() -> None:
    """The growing array is the owner, its entries the leaked class."""
    [growth] = grown(array_in_window)
    after = heap(array_in_window, 15)
    assert int(after.node_id[growth.owner]) == OWNER_ID
    assert (growth.constructor, growth.born) == ("Entry", (5, 7))
    assert (growth.net, growth.strength, growth.size) == (12, CONFIRMED, 240)


@pytest.mark.parametrize("fill", [recent_in_window, ring_in_window])
def test_what_is_exchanged_does_not_grow(fill: Fill) -> None:
    """A list of recent entries, full or short, is no leak however young its entries are."""
    assert grown(fill) == []


@pytest.mark.parametrize("fill", [only_machinery, only_plumbing])
def test_the_browsers_own_growth_is_nobodys_leak(fill: Fill) -> None:
    """Compiled code and nameless plumbing accuse no one."""
    assert grown(fill) == []


def test_a_linked_list_belongs_to_whoever_holds_its_first() -> None:
    """Entries chained by one property are folded into the head of the chain."""
    [growth] = grown(list_in_window)
    after = heap(list_in_window, 15)
    paths = OwnerPaths(after)
    assert paths.owner_text(growth.owner) + growth.slot == "window.jobs.first.next"
    assert growth.born == (5, 7)


def test_rows_hang_under_their_table_not_under_the_row_before() -> None:
    """Siblings are children of the same parent, although Blink links the first one only."""
    [growth] = grown(rows_of_a_table)
    after = heap(rows_of_a_table, 15)
    assert after.name(growth.owner) == '<table id="t">'
    assert growth.constructor == "<tr>"


def test_few_survivors_are_no_question() -> None:
    """Less than three new objects are not worth a second tree."""
    assert grown(array_in_window, (3, 4, 5)) == []


def document_nodes_with_new_ids(builder: HeapBuilder, window: int, entries: int) -> None:
    """The first children of an element get new ids each time, as when their wrappers die."""
    document = builder.held(window, "property", "doc", "native", "HTMLDocument", node_id=OWNER_ID)
    body = builder.held(document, "element", 1, "native", "<body>", node_id=OWNER_ID + 2)
    for number in range(entries):
        node_id = 2000 + 2 * (100 * entries + number) if number < 8 else entry_id(number)
        child = builder.held(body, "element", number, "native", "<p>", 50, node_id=node_id)
        builder.edge(child, "element", 90, document)
        builder.edge(child, "element", 91, body)


def test_document_nodes_with_new_ids_are_judged_by_their_sum() -> None:
    """A net gain of one node an iteration is probable, an unchanged number is nothing."""
    [growth] = grown(document_nodes_with_new_ids, (10, 15, 22))
    assert (growth.constructor, growth.net, growth.strength) == ("<p>", 12, PROBABLE)
    assert grown(document_nodes_with_new_ids, (22, 22, 22)) == []


def text_in_window(builder: HeapBuilder, window: int, entries: int) -> None:
    """``window.log`` is a string that is written anew, longer each time."""
    holder = builder.held(window, "property", "app", "object", "Object", node_id=OWNER_ID)
    parts = builder.held(
        holder, "property", "log", "concatenated string", "x", 20, node_id=entry_id(entries)
    )
    builder.held(holder, "property", "name", "string", "z", 10, node_id=5001 + 2 * entries)
    builder.held(parts, "internal", "second", "object", "O", 999, node_id=OWNER_ID + 8)
    for depth in range(4):
        size, node_id = 0 if depth else 30 * entries, 9001 + 400 * depth + 2 * entries
        parts = builder.held(parts, "internal", "first", "string", "x", size, node_id=node_id)
    builder.held(
        holder, "property", f"new{entries}", "string", "y", 500, node_id=7001 + 2 * entries
    )


def test_a_string_that_is_rewritten_longer_swells_its_slot() -> None:
    """The slot, its new content and the gain are found; a slot that is new is none."""
    before, after = heap(text_in_window, 20), heap(text_in_window, 32)
    found = swollen(before, after, OwnerPaths(after), least=96)
    assert [(key, gained) for key, (_, gained) in found.items()] == [((OWNER_ID, "log"), 360)]


def test_a_string_that_changes_a_little_swells_nothing() -> None:
    """Below the least gain nothing is reported."""
    before, after = heap(text_in_window, 20), heap(text_in_window, 21)
    assert swollen(before, after, OwnerPaths(after), least=96) == {}


def timers_in_window(builder: HeapBuilder, window: int, entries: int) -> None:
    """Each entry is kept by an array and referred to by a timer that has still to fire."""
    cache = builder.held(window, "property", "cache", "object", "Array", node_id=OWNER_ID)
    host = builder.held(window, "property", "host", "native", "Timers", node_id=OWNER_ID + 2)
    for number in range(entries):
        node = builder.held(cache, "element", number, "object", "E", node_id=entry_id(number))
        timer = builder.held(
            host, "element", number, "native", "DOMTimer", node_id=8000 + 2 * number
        )
        builder.edge(timer, "element", 1, node)
        builder.edge(timer, "element", 2, cache)


def test_timers_lead_to_what_was_made_with_them() -> None:
    """Young objects behind young timers are awaited; old ones are not, though reachable."""
    before, after = heap(timers_in_window, 3), heap(timers_in_window, 5)
    mask = awaited_by_timers(before, after, OwnerPaths(after))
    names = sorted(after.name(node) for node in range(len(after)) if mask[node])
    assert names == ["DOMTimer", "DOMTimer", "E", "E"]


def ownerless(builder: HeapBuilder, window: int, entries: int) -> None:
    """Objects that hang at the roots of the machine, not at anything of the page."""
    del window
    for number in range(entries):
        builder.held(builder.root, "element", number, "object", "Loose", node_id=entry_id(number))


def test_what_hangs_at_the_root_accuses_the_root_only() -> None:
    """There is an owner for everything, if only V8's root."""
    assert [growth.owner for growth in grown(ownerless)] == [0]


def test_a_swelling_needs_a_holder_of_old() -> None:
    """A slot that did not exist before cannot have swollen."""

    def other(builder: HeapBuilder, window: int, entries: int) -> None:
        holder = builder.held(window, "property", f"app{entries}", "object", "O", node_id=entries)
        builder.held(holder, "property", "log", "string", "x", 900, node_id=entries * 1000 + 1)

    def buffer(builder: HeapBuilder, window: int, entries: int) -> None:
        holder = builder.held(window, "property", "app", "object", "O", node_id=OWNER_ID)
        view = builder.held(
            holder, "property", "bytes", "object", "Uint8Array", 40, node_id=entry_id(entries)
        )
        builder.held(view, "internal", "map", "object shape", "system / Map", node_id=3)
        data = "system / JSArrayBufferData"
        builder.held(view, "internal", "b", "native", data, 100 * entries, node_id=60 + entries)

    before, after = heap(other, 401), heap(other, 403)
    assert swollen(before, after, OwnerPaths(after), least=96) == {}
    before, after = heap(buffer, 2), heap(buffer, 8)
    [(_, gained)] = swollen(before, after, OwnerPaths(after), least=96).values()
    assert gained == 600


def store_that_moves(builder: HeapBuilder, window: int, entries: int) -> None:
    """The table of a map stays, but the map around it is another one each time."""
    holder = builder.held(window, "property", "m", "object", "Map", node_id=301 + 2 * entries)
    store = builder.held(holder, "internal", "table", "array", "", node_id=OWNER_ID)
    for number in range(entries):
        builder.held(store, "element", number, "object", "Entry", node_id=entry_id(number))


def test_an_owner_that_is_new_itself_has_lost_nothing() -> None:
    """What hangs under a fresh holder of an old table is still counted."""
    [growth] = grown(store_that_moves)
    assert (growth.born, growth.net) == ((5, 7), 12)


def test_objects_of_a_global_object_that_nobody_holds_have_no_owner() -> None:
    """Without an earlier snapshot to compare with, every global object is a root of its own."""

    def frames(builder: HeapBuilder, window: int, entries: int) -> None:
        for number in range(entries):
            name = "Window [JSGlobalObject] / https://b.test"
            frame = builder.held(
                window, "element", number, "object", name, node_id=entry_id(number)
            )
            builder.held(frame, "property", "x", "object", "X", node_id=5001 + 2 * number)

    before, between, after = (heap(frames, count) for count in (3, 8, 15))
    assert survivors(before, between, after, WINDOWS, OwnerPaths(after)) == []
