"""Read a page's counters over CDP, having quietened the page first. No opinions in here.

Law: one CDP session from the first reading to the last snapshot. Detaching any session makes V8
forget every object id, and with them who was born when.
"""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from pytest_sentinel.leaks.budget import Budget, Cutter, OutOfTime, takes_timeout
from pytest_sentinel.leaks.pagescripts import CALM, COLLECTIONS, GROWN, LEDGER, TURN
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

_CLOSING = 2.0  # seconds
_SNAPSHOT_PACE = 0.1 / 1024**2  # seconds a byte, at least: of the heap, until one was taken
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
        budget: makes every reading raise OutOfTime when it is used up, if Playwright lets readings
            be bounded.
        untouched: read the page as it stands: the mouse and the focus stay where they are, the
            console keeps its messages, and object URLs and CSS rules are not counted.
    """

    def __init__(
        self, page: Page, budget: Budget | None = None, *, untouched: bool = False
    ) -> None:
        self.page = page
        self._budget = budget or Budget(math.inf)
        self._untouched = untouched
        try:
            self._cdp: CDPSession = page.context.new_cdp_session(page)
        except PlaywrightError as error:
            browser = page.context.browser
            name = browser.browser_type.name if browser else "this browser"
            if name == "chromium":
                raise
            raise CountersUnavailable(f"not available on {name}") from error
        self._bounded = budget is not None and takes_timeout(self._cdp.send)
        self.cutter = Cutter(self._cdp, self._budget)
        self._snapshot_pace = _SNAPSHOT_PACE
        self._world: int | None = None
        self._chunks: list[str] = []
        self._scripts: dict[int, str] = {}
        self._weak_sizes: str | None = None
        self._requests: set[Request] = set()
        self._crashed = False
        self.origin = 0.0
        self.rules = 0
        self._cdp.on("HeapProfiler.addHeapSnapshotChunk", self._keep_chunk)
        self._cdp.on("Debugger.scriptParsed", self._keep_script)
        self.page.on("request", self._request_started)
        self.page.on("requestfinished", self._request_ended)
        self.page.on("requestfailed", self._request_ended)
        self.page.on("crash", self._page_crashed)
        for domain in ("Performance", "HeapProfiler"):
            self._send(f"{domain}.enable")
        self._end_ledger: str | None = None
        if not untouched:
            ledger = self._send("Runtime.evaluate", {"expression": LEDGER})["result"]
            self._end_ledger = ledger.get("objectId")

    def close(self) -> None:
        """Detach from the page and drop every object the session held there."""
        self.cutter.close()
        self.page.remove_listener("request", self._request_started)
        self.page.remove_listener("requestfinished", self._request_ended)
        self.page.remove_listener("requestfailed", self._request_ended)
        self.page.remove_listener("crash", self._page_crashed)
        self._budget = Budget(_CLOSING)  # a page that does not answer is left as it is
        try:
            with contextlib.suppress(PlaywrightError):  # the document may be another by now
                if not self._untouched and not self._crashed:
                    self._call(str(self._end_ledger), "function () { this() }")
        except OutOfTime:
            return  # nor would it answer to the end of the session, which ends with the page
        if not self._crashed:
            # The page, and the session with it, may be gone.
            with contextlib.suppress(PlaywrightError):
                self._cdp.detach()

    def _send(self, method: str, params: dict[str, Any] | None = None) -> Any:
        if not self._bounded:
            return self._cdp.send(method, params)
        self._budget.check()
        try:
            return self._cdp.send(method, params, timeout=1000 * max(self._budget.left, 0.1))
        except PlaywrightTimeout as error:
            raise OutOfTime from error

    def read(self, iterations: int, cap: float) -> Sample:
        """Quieten the page, collect garbage and read every counter; wait at most ``cap`` s."""
        settled = True
        if not self._untouched:
            self._send("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": -1, "y": -1})
            settled = self.settle(cap)
            self._send("Runtime.discardConsoleEntries")
        counts = self.count()
        usage = self._send("Runtime.getHeapUsage")
        sizes = {
            "heap": int(usage["usedSize"]),
            "native": int(usage.get("embedderHeapUsedSize", 0)),
            "buffers": int(usage.get("backingStorageSize", 0)),
        }
        return Sample(iterations, counts, sizes, settled)

    def count(self) -> dict[str, int]:
        """Collect garbage and read the integer counters only."""
        # Two rounds with a turn between: finalisers of the first free what the second takes.
        self._send("HeapProfiler.collectGarbage")
        self._send("HeapProfiler.collectGarbage")
        counts = self._counts()
        return counts if self._untouched else {**counts, "css rules": self.rules}

    def _counts(self) -> dict[str, int]:
        values = self._metrics()
        return {ours: int(values.get(theirs, 0)) for theirs, ours in COUNTS.items()}

    def _metrics(self) -> dict[str, float]:
        metrics = self._send("Performance.getMetrics")["metrics"]
        return {metric["name"]: metric["value"] for metric in metrics}

    def glance(self) -> dict[str, int]:
        """Read what tells growth that speeds up, in a fraction of a whole reading's time."""
        self._send("HeapProfiler.collectGarbage")
        usage = self._send("Runtime.getHeapUsage")
        heap = {"heap": int(usage["usedSize"]), "buffers": int(usage.get("backingStorageSize", 0))}
        return {**self._counts(), **heap}

    def peek(self) -> dict[str, int]:
        """Read the same with garbage and all, in no time."""
        values = self._metrics()
        return {
            "nodes": int(values.get("Nodes", 0)),
            "listeners": int(values.get("JSEventListeners", 0)),
            "heap": int(values.get("JSHeapUsedSize", 0)),
        }

    def heap(self) -> int:
        """Collect garbage once more and return the bytes that the heap uses now."""
        self._send("HeapProfiler.collectGarbage")
        return int(self._send("Runtime.getHeapUsage")["usedSize"])

    def settle(self, cap: float) -> bool:
        """Blur, wait for the network, two frames and an idle turn; return False at the limit."""
        started = time.monotonic()
        while True:
            self._evaluate(TURN)
            self.origin, self.rules, moving = self._evaluate(CALM)
            waited = time.monotonic() - started
            if not self._requests and (not moving or waited >= min(cap, _ANIMATION_SECONDS)):
                return True
            if waited >= cap:
                # A request that outlives the limit is a long poll or a stream, no tail of ours.
                self._requests.clear()
                return False
            self.page.wait_for_timeout(20)

    def snapshot(self) -> bytes:
        """Return a V8 heap snapshot as the bytes of a ``.heapsnapshot`` file.

        Raises:
            OutOfTime: it does not fit into the budget.
        """
        size = int(self._send("Runtime.getHeapUsage")["usedSize"])
        if size * self._snapshot_pace > self._budget.left:
            raise OutOfTime
        self._chunks.clear()
        started = time.monotonic()
        self._send("HeapProfiler.takeHeapSnapshot", {"reportProgress": False})
        self._snapshot_pace = max(_SNAPSHOT_PACE, (time.monotonic() - started) / size)
        data = "".join(self._chunks).encode()
        self._chunks.clear()
        return data

    def note_collections(self, least: int = 1) -> int:
        """Note the size of every array, map, set and plain object.

        Returns how many grew between all notes, and by ``least`` entries or more in all.
        """
        found = self._query_objects()
        seen = {"objectId": self._weak_sizes} if self._weak_sizes else {"value": None}
        sizes = self._send(
            "Runtime.callFunctionOn",
            {"objectId": found, "functionDeclaration": COLLECTIONS, "arguments": [seen]},
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
        properties = self._send(
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
                frame = self._send("Page.getFrameTree")["frameTree"]["frame"]["id"]
                world = {"frameId": frame, "worldName": "sentinel"}
                created = self._send("Page.createIsolatedWorld", world)
                self._world = created["executionContextId"]
            try:
                answer = self._send(
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
        root = self._send("Runtime.evaluate", {"expression": "Object.prototype"})
        prototype = root["result"]["objectId"]
        found = self._send("Runtime.queryObjects", {"prototypeObjectId": prototype})
        self._release(prototype)
        return str(found["objects"]["objectId"])

    def _grown(self, found: str, least: int, form: str) -> Any:
        values = [{"value": value} for value in (least, form)]
        arguments = [{"objectId": self._weak_sizes}, *values]
        call = {"objectId": found, "functionDeclaration": GROWN, "arguments": arguments}
        return self._send("Runtime.callFunctionOn", call)["result"]

    def _call(self, target: str, function: str, by_value: bool = False) -> Any:
        call = {"objectId": target, "functionDeclaration": function, "returnByValue": by_value}
        return self._send("Runtime.callFunctionOn", call)["result"]

    def _heap_id(self, handle: str) -> int:
        answer = self._send("HeapProfiler.getHeapObjectId", {"objectId": handle})
        self._release(handle)
        return int(answer["heapSnapshotObjectId"])

    def _release(self, *handles: str) -> None:
        for handle in handles:
            self._send("Runtime.releaseObject", {"objectId": handle})

    def _keep_chunk(self, event: dict[str, Any]) -> None:
        self._chunks.append(event["chunk"])

    def script_urls(self) -> dict[int, str]:
        """Return the address of every script by its id; V8 may drop optimised code for it."""
        self._scripts.clear()
        self._send("Debugger.enable")
        self._send("Debugger.disable")
        return dict(self._scripts)

    def _keep_script(self, event: dict[str, Any]) -> None:
        self._scripts[int(event["scriptId"])] = event["url"]

    def _page_crashed(self, _page: Page) -> None:
        self._crashed = True

    def _request_started(self, request: Request) -> None:
        self._requests.add(request)

    def _request_ended(self, request: Request) -> None:
        self._requests.discard(request)
