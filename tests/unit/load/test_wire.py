"""What a worker and its sidecar say survives the way, whatever pieces it comes in."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sentinel.errors import WireError
from pytest_sentinel.load import wire
from pytest_sentinel.load.histogram import Histogram

FAILURE = wire.Failure("TimeoutError", "too long", "too long\nby far")
MESSAGES: list[wire.Message] = [
    wire.Setup(("a.py", "b.py"), slots=3, owner="me"),
    wire.Run(7, 2, "Shopper.buy", None, "auto"),
    wire.Cancel(7),
    wire.Leave(2),
    wire.Close(),
    wire.Ready(4711, 4),
    wire.Broken(FAILURE),
    wire.StepEnded(7, "home", 1.5, 0.25, FAILURE),
    wire.Ended(7, "passed", 0.1, 2.0, None, False, (wire.PageLoad("home", lcp=0.8),)),
    wire.Figures({"free": 4}, 0, 2, 1.5, 4.0, Histogram(), {"driver": 9}, {"crashes": 1}),
]


@given(st.lists(st.integers(min_value=1, max_value=40), min_size=1))
def test_messages_come_whole_from_pieces_of_any_size(sizes: list[int]) -> None:
    """A reader gets every message once and in order."""
    data = b"".join(wire.encode(message) for message in MESSAGES)
    frames = wire.Frames()
    read = []
    while data:
        for size in sizes:
            read += frames.feed(data[:size])
            data = data[size:]

    assert read == MESSAGES


def test_half_a_frame_is_no_message() -> None:
    """What has not come whole waits."""
    data = wire.encode(wire.Cancel(1))

    assert list(wire.Frames().feed(data[:-1])) == []
    assert list(wire.Frames().feed(data[:2])) == []


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x01\xc1",
        len(body := msgspec.msgpack.encode(["nobody"])).to_bytes(4, "big") + body,
    ],
    ids=["too long", "no msgpack", "no message of ours"],
)
def test_noise_is_refused(data: bytes) -> None:
    """A frame that nobody sent ends the conversation."""
    with pytest.raises(WireError, match="do not understand"):
        list(wire.Frames().feed(data))
