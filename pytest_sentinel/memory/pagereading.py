"""Measure one page: its heap and its counters, after garbage collection. No opinions in here.

Chromium tells everything over CDP. The other engines tell what script can count in a page; what
they cannot tell raises when it is asked for, and never reads as 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Frame, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from pytest_sentinel.errors import HeapSnapshotError, NotMeasurable
from pytest_sentinel.leaks.counters import Counters, CountersUnavailable
from pytest_sentinel.memory.host import available_memory
from pytest_sentinel.memory.limits import COUNTS, SIZES
from pytest_sentinel.units import GIB, MIB, format_size

if TYPE_CHECKING:
    from pytest_sentinel.leaks.heapsnapshot import Tally

SETTLE_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = 5.0
SNAPSHOT_AT_MOST: Final = 192 * MIB
SNAPSHOT_MEMORY: Final = (GIB, 25)
"""The page's process may need so much for a snapshot: at any rate, and for each byte of heap."""

# Nodes of the document as it stands, with open shadow trees, and its style rules.
_COUNT = """() => {
  let nodes = 0, rules = 0;
  const roots = [document];
  for (const root of roots) {
    const walker = document.createTreeWalker(root);
    for (let node = root; node; node = walker.nextNode()) {
      nodes++;
      if (node.shadowRoot) roots.push(node.shadowRoot);
    }
    for (const sheet of [...root.styleSheets, ...(root.adoptedStyleSheets || [])])
      try { rules += sheet.cssRules.length } catch { }
  }
  return [nodes, rules];
}"""


class _Counter:
    """A number of a reading; asking for one that the engine did not tell raises."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, reading: PageReading, owner: type) -> int:
        try:
            return reading.values[self._name]
        except KeyError:
            raise NotMeasurable(self._name, f"not available on {reading.engine}") from None


@dataclass(frozen=True, slots=True)
class PageReading:
    """What a page held at one moment, after garbage collection.

    ``heap`` is what ``performance.memory.usedJSHeapSize`` counts: the objects in V8's heap and the
    array buffers outside of it. ``buffers`` are those array buffers alone, ``native`` is what the
    browser holds for the page's DOM. These three are bytes, all others are numbers. Pages that
    share a process (a page and the pop-ups that it opened) share all of them.

    Attributes:
        engine: the browser's engine, such as ``chromium``.
        values: every counter by its name.
        settled: False when the page was still busy at the time limit.

    Raises:
        NotMeasurable: on asking for a counter that this engine does not tell.
    """

    engine: str
    values: Mapping[str, int]
    settled: bool = True

    heap = _Counter()
    buffers = _Counter()
    native = _Counter()
    nodes = _Counter()
    listeners = _Counter()
    documents = _Counter()
    frames = _Counter()
    contexts = _Counter()
    observers = _Counter()
    workers = _Counter()
    array_buffers = _Counter()
    peers = _Counter()
    audio = _Counter()
    css_rules = _Counter()


def read_page(page: Page, *, untouched: bool = False) -> PageReading:
    """Quieten the page, collect its garbage and read it; takes about 0.1 s.

    The mouse leaves the page, the focus leaves its element, and the console is emptied: each of
    them holds objects. ``untouched`` leaves them all as they are, for a page that others go on
    with.

    Raises:
        NotMeasurable: the page is closed, has crashed, does not answer within 5 s, or is an
            async one.
    """
    if not isinstance(page, Page):
        raise NotMeasurable(repr(page), "it is no page of Playwright's sync API")
    try:
        _wake(page)
        try:
            counters = Counters(page, untouched=untouched)
        except CountersUnavailable:
            return read_by_script(page)
        try:
            sample = counters.read(0, SETTLE_SECONDS)
        finally:
            counters.close()
    except PlaywrightTimeoutError:
        why = f"it did not answer for {ANSWER_SECONDS:g} s (an open dialog, or a script at work)"
        raise NotMeasurable(f"the page {page.url}", why) from None
    except PlaywrightError as error:
        why = error.message.strip().splitlines()[0]
        raise NotMeasurable(f"the page {page.url}", why) from None
    read = {name.replace(" ", "_"): count for name, count in sample.counts.items()}
    read.update(sample.sizes)
    read["heap"] += read["buffers"]
    known: tuple[str, ...] = (*SIZES, *COUNTS)
    values = {name: read[name] for name in known if name in read}
    return PageReading(_engine(page), values, sample.settled)


def read_by_script(page: Page) -> PageReading:
    """Read what script can count in any engine: attached nodes, frames, workers, style rules."""
    counted = [frame.evaluate(_COUNT) for frame in page.frames]
    values = {
        "nodes": sum(nodes for nodes, _ in counted),
        "frames": len(page.frames),
        "workers": len(page.workers),
        "css_rules": sum(rules for _, rules in counted),
    }
    return PageReading(_engine(page), values)


def biggest_constructors(page: Page, reading: PageReading, top: int = 5) -> list[str]:
    """Return the classes that fill the page's heap, a line each, or a line that says why not."""
    title = "biggest constructors"
    own = reading.heap - reading.buffers
    free = available_memory()
    if own > SNAPSHOT_AT_MOST:
        return [f"{title}: not looked for, a snapshot of {format_size(own)} takes too long"]
    needed = SNAPSHOT_MEMORY[0] + SNAPSHOT_MEMORY[1] * own
    if needed > free:
        sizes = f"{format_size(needed)}, and {format_size(free)} are free"
        return [f"{title}: not looked for, a snapshot may take {sizes}"]
    try:
        tallies = _photograph(page)[:top]
    except ImportError:
        return [f"{title}: need numpy: pip install 'pytest-sentinel[heap]'"]
    except (PlaywrightError, HeapSnapshotError) as error:
        return [f"{title}: {str(error).splitlines()[0]}"]
    rows = [f"  {format_size(t.size):>9}  {t.count:>9,}  {t.name}" for t in tallies]
    return [f"{title} (bytes of their own, number):", *rows]


def _photograph(page: Page) -> list[Tally]:
    """Take a heap snapshot, parsed while it arrives: its text is some five times the heap."""
    from pytest_sentinel.leaks.heapformat import SnapshotReader
    from pytest_sentinel.leaks.heapsnapshot import Snapshot

    reader = SnapshotReader(page.url)
    session = page.context.new_cdp_session(page)
    try:
        session.on("HeapProfiler.addHeapSnapshotChunk", lambda event: reader.feed(event["chunk"]))
        session.send("HeapProfiler.takeHeapSnapshot", {"reportProgress": False})
    finally:
        session.detach()
    reader.finish()
    return Snapshot(reader).constructors()


def _wake(page: Page) -> None:
    """See that the page answers, and that Playwright's own scripts are in all its frames.

    They come with the first locator that a test uses, and bring 13 listeners and half a MiB:
    between two readings that would look like growth of the page.
    """
    _seek(page.main_frame, ANSWER_SECONDS)
    for frame in page.frames[1:]:
        with suppress(PlaywrightError):
            _seek(frame, 1.0)


def _seek(frame: Frame, seconds: float) -> None:
    found = frame.wait_for_selector(":root", state="attached", timeout=seconds * 1000)
    if found is not None:
        found.dispose()


def _engine(page: Page) -> str:
    browser = page.context.browser
    return browser.browser_type.name if browser is not None else "this browser"
