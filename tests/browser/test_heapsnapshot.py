"""Snapshots of a real Chromium: planted objects are found on the paths that hold them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, CDPSession, Page, Playwright

from pytest_sentinel import browsers
from pytest_sentinel.leaks.heapdiff import diff, shares_ids, survivors
from pytest_sentinel.leaks.heapformat import SnapshotReader
from pytest_sentinel.leaks.heapsnapshot import DETACHED, Snapshot
from pytest_sentinel.leaks.heapsummary import overview
from pytest_sentinel.leaks.retainerpaths import shortest_path
from pytest_sentinel.leaks.retainers import Graph, propagate_detachedness

pytestmark = pytest.mark.browser

PAGE = """
<title>planted</title><body><div id="box">box</div><script>
class InMap {}; class InArray {}; class TopLevel {}; class InClosure {}; class InListener {}
class InTimer {}; class InStatic {}; class Expando {}; class InObserver {}; class InWeakMap {}
window.app = {cache: new Map([["k", new InMap()]]), list: [0, 0, 0, new InArray()]};
const topLevel = {deep: [new TopLevel()]};
function maker() { const hidden = [new InClosure()]; return function reader() { return hidden } }
window.reader = maker();
{
  const held = new InListener();
  document.getElementById("box").addEventListener("click", function onClick() { return held });
}
{ const held = new InTimer(); setInterval(function tick() { return held }, 1e6) }
class Registry { static items = [new InStatic()] }
document.getElementById("box").__data = {x: new Expando()};
{
  const held = new InObserver();
  new MutationObserver(function seen() { return held }).observe(document.body, {childList: true})
}
window.weak = new WeakMap();
window.key = {};
weak.set(key, new InWeakMap());
window.removed = [];
for (let i = 0; i < 5; i++) {
  const row = document.createElement("section");
  row.innerHTML = "<b>one</b><i>two</i>";
  removed.push(row);
}
//# sourceURL=planted.js
</script>
"""

PATHS = {
    "InMap": "window.app.cache[*]",
    "InArray": "window.app.list[3]",
    "TopLevel": "topLevel.deep[0]",
    "InClosure": "window.reader (closure) reader -> hidden[0]",
    "InListener": 'window.document <div id="box"> EventListener (closure) onClick -> held',
    "InTimer": "window DOMTimer (closure) tick -> held",
    "InStatic": "Registry.items[0]",
    "Expando": 'window.document <div id="box">.__data.x',
    "InObserver": "window.document <body> MutationObserver (closure) seen -> held",
    "InWeakMap": "window.key (value in a WeakMap)",
}


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """A browser of our own: Playwright's if it is there, else the system's."""
    choice = browsers.prepare(dict(os.environ))
    browser = playwright.chromium.launch(executable_path=choice.executable)
    yield browser
    browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page in a context of its own."""
    context = chromium.new_context()
    yield context.new_page()
    context.close()


def take(session: CDPSession) -> Snapshot:
    """Take a snapshot, parsing it while it arrives."""
    reader = SnapshotReader("the page")

    def feed(event: dict[str, str]) -> None:
        reader.feed(event["chunk"])

    session.on("HeapProfiler.addHeapSnapshotChunk", feed)
    session.send("HeapProfiler.takeHeapSnapshot", {"reportProgress": False})
    session.remove_listener("HeapProfiler.addHeapSnapshotChunk", feed)
    reader.finish()
    return Snapshot(reader)


def tracked(page: Page) -> CDPSession:
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.enable")
    return session


def of_class(snapshot: Snapshot, name: str) -> list[int]:
    class_of, names = snapshot.classes
    kind = snapshot.node_type == snapshot.type_index("object")
    return np.flatnonzero((class_of == names.index(name)) & kind).tolist()


@pytest.fixture(scope="module")
def planted(chromium: Browser) -> Graph:
    """The graph of the page above."""
    context = chromium.new_context()
    page = context.new_page()
    page.set_content(PAGE)
    graph = Graph(take(tracked(page)))
    context.close()
    return graph


@pytest.mark.parametrize(("name", "path"), PATHS.items())
def test_a_planted_object_is_found_on_its_path(planted: Graph, name: str, path: str) -> None:
    """Each kind of owner that a page has is named as its author would."""
    [node] = [n for n in of_class(planted.snapshot, name) if "prototype" not in path_of(planted, n)]
    assert path_of(planted, node) == path


