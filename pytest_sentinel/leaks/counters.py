"""Read a page's counters over CDP, having quietened the page first. No opinions in here.

Law: one CDP session from the first reading to the last snapshot. Detaching any session makes V8
forget every object id, and with them who was born when.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from playwright.sync_api import Error as PlaywrightError

from pytest_sentinel.leaks.verdict import Sample

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession, Page, Request

# Names of Performance.getMetrics, and what we call them.
COUNTS = {
    "Nodes": "nodes",
    "JSEventListeners": "listeners",
    "Documents": "documents",
    "Frames": "frames",
    "V8PerContextDatas": "contexts",
    "ContextLifecycleStateObservers": "observers",
    "WorkerGlobalScopes": "workers",
    "ArrayBufferContents": "array buffers",
    "RTCPeerConnections": "peers",
    "AudioHandlers": "audio",
}

# Two frames and an idle turn, at most 250 ms: a hidden page draws no frames. Leaves nothing pending
# behind, for that would be in the next snapshot beside what the page left there.
_TURN = """new Promise(done => {
  let frame = 0, idle = 0;
  const end = () => {
    clearTimeout(late); cancelAnimationFrame(frame); cancelIdleCallback(idle); done();
  };
  const late = setTimeout(end, 250);
  frame = requestAnimationFrame(() => { frame = requestAnimationFrame(
    () => { idle = requestIdleCallback(end, {timeout: 100}); }); });
})"""

# Blurs what has the focus, counts CSS rules, and says whether a finite animation still runs.
_CALM = """(() => {
  const active = document.activeElement;
  if (active && active !== document.body && active.blur) active.blur();
  let rules = 0;
  for (const sheet of [...document.styleSheets, ...document.adoptedStyleSheets])
    try { rules += sheet.cssRules.length } catch { }
  const moving = document.getAnimations().filter(a => a.playState === 'running'
    && Number.isFinite(a.effect?.getComputedTiming().endTime)).length;
  return [performance.timeOrigin, rules, moving];
})()"""

# Remembers the size of each array, map, set and plain object in a weak map; at a later call, keeps
# of those only what has grown since, so that little of it is left when a snapshot is taken.
_COLLECTIONS = """function (seen) {
  const mapSize = Object.getOwnPropertyDescriptor(Map.prototype, 'size').get;
  const setSize = Object.getOwnPropertyDescriptor(Set.prototype, 'size').get;
  const keys = Object.keys, proto = Object.getPrototypeOf, plain = Object.prototype;
  const isArray = Array.isArray, map = Map.prototype, set = Set.prototype;
  const sizes = new WeakMap();
  for (const item of this) {
    const past = seen ? seen.get(item) : [];
    if (past === undefined) continue;
    let size = -1;
    if (isArray(item)) size = item.length;
    else if (map.isPrototypeOf(item)) { try { size = mapSize.call(item) } catch { } }
    else if (set.isPrototypeOf(item)) { try { size = setSize.call(item) } catch { } }
    else if (proto(item) === plain) size = keys(item).length;
    if (size < 0) continue;
    if (!seen) sizes.set(item, size);
    else if (typeof past === 'number') { if (size > past) sizes.set(item, [past, size]); }
    else if (size > past.at(-1)) { past.push(size); sizes.set(item, past); }
  }
  return sizes;
}"""

_GROWN = """function (sizes, least, form) {
  const grown = [];
  for (const item of this) {
    const known = sizes.get(item);
    if (Array.isArray(known) && known.at(-1) - known[0] >= least) grown.push([item, known]);
  }
  if (form === 'counted') return grown.length;
  const gain = pair => pair[1].at(-1) - pair[1][0];
  return grown.sort((a, b) => gain(b) - gain(a)).slice(0, 20);
}"""


# The browser process keeps what an object URL names, where no snapshot shows it. This keeps the
# URLs that were not revoked in the page's own heap, under a name that reads well in a path.
OBJECT_URLS = "objectURLs"
_LEDGER = """(() => {
  const create = URL.createObjectURL, revoke = URL.revokeObjectURL;
  const objectURLs = Object.create(null);
  function createObjectURL(source) {
    const url = create.call(URL, source);
    objectURLs[url] = url;
    return url;
  }
  function revokeObjectURL(url) { delete objectURLs[url]; return revoke.call(URL, url); }
  URL.createObjectURL = createObjectURL;
  URL.revokeObjectURL = revokeObjectURL;
  return () => {
    if (URL.createObjectURL === createObjectURL) URL.createObjectURL = create;
    if (URL.revokeObjectURL === revokeObjectURL) URL.revokeObjectURL = revoke;
  };
})()"""


_ANIMATION_SECONDS = 0.8  # something on the page may always be moving


class CountersUnavailable(Exception):
    """Raised when this browser has no CDP; says which browser it is."""


@dataclass(frozen=True, slots=True)
class Collection:
    """An array, map, set or plain object that grew: its heap id and its size at each reading."""

    heap_id: int
    sizes: tuple[int, ...]


class Counters:
    """One CDP session on one page: quieten it, read it, photograph its heap.

    Args:
        untouched: read the page as it stands: the mouse and the focus stay where they are, the
            console keeps its messages, and object URLs and CSS rules are not counted.
    """

    def __init__(self, page: Page, *, untouched: bool = False) -> None:
        self.page = page
        self._untouched = untouched
        try:
            self._cdp: CDPSession = page.context.new_cdp_session(page)
        except PlaywrightError as error:
            browser = page.context.browser
            name = browser.browser_type.name if browser else "this browser"
            if name == "chromium":
                raise
            raise CountersUnavailable(f"not available on {name}") from error
        self._world: int | None = None
        self._chunks: list[str] = []
        self._scripts: dict[int, str] = {}
        self._weak_sizes: str | None = None
        self._requests: set[Request] = set()
        self.origin = 0.0
        self.rules = 0
        self._cdp.on("HeapProfiler.addHeapSnapshotChunk", self._keep_chunk)
        self._cdp.on("Debugger.scriptParsed", self._keep_script)
        self.page.on("request", self._request_started)
        self.page.on("requestfinished", self._request_ended)
        self.page.on("requestfailed", self._request_ended)
        for domain in ("Performance", "HeapProfiler"):
            self._cdp.send(f"{domain}.enable")
        self._end_ledger: str | None = None
        if not untouched:
            ledger = self._cdp.send("Runtime.evaluate", {"expression": _LEDGER})["result"]
            self._end_ledger = ledger.get("objectId")

    def close(self) -> None:
        """Detach from the page and drop every object the session held there."""
        self.page.remove_listener("request", self._request_started)
        self.page.remove_listener("requestfinished", self._request_ended)
        self.page.remove_listener("requestfailed", self._request_ended)
        with contextlib.suppress(PlaywrightError):  # the document may be another by now
            if not self._untouched:
                self._call(str(self._end_ledger), "function () { this() }")
        with contextlib.suppress(PlaywrightError):  # the page, and the session with it, may be gone
            self._cdp.detach()

    def read(self, iterations: int, cap: float) -> Sample:
        """Quieten the page, collect garbage and read every counter; wait at most ``cap`` s."""
        settled = True
        if not self._untouched:
            self._cdp.send("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": -1, "y": -1})
            settled = self.settle(cap)
            self._cdp.send("Runtime.discardConsoleEntries")
        counts = self.count()
        usage = self._cdp.send("Runtime.getHeapUsage")
        sizes = {
            "heap": int(usage["usedSize"]),
            "native": int(usage.get("embedderHeapUsedSize", 0)),
            "buffers": int(usage.get("backingStorageSize", 0)),
        }
        return Sample(iterations, counts, sizes, settled)

    def count(self) -> dict[str, int]:
        """Collect garbage and read the integer counters only."""
        # Two rounds with a turn between: finalisers of the first free what the second takes.
        self._cdp.send("HeapProfiler.collectGarbage")
        self._cdp.send("HeapProfiler.collectGarbage")
        metrics = self._cdp.send("Performance.getMetrics")["metrics"]
        values = {metric["name"]: metric["value"] for metric in metrics}
        counts = {ours: int(values.get(theirs, 0)) for theirs, ours in COUNTS.items()}
        return counts if self._untouched else {**counts, "css rules": self.rules}

    def heap(self) -> int:
        """Collect garbage once more and return the bytes that the heap uses now."""
        self._cdp.send("HeapProfiler.collectGarbage")
        return int(self._cdp.send("Runtime.getHeapUsage")["usedSize"])

    def settle(self, cap: float) -> bool:
        """Blur, wait for the network, two frames and an idle turn; return False at the limit."""
        started = time.monotonic()
        while True:
            self._evaluate(_TURN)
            self.origin, self.rules, moving = self._evaluate(_CALM)
            waited = time.monotonic() - started
            if not self._requests and (not moving or waited >= min(cap, _ANIMATION_SECONDS)):
                return True
            if waited >= cap:
                # A request that outlives the limit is a long poll or a stream, no tail of ours.
                self._requests.clear()
                return False
            self.page.wait_for_timeout(20)

    def snapshot(self) -> bytes:
        """Return a V8 heap snapshot as the bytes of a ``.heapsnapshot`` file."""
        self._chunks.clear()
        self._cdp.send("HeapProfiler.takeHeapSnapshot", {"reportProgress": False})
        data = "".join(self._chunks).encode()
        self._chunks.clear()
        return data

    def note_collections(self, least: int = 1) -> int:
        """Note the size of every array, map, set and plain object.

        Returns how many grew between all notes, and by ``least`` entries or more in all.
        """
        found = self._query_objects()
        seen = {"objectId": self._weak_sizes} if self._weak_sizes else {"value": None}
        sizes = self._cdp.send(
            "Runtime.callFunctionOn",
            {"objectId": found, "functionDeclaration": _COLLECTIONS, "arguments": [seen]},
        )
        if self._weak_sizes:
            self._release(self._weak_sizes)
        self._weak_sizes = sizes["result"]["objectId"]
        count = self._grown(found, least, "counted")["value"]
        self._release(found)
        return int(count)

    def grown_collections(self, least: int = 1) -> list[Collection]:
        """Return the collections that grew between all notes, with their heap ids."""
        found = self._query_objects()
        grown = self._grown(found, least, "listed")["objectId"]
        properties = self._cdp.send(
            "Runtime.getProperties", {"objectId": grown, "ownProperties": True}
        )["result"]
        collections = []
        for entry in properties:
            if not entry["name"].isdigit():
                continue
            pair = entry["value"]["objectId"]
            item = self._call(pair, "function () { return this[0] }")["objectId"]
            sizes = self._call(pair, "function () { return this[1] }", by_value=True)["value"]
            collections.append(Collection(self._heap_id(item), tuple(sizes)))
            self._release(pair)
        self._release(grown, found)
        return collections

    def _evaluate(self, expression: str) -> Any:
        """Evaluate in a world of our own, whose timers no fake clock has replaced."""
        for attempt in (1, 2):
            if self._world is None:
                frame = self._cdp.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
                world = {"frameId": frame, "worldName": "sentinel"}
                created = self._cdp.send("Page.createIsolatedWorld", world)
                self._world = created["executionContextId"]
            try:
                answer = self._cdp.send(
                    "Runtime.evaluate",
                    {
                        "expression": expression,
                        "contextId": self._world,
                        "awaitPromise": True,
                        "returnByValue": True,
                    },
                )
            except PlaywrightError:
                # The page navigated and took the world with it.
                self._world = None
                if attempt == 2:
                    raise
            else:
                return answer["result"].get("value")
        raise AssertionError("unreachable")

    def _query_objects(self) -> str:
        root = self._cdp.send("Runtime.evaluate", {"expression": "Object.prototype"})
        prototype = root["result"]["objectId"]
        found = self._cdp.send("Runtime.queryObjects", {"prototypeObjectId": prototype})
        self._release(prototype)
        return str(found["objects"]["objectId"])

    def _grown(self, found: str, least: int, form: str) -> Any:
        values = [{"value": value} for value in (least, form)]
        arguments = [{"objectId": self._weak_sizes}, *values]
        call = {"objectId": found, "functionDeclaration": _GROWN, "arguments": arguments}
        return self._cdp.send("Runtime.callFunctionOn", call)["result"]

    def _call(self, target: str, function: str, by_value: bool = False) -> Any:
        call = {"objectId": target, "functionDeclaration": function, "returnByValue": by_value}
        return self._cdp.send("Runtime.callFunctionOn", call)["result"]

    def _heap_id(self, handle: str) -> int:
        answer = self._cdp.send("HeapProfiler.getHeapObjectId", {"objectId": handle})
        self._release(handle)
        return int(answer["heapSnapshotObjectId"])

    def _release(self, *handles: str) -> None:
        for handle in handles:
            self._cdp.send("Runtime.releaseObject", {"objectId": handle})

    def _keep_chunk(self, event: dict[str, Any]) -> None:
        self._chunks.append(event["chunk"])

    def script_urls(self) -> dict[int, str]:
        """Return the address of every script by its id; V8 may drop optimised code for it."""
        self._scripts.clear()
        self._cdp.send("Debugger.enable")
        self._cdp.send("Debugger.disable")
        return dict(self._scripts)

    def _keep_script(self, event: dict[str, Any]) -> None:
        self._scripts[int(event["scriptId"])] = event["url"]

    def _request_started(self, request: Request) -> None:
        self._requests.add(request)

    def _request_ended(self, request: Request) -> None:
        self._requests.discard(request)
