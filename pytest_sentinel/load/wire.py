"""What a Locust worker and its sidecar say to each other, as bytes and back. No sockets.

A frame is the length of its message in four bytes, then the message in msgpack. Whoever reads
gives its bytes as they come, in pieces of any size. Times are seconds; an iteration has a number
that its worker gave it and gives to no other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from pytest_sentinel.errors import WireError
from pytest_sentinel.load.histogram import Histogram

_HEAD: Final = 4
_MOST: Final = 64 * 1024 * 1024


class _Message(msgspec.Struct, frozen=True, array_like=True):
    """Fields travel by their place; a later version may add some at the end."""


# From the worker


class Setup(_Message, tag="setup", frozen=True):
    """What a sidecar works with; its first message.

    Attributes:
        files: the locustfiles, which it imports.
        slots: iterations that run at once on its own browsers; None sizes it by the machine.
        share: sidecars among which this machine is divided.
        owner: whose leases these are, for a pool elsewhere.
        artifacts: the directory for what failures leave.
        headed: whether its own browsers have windows.
        options: Locust's own options and the locustfile's, those that are plain values.
    """

    files: tuple[str, ...]
    slots: int | None = None
    share: int = 1
    owner: str = "locust"
    token: str | None = None
    artifacts: str = "sentinel-load"
    headed: bool = False
    launch_args: tuple[str, ...] = ()
    options: dict[str, Any] = {}


class Options(_Message, tag="options", frozen=True):
    """What the options are from now on: a run that begins may change them."""

    options: dict[str, Any]


class Run(_Message, tag="run", frozen=True):
    """Run one iteration of ``scenario``, written as Class.task, for a user.

    Attributes:
        path: the sets of tasks that the user is in, the innermost last: the number that each has
            as long as the user is in it, and the name of its class.
    """

    iteration: int
    user: int
    scenario: str
    host: str | None
    pool: str
    path: tuple[tuple[int, str], ...] = ()


class Cancel(_Message, tag="cancel", frozen=True):
    """End an iteration; nobody listens to it any more."""

    iteration: int


class Leave(_Message, tag="leave", frozen=True):
    """A user has gone: what was kept for it can go, too."""

    user: int


class Close(_Message, tag="close", frozen=True):
    """End everything in good order, and exit."""


# From the sidecar


class Ready(_Message, tag="ready", frozen=True):
    """The sidecar takes iterations; ``slots`` run at once on its own browsers."""

    pid: int
    slots: int


class Failure(_Message, frozen=True):
    """What went wrong: the class of the exception, its first line, and all of it."""

    kind: str
    message: str
    detail: str = ""


class Broken(_Message, tag="broken", frozen=True):
    """The sidecar cannot work, and says why; its last message."""

    failure: Failure


class StepEnded(_Message, tag="step", frozen=True):
    """A step of an iteration ended; ``started`` is in seconds since the epoch."""

    iteration: int
    step: str
    started: float
    seconds: float
    failure: Failure | None = None


class PageLoad(_Message, frozen=True):
    """What was measured of one page, from its navigation to the next: seconds, and a shift score.

    Attributes:
        page: the step that opened it.
    """

    page: str
    ttfb: float | None = None
    fcp: float | None = None
    lcp: float | None = None
    inp: float | None = None
    cls: float | None = None


class Ended(_Message, tag="ended", frozen=True):
    """An iteration ended, after all its steps.

    Attributes:
        outcome: ``passed``, ``failed``, ``skipped``, or ``infrastructure`` when a browser or pool
            was to blame.
        waited: seconds until it had a browser; ``seconds`` is what it took from there.
        in_step: whether a step has told of the failure already.
        control: Locust's word for what the user does next, such as ``StopUser``; may be empty.
        immediately: whether an ``InterruptTaskSet`` asked for the next task at once.
    """

    iteration: int
    outcome: str
    waited: float
    seconds: float
    failure: Failure | None = None
    in_step: bool = False
    loads: tuple[PageLoad, ...] = ()
    control: str = ""
    immediately: bool = True


class Figures(_Message, tag="figures", frozen=True):
    """How the sidecar is, told at intervals.

    Attributes:
        slots: of its own browsers, by state.
        waiting: iterations that wait for a browser.
        busy: slot-seconds used since the last figures, of ``possible`` ones.
        lag: by how much its event loop was late, since the last figures.
        memory: bytes (PSS) by ``sidecar``, ``driver`` and ``browsers``; empty before a reading.
        counters: totals since it began, such as launches and crashes.
    """

    slots: dict[str, int]
    waiting: int
    running: int
    busy: float
    possible: float
    lag: Histogram
    memory: dict[str, int]
    counters: dict[str, int]


FromWorker = Setup | Options | Run | Cancel | Leave | Close
FromSidecar = Ready | Broken | StepEnded | Ended | Figures
Message = FromWorker | FromSidecar

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(
    Setup | Options | Run | Cancel | Leave | Close | Ready | Broken | StepEnded | Ended | Figures
)


def encode(message: Message) -> bytes:
    """Return ``message`` as a frame."""
    body = _encoder.encode(message)
    return len(body).to_bytes(_HEAD, "big") + body


class Frames:
    """Puts together the frames of one direction of a connection."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield each message that ``data`` completes.

        Raises:
            WireError: this is no frame of ours; nothing after it can be read.
        """
        self._pending += data
        while len(self._pending) >= _HEAD:
            length = int.from_bytes(self._pending[:_HEAD], "big")
            if length > _MOST:
                raise WireError(f"a frame of {length} bytes")
            if len(self._pending) < _HEAD + length:
                return
            body = bytes(self._pending[_HEAD : _HEAD + length])
            del self._pending[: _HEAD + length]
            try:
                yield _decoder.decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise WireError(str(error)) from error
