"""The run record: one versioned schema, one JSON line per fact. Pure: lines in, lines out.

A record is a file of lines, each with a ``kind``: ``run`` (first), then one ``begun`` for each test
that began, one ``attempt`` for each time a test was run, one ``browser`` for each thing that
happened to a browser, one ``worker`` for each xdist worker that died and one ``sample`` for each
other observation, in the order in which the controller received them, one ``gate`` for each gate,
then ``end``. A killed run has no ``end``, and possibly half a last line. Readers skip
kinds and fields that they do not know; SCHEMA grows when the meaning of a field changes. Sizes
are bytes, durations seconds, moments seconds since the epoch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import msgspec

SCHEMA = 1

# Lines hold no cycles: gc=False keeps a run's thousands of them from Python's collector.


class Memory(msgspec.Struct, gc=False, frozen=True, omit_defaults=True):
    """PSS of one process tree around one test; None where nothing could be read.

    Attributes:
        start: the last reading before the test.
        peak: the highest reading while it ran.
        end: the newest reading when it had ended.
    """

    start: int | None = None
    peak: int | None = None
    end: int | None = None


class Crash(msgspec.Struct, gc=False, frozen=True, omit_defaults=True):
    """The death of a browser under a test.

    Attributes:
        what: one sentence.
        how: ``crashed``, ``hung``, ``lost``, ``driver`` or ``driver-hung``.
        ended: signal name or exit code, if known.
        memory: the last PSS reading of its tree.
        log: its last lines of output.
    """

    what: str
    how: str
    ended: str | None = None
    memory: int | None = None
    log: tuple[str, ...] = ()


class Leftover(msgspec.Struct, gc=False, frozen=True, omit_defaults=True):
    """Something that a test, or a fixture that ended with it, left open.

    Attributes:
        kind: context, page, listener, thread ...
        what: it, in a few words.
        where: ``file:line in function`` that opened it.
        closed: whether it was closed for the next test's sake.
    """

    kind: str
    what: str
    where: str
    closed: bool = False


class Visit(msgspec.Struct, gc=False, frozen=True, omit_defaults=True):
    """The web vitals of one page that a test loaded; seconds, and a score for ``cls``.

    Attributes:
        url: without user, query and fragment.
    """

    url: str
    ttfb: float | None = None
    fcp: float | None = None
    lcp: float | None = None
    inp: float | None = None
    cls: float | None = None


class PageFigures(msgspec.Struct, gc=False, frozen=True, omit_defaults=True):
    """What the pages of one attempt did.

    Attributes:
        console: messages by level: error, warning.
        errors: how many errors no script of a page caught.
        requests: by kind of resource and how it went, such as ``image http_4xx``.
        messages: the first errors and failed requests, and how many more, without secrets.
        more_visits: how many pages were loaded beyond those in ``visits``.
        heap: bytes of JavaScript heap of the pages that were open at the end, if asked for.
        nodes: their DOM nodes, if asked for.
    """

    console: dict[str, int] = {}
    errors: int = 0
    requests: dict[str, int] = {}
    messages: tuple[str, ...] = ()
    visits: tuple[Visit, ...] = ()
    heap: int | None = None
    nodes: int | None = None
    more_visits: int = 0


class Run(msgspec.Struct, gc=False, frozen=True, omit_defaults=True, tag="run", tag_field="kind"):
    """What ran: the first line of a record.

    Attributes:
        suite: a name that runs of the same tests share.
        branch_class: main, release, pr or local.
        slots: how many browsers at once the machine has room for; 0 where they come from elsewhere.
    """

    id: str
    started: float
    schema: int = SCHEMA
    workers: int = 0
    browser: str = ""
    versions: dict[str, str] = {}
    settings: dict[str, str | int | float | bool | None] = {}
    suite: str = ""
    branch_class: str = ""
    slots: int = 0


class Attempt(
    msgspec.Struct, gc=False, frozen=True, omit_defaults=True, tag="attempt", tag_field="kind"
):
    """One run of one test.

    Attributes:
        outcome: passed, failed, error, skipped, xfailed, xpassed, crashed (the browser died under
            it and it was run again), worker-crashed, or whatever another plugin reported.
        failure: whose fault a bad outcome is: ``product``, ``infrastructure`` or ``harness``.
        attempt: 1 for the first.
        phases: seconds of setup, call and teardown.
        memory: by process: the name of a browser, ``worker`` (its Python), ``driver``.
        leaks: what it left open.
        engine: chromium, firefox or webkit; empty for a test without a browser.
        wait: seconds until it had its browsers; None for a test without one.
    """

    nodeid: str
    outcome: str
    attempt: int = 1
    worker: str = ""
    started: float = 0.0
    finished: float = 0.0
    phases: dict[str, float] = {}
    failure: str | None = None
    browsers: tuple[str, ...] = ()
    memory: dict[str, Memory] = {}
    crash: Crash | None = None
    leaks: tuple[Leftover, ...] = ()
    engine: str = ""
    page: PageFigures | None = None
    wait: float | None = None

    @property
    def seconds(self) -> float:
        """The duration of all phases."""
        return sum(self.phases.values())


class Begun(msgspec.Struct, gc=False, frozen=True, tag="begun", tag_field="kind"):
    """A test began. Its attempts follow, or it was interrupted."""

    nodeid: str
    at: float


class WorkerDeath(
    msgspec.Struct, gc=False, frozen=True, omit_defaults=True, tag="worker", tag_field="kind"
):
    """An xdist worker died, whether it ran a test or not.

    Attributes:
        detail: what xdist says of it.
        partial: nobody knows what its browsers did after its last report; numbers of browsers are
            lower bounds.
    """

    worker: str
    at: float
    detail: str = ""
    partial: bool = False


class BrowserEvent(
    msgspec.Struct, gc=False, frozen=True, omit_defaults=True, tag="browser", tag_field="kind"
):
    """Something that happened to a browser.

    Attributes:
        event: launched, replaced, crashed, launch-failed, deferred, handed-over or driver-died.
        detail: the reason of a launch, the cause of a failure.
        seconds: how long it took, where it took time.
        what: which browser it is: engine, version and executable, as far as they are known.
    """

    event: str
    browser: str
    slot: int
    at: float
    worker: str = ""
    detail: str = ""
    seconds: float | None = None
    what: str = ""


class Sample(
    msgspec.Struct, gc=False, frozen=True, omit_defaults=True, tag="sample", tag_field="kind"
):
    """One observation of something that is no test: a probe, a wait, a request of load.

    Attributes:
        metric: one that gates can ask about.
        count: how many there were that were equal in all.
    """

    metric: str
    value: float
    at: float = 0.0
    labels: dict[str, str] = {}
    count: int = 1


class GateVerdict(
    msgspec.Struct, gc=False, frozen=True, omit_defaults=True, tag="gate", tag_field="kind"
):
    """What a gate said of the run.

    Attributes:
        name: the gate's name, or itself.
        state: ``pass``, ``fail`` or ``no data``.
        value: in base units; None without data.
    """

    name: str
    text: str
    state: str
    value: float | None = None
    samples: int = 0
    severity: str = "error"


class End(msgspec.Struct, gc=False, frozen=True, omit_defaults=True, tag="end", tag_field="kind"):
    """How the run ended: the last line of a record.

    Attributes:
        export_failures: exports that failed, by transport.
        interrupted: tests that had begun, and did not end.
    """

    finished: float
    exit_status: int
    sampler_seconds: float = 0.0
    export_failures: dict[str, int] = {}
    interrupted: tuple[str, ...] = ()


Line = Run | Begun | Attempt | BrowserEvent | WorkerDeath | Sample | GateVerdict | End

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Line)
_KINDS = {"run", "begun", "attempt", "browser", "worker", "sample", "gate", "end"}


def encode(line: Line) -> bytes:
    """Return ``line`` as JSON with a line end."""
    try:
        return _encoder.encode(line) + b"\n"
    except UnicodeEncodeError:
        # A file's name may hold bytes that are no text; a question mark stands for each.
        text = json.dumps(msgspec.to_builtins(line), ensure_ascii=False)
        return text.encode(errors="replace") + b"\n"


def decode(rows: Iterable[bytes]) -> Iterator[Line]:
    """Yield the lines of a record, without kinds this version does not know.

    A torn last line, as a killed run leaves it, ends the record.

    Raises:
        ValueError: a line before the last is damaged; says which.
    """
    damaged: tuple[int, str] | None = None
    for number, row in enumerate(rows, start=1):
        if damaged is not None:
            raise ValueError(f"line {damaged[0]} of the record is damaged: {damaged[1]}")
        if not row.strip():
            continue
        try:
            yield _decoder.decode(row)
        except ValueError as error:  # no JSON, no text, or not this schema
            if not _is_foreign(row):
                damaged = (number, str(error))


def _is_foreign(row: bytes) -> bool:
    """Tell whether ``row`` is a whole line of a kind that only a later version knows."""
    try:
        found = msgspec.json.decode(row)
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("kind") not in _KINDS
