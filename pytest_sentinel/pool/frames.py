"""WebSocket frames (RFC 6455) as far as a splice must know them: where one ends. No I/O.

A sentence of ours may be put between two frames of a browser server, never into one. So the bytes
that pass are measured, not read: payloads are skipped, whatever is in them.
"""

from __future__ import annotations

import enum

CLOSE_GOING_AWAY = 1001
_CLOSE = 0x8  # the opcode
_REASON_BYTES = 123  # what a control frame holds beside the code
_HEAD_BYTES = 64 * 1024


class Stream(enum.Enum):
    """What the bytes from a browser server are."""

    ANSWER = "answer"  # the head of its answer to the upgrade
    FRAMES = "frames"  # it agreed
    REFUSAL = "refusal"  # it refused: its status and words, until it closes


class FrameMeter:
    """Follows the bytes that a browser server sends."""

    __slots__ = ("_head", "_payload", "_start", "saw_close", "status", "stream")

    def __init__(self) -> None:
        self.stream = Stream.ANSWER
        self.status = 0
        self.saw_close = False
        self._start = bytearray()  # of the answer, until it has been read
        self._head = bytearray()  # of the frame that begins here
        self._payload = 0  # bytes of the frame that are still to come

    @property
    def is_between_frames(self) -> bool:
        """Whether a frame could be put here."""
        return self.stream is Stream.FRAMES and not self._payload and not self._head

    def feed(self, data: bytes) -> None:
        """Follow ``data``."""
        if self.stream is Stream.ANSWER:
            self._start += data
            end = self._start.find(b"\r\n\r\n")
            if end < 0:
                if len(self._start) > _HEAD_BYTES:
                    self._refused()
                return
            words = bytes(self._start[:end]).split(b"\r\n", 1)[0].split()
            if len(words) > 1 and words[1].isdigit():
                self.status = int(words[1])
            if self.status != 101:
                self._refused()
                return
            self.stream = Stream.FRAMES
            data = bytes(self._start[end + 4 :])
            self._start.clear()
        if self.stream is Stream.FRAMES:
            self._follow(data)

    def _refused(self) -> None:
        self.stream = Stream.REFUSAL
        self._start.clear()

    def _follow(self, data: bytes) -> None:
        position = 0
        length = len(data)
        while position < length:
            if self._payload:
                step = min(self._payload, length - position)
                self._payload -= step
                position += step
                continue
            missing = _head_length(self._head) - len(self._head)
            self._head += data[position : position + missing]
            position += missing
            if len(self._head) >= 2 and len(self._head) == _head_length(self._head):
                self._payload = _payload_length(self._head)
                self.saw_close = self.saw_close or self._head[0] & 0x0F == _CLOSE
                self._head.clear()


def _head_length(head: bytearray) -> int:
    if len(head) < 2:
        return 2
    short = head[1] & 0x7F
    mask = 4 if head[1] & 0x80 else 0
    return 2 + {126: 2, 127: 8}.get(short, 0) + mask


def _payload_length(head: bytearray) -> int:
    short = head[1] & 0x7F
    if short == 126:
        return int.from_bytes(head[2:4], "big")
    if short == 127:
        return int.from_bytes(head[2:10], "big")
    return short


def close_frame(reason: str, code: int = CLOSE_GOING_AWAY) -> bytes:
    """Return a server's close frame with ``reason``, cut to what fits into one."""
    text = reason.encode()[:_REASON_BYTES].decode(errors="ignore").encode()
    payload = code.to_bytes(2, "big") + text
    return bytes([0x88, len(payload)]) + payload


def gives_up(data: bytes) -> bool:
    """Tell whether ``data`` is nothing but a server's close frame that says it is going away."""
    return (
        len(data) >= 4
        and data[0] == 0x80 | _CLOSE
        and data[1] == len(data) - 2
        and int.from_bytes(data[2:4], "big") == CLOSE_GOING_AWAY
    )
