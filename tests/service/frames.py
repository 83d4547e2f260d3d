"""What a client may put on its wire after the upgrade: frames by hand, right ones and odd ones."""

from __future__ import annotations

import importlib.metadata
import json
import re
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from hypothesis import strategies as st

from tests.runs import slack
from tests.service.ports import HEAD

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
DEEP = 100_000

INITIALIZE = {
    "id": 1,
    "guid": "",
    "method": "initialize",
    "params": {"sdkLanguage": "python"},
    "metadata": {"wallTime": 0, "apiName": "x", "internal": False},
}


def frame(
    payload: bytes,
    opcode: int = TEXT,
    *,
    fin: bool = True,
    masked: bool = True,
    reserved: int = 0,
    length: int | None = None,
) -> bytes:
    """Return a frame; ``length`` is what it says of its payload where that is a lie."""
    size = len(payload) if length is None else length
    first = (0x80 if fin else 0) | reserved << 4 | opcode
    if size < 126:
        head = struct.pack("!BB", first, size | 0x80 * masked)
    elif size < 65536:
        head = struct.pack("!BBH", first, 126 | 0x80 * masked, size)
    else:
        head = struct.pack("!BBQ", first, 127 | 0x80 * masked, size)
    return head + (b"\0\0\0\0" if masked else b"") + payload


def say(value: Any) -> bytes:
    """Return a message of Playwright's protocol as a frame."""
    return frame(json.dumps(value).encode())


def deep(left: str, right: str = "") -> bytes:
    """Return a text that is nested a hundred thousand levels."""
    return (left * DEEP + "1" + right * DEEP).encode()