def path_of(graph: Graph, node: int) -> str:
    return str(shortest_path(graph.tree, node))


def test_the_place_of_a_closure_is_known(planted: Graph) -> None:
    """Script, line and column of a function, without asking the debugger."""
    snapshot = planted.snapshot
    [ticker] = [
        node
        for node in np.flatnonzero(snapshot.node_type == snapshot.type_index("closure")).tolist()
        if snapshot.name(node) == "tick"
    ]
    place = snapshot.location(ticker)
    assert place is not None
    assert place.url == "planted.js"
    line = PAGE[PAGE.index("<script>") :].splitlines()[place.line - 1]
    assert line[: place.column - 1].endswith("function tick")


def test_almost_all_of_a_collected_heap_is_reachable(planted: Graph) -> None:
    """V8 collects before it writes, so little is left that nothing holds."""
    assert planted.alive.mean() > 0.99


def test_what_a_map_retains_is_what_it_holds(planted: Graph) -> None:
    """The cache with its table and its one entry, and not the page around it."""
    snapshot = planted.snapshot
    [item] = [n for n in of_class(snapshot, "InMap") if path_of(planted, n) == PATHS["InMap"]]
    table = snapshot.holder(int(planted.tree.via[item]))
    cache = snapshot.holder(int(planted.tree.via[table]))
    [retained] = planted.retained_bytes([np.array([cache])])
    least = int(snapshot.self_size[[item, table, cache]].sum())
    assert least <= retained < least + 1000


def test_detached_nodes_are_counted_with_all_below_them(planted: Graph) -> None:
    """V8 marks the nodes that scripts touched; what hangs below them is detached as well."""
    snapshot = planted.snapshot
    states = propagate_detachedness(snapshot) == DETACHED
    counts = {tally.name: tally.count for tally in snapshot.constructors(np.flatnonzero(states))}
    assert (counts["<section>"], counts["<b>"], counts["<i>"]) == (5, 5, 5)
    detached = overview(planted, 10).detached
    assert (detached.holders[0].path, detached.holders[0].count) == ("window.removed[*]", 5)


def test_ids_stay_the_same_within_a_session(page: Page) -> None:
    """Two snapshots over one session agree on every object that lived through both."""
    page.set_content(PAGE)
    session = tracked(page)
    before = take(session)
    page.evaluate("() => { for (let i = 0; i < 7; i++) app.list.push(new InArray()) }")
    after = take(session)
    assert shares_ids(before, after)
    kept = survivors(before, after)
    items = of_class(after, "InArray")
    assert int(kept[items].sum()) == len(of_class(before, "InArray"))
    assert len(items) == len(of_class(before, "InArray")) + 7
    [change] = [delta for delta in diff(before, after) if delta.name == "InArray"]
    assert (change.count_delta, change.born) == (7, 7)
    born = [path_of(Graph(after), node) for node in items if not kept[node]]
    assert born == [f"window.app.list[{number}]" for number in range(4, 11)]


def test_ids_of_two_pages_are_not_mistaken_for_the_same(chromium: Browser) -> None:
    """Snapshots of different renderers share numbers, not objects."""
    snapshots = []
    for content in ("<title>empty</title>", PAGE):
        context = chromium.new_context()
        page = context.new_page()
        page.set_content(content)
        snapshots.append(take(tracked(page)))
        context.close()
    assert not shares_ids(*snapshots)


def test_events_of_births_are_read_from_a_tracked_heap(page: Page) -> None:
    """With tracking on, samples say which ids existed at what time."""
    page.set_content(PAGE)
    session = tracked(page)
    seen: list[int] = []
    session.on("HeapProfiler.lastSeenObjectId", lambda event: seen.append(event["timestamp"]))
    session.send("HeapProfiler.startTrackingHeapObjects", {"trackAllocations": False})
    while len(seen) < 3:
        page.evaluate("() => { app.list.push(new InArray()) }")
    snapshot = take(session)
    session.send("HeapProfiler.stopTrackingHeapObjects", {"reportProgress": False})
    samples = snapshot.samples["last_assigned_id"]
    assert samples.size >= 2
    assert (np.diff(samples) > 0).all()
    newest = int(snapshot.node_id[of_class(snapshot, "InArray")].max())
    assert newest > samples[0]
