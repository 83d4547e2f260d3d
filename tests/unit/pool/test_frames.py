"""Where frames end, however the bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sentinel.pool.frames import FrameMeter, Stream, close_frame, gives_up

AGREED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


def frame(payload: bytes, opcode: int = 2, mask: bytes = b"") -> bytes:
    """Return a frame as RFC 6455 has it."""
    bit = 0x80 if mask else 0
    if len(payload) < 126:
        head = bytes([0x80 | opcode, bit | len(payload)])
    elif len(payload) < 65536:
        head = bytes([0x80 | opcode, bit | 126]) + len(payload).to_bytes(2, "big")
    else:
        head = bytes([0x80 | opcode, bit | 127]) + len(payload).to_bytes(8, "big")
    return head + mask + payload


@given(
    payloads=st.lists(st.sampled_from([0, 1, 125, 126, 127, 65535, 65536]), max_size=5),
    cuts=st.lists(st.integers(1, 70_000), max_size=20),
    mask=st.sampled_from([b"", b"mask"]),
)
def test_the_border_is_found_however_the_bytes_are_cut(
    payloads: list[int], cuts: list[int], mask: bytes
) -> None:
    """After whole frames the meter stands between frames, and nowhere else."""
    stream = AGREED
    borders = {len(AGREED)}
    for size in payloads:
        stream += frame(b"\x88" * size, mask=mask)
        borders.add(len(stream))
    meter = FrameMeter()
    position = 0
    for cut in [*cuts, len(stream)]:
        piece = stream[position : position + cut]
        meter.feed(piece)
        position += len(piece)
        assert meter.is_between_frames == (position in borders)

    assert meter.is_between_frames
    assert not meter.saw_close


def test_nothing_may_be_put_before_the_upgrade() -> None:
    """Until the answer has ended there is no border."""
    meter = FrameMeter()
    meter.feed(AGREED[:-1])

    assert (meter.stream, meter.is_between_frames) == (Stream.ANSWER, False)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 428 Precondition Required\r\n\r\nwords", 428),
        (b"nonsense\r\n\r\n", 0),
        (b"x" * 70_000, 0),
    ],
)
def test_a_refusal_is_no_frames(answer: bytes, status: int) -> None:
    """What is no agreement is a refusal to its end."""
    meter = FrameMeter()
    meter.feed(answer)
    meter.feed(b"\x81\x00")

    assert (meter.stream, meter.status) == (Stream.REFUSAL, status)
    assert not meter.is_between_frames


def test_a_close_frame_is_seen() -> None:
    """The meter tells that the server has said its last word."""
    meter = FrameMeter()
    meter.feed(AGREED + frame(b"hello") + frame(b"\x03\xe8", opcode=8))

    assert meter.saw_close


def test_a_reason_fits_into_a_control_frame() -> None:
    """A long reason is cut, never inside a letter."""
    closing = close_frame("ä" * 100)

    assert len(closing) == closing[1] + 2 <= 127
    assert closing[4:].decode() == "ä" * 61


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (close_frame("Browser closed"), True),
        (close_frame("bye", code=1000), False),
        (close_frame("bye") + b"\x81\x00", False),
        (b"\x88\x00", False),
        (b"\x81\x02\x03\xe9", False),
    ],
)
def test_giving_up_is_told_from_other_words(data: bytes, expected: bool) -> None:
    """Only a lone close frame that says going away is one."""
    assert gives_up(data) is expected