def deflated(data: bytes) -> bytes:
    """Return ``data`` as permessage-deflate sends it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


ODD_TEXTS = [
    *(b"null", b"[]", b"1", b"{}", b'""', b"true", b"", b" ", b"NaN", b"{", b"\xef\xbb\xbf{}"),
    *(b'{"id":1}', b'{"id":null}', b'{"id":{}}', b'{"guid":""}', b" null", b"\n[null]"),
    b'{"method":"__abort__"}',
    b'{"method":"__abort__","params":null}',
    b'{"method":"__abort__","params":{"id":{}}}',
    b'{"method":"__waitInfo__"}',
    b'{"id":2,"guid":"","method":"__waitInfo__","params":{"info":null}}',
    b'{"id":1,"guid":"x","method":"constructor"}',
    b'{"id":1,"guid":"","method":"constructor","params":{}}',
    b'{"id":1,"guid":"","method":"__proto__","params":{},"metadata":{}}',
    b'{"id":1,"guid":"","method":"_dispose","params":{},"metadata":{}}',
    b'{"id":1,"guid":"__proto__","method":"toString","params":{"__proto__":{"x":1}}}',
    b'{"id":1,"guid":"","method":"__dispose__","params":{}}',
    b'{"id":1,"guid":"","method":"initialize","params":null,"metadata":null}',
    b'{"id":1,"guid":"","method":"initialize","params":{"sdkLanguage":"cobol"},"metadata":{}}',
    b'{"id":1e999,"guid":[],"method":{},"params":"x"}',
    deep("["),
    deep("[", "]"),
    deep('{"a":', "}"),
    b'{"id":1,"guid":"","method":"initialize","params":' + deep("[", "]") + b"}",
    b"[" + b"{}," * 2_000_000,
]

ODD_FRAMES = [
    *(frame(text) for text in ODD_TEXTS),
    *(frame(b"null", opcode) for opcode in range(16)),
    *(frame(b"{}", opcode, fin=False) for opcode in range(16)),
    *(frame(b"{}", reserved=reserved) for reserved in range(1, 8)),
    frame(b"null", masked=False),
    frame(b"\xff\xfe\xff"),
    frame(b"\xed\xa0\x80", BINARY),
    frame(b"null", BINARY),
    frame(b"x" * 126, PING),
    frame(b"x" * 200, CLOSE),
    frame(b"\x03", CLOSE),
    frame(b"\x00\x00", CLOSE),
    frame(b"\x03\xe9\xff", CLOSE),
    frame(b"x", length=2**63 - 1),
    frame(b"x", length=2**64 - 1),
    frame(b"x", length=200 * 1024 * 1024),
    frame(deflated(b"null"), reserved=4),
    frame(deflated(b"{" + b" " * 200_000_000 + b"}"), reserved=4),
    frame(b"\xff" * 50, reserved=4),
    frame(b"nu", fin=False) + frame(b"ll", 0),
    frame(b'{"a":', fin=False) * 2,
    frame(b"x", 0),
    frame(b"", PING) * 5000,
    say(INITIALIZE) + say(INITIALIZE),
    say(INITIALIZE) + frame(b"null"),
    say(INITIALIZE) + frame(b'{"id":7,"method":"__abort__"}'),
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
]

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
_METHODS = st.sampled_from(
    [
        *("initialize", "close", "killForTests", "newContext", "newPage", "startServer"),
        *("stopServer", "newBrowserCDPSession", "send", "detach", "newContextForReuse"),
        *("startTracing", "stopTracing", "defaultUserAgentForTest", "disconnectFromReusedContext"),
        *("evaluateExpression", "goto", "__abort__", "__waitInfo__", "__adopt__", "__create__"),
        *("launch", "connectOverCDP", "launchServer", "cleanupContexts", "constructor", "_dispose"),
    ]
) | st.text(max_size=10)
_CDP = st.sampled_from(["Browser.close", "Browser.crash", "Browser.crashGpuProcess", "Nothing.x"])


def messages(guids: list[str]) -> st.SearchStrategy[Any]:
    """Return messages to those objects, nearly right ones and wrong ones."""
    params = _VALUES | st.fixed_dictionaries({"method": _CDP, "params": _VALUES})
    call = {
        "id": st.integers(-1, 50) | _VALUES,
        "guid": st.sampled_from(guids) | _VALUES,
        "method": _METHODS | _VALUES,
        "params": params | st.just({}),
        "metadata": st.just({}) | st.just(INITIALIZE["metadata"]) | _VALUES,
    }
    return st.fixed_dictionaries({}, optional=call) | st.fixed_dictionaries(call) | _VALUES


def speech(guids: list[str]) -> st.SearchStrategy[bytes]:
    """Return what one connection may say: a few frames, of which some are no frames."""
    odd = st.builds(
        frame,
        st.binary(max_size=200),
        st.integers(0, 15),
        fin=st.booleans(),
        masked=st.booleans(),
        reserved=st.integers(0, 7),
        length=st.none() | st.integers(0, 2**64 - 1),
    )
    part = messages(guids).map(say) | odd | st.binary(max_size=64) | st.sampled_from(ODD_FRAMES)
    return st.lists(part, min_size=1, max_size=6).map(b"".join)


@contextmanager
def connection(address: tuple[str, int], more: str = "") -> Iterator[socket.socket]:
    """Hold a connection of a client whose upgrade was accepted."""
    agent = f"User-Agent: Playwright/{importlib.metadata.version('playwright')} (x64) node/1\r\n"
    with socket.create_connection(address, timeout=20 * slack()) as sock:
        sock.sendall(HEAD.format(target="/chromium?wait=20s", more=agent + more).encode())
        head = b""
        while b"\r\n\r\n" not in head:
            piece = sock.recv(4096)
            assert piece, head
            head += piece
        assert head.startswith(b"HTTP/1.1 101 "), head
        yield sock


def initialized(sock: socket.socket) -> list[str]:
    """Begin Playwright's protocol; return the names of the objects that it tells of."""
    sock.sendall(say(INITIALIZE))
    heard = hear(sock, 5.0, until=b'"id":1,')
    return [guid.decode() for guid in re.findall(rb'"guid":"([^"]*)"', heard)]


def repeat(sock: socket.socket, data: bytes, times: int) -> int:
    """Say something again and again; return how often it was taken before nobody took any more."""
    for done in range(times):
        try:
            sock.sendall(data)
        except OSError:
            return done
    return times


def hear(sock: socket.socket, seconds: float, until: bytes = b"") -> bytes:
    """Return what is said within so many seconds, or up to some words, or to the end."""
    heard, deadline = b"", time.monotonic() + seconds * slack()
    with suppress(OSError):
        while (left := deadline - time.monotonic()) > 0 and not (until and until in heard):
            sock.settimeout(left)
            piece = sock.recv(1 << 20)
            if not piece:
                break
            heard += piece
    return heard
