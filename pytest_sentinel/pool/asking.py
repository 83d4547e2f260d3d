"""Ask a running service something, over HTTP; the one client of both its ports. No opinions.

Law: whatever answers, in whatever pieces, the whole of it takes no longer than it may, and no more
memory.
"""

from __future__ import annotations

import http.client
import io
import json
import socket
import ssl
import time
from typing import Any

from pytest_sentinel.addresses import Address
from pytest_sentinel.errors import ServiceUnreachable
from pytest_sentinel.trust import make_context

_MOST = 16 * 1024 * 1024
UNTRUSTED_HINT = "name the file of its authority in SSL_CERT_FILE"


def ask(
    address: Address,
    path: str,
    *,
    method: str = "GET",
    token: str | None = None,
    body: dict[str, Any] | None = None,
    timeout: float = 5.0,
) -> tuple[int, str]:
    """Return the status and the text of a service's answer; ``timeout`` is seconds for it all.

    Raises:
        ServiceUnreachable: nothing answers there, or what answers does not speak HTTP.
    """
    headers = {"Accept": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    payload = None if body is None else json.dumps(body).encode()
    deadline = time.monotonic() + timeout
    connection = _connection(address, timeout)
    try:
        connection.connect()
        with connection.sock as sock:
            connection.sock = _Bounded(sock, deadline)
            connection.request(method, address.prefix + path, payload, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(_MOST).decode(errors="replace")
    except TimeoutError:
        raise ServiceUnreachable(str(address), f"no answer within {timeout:g} s") from None
    except ssl.SSLCertVerificationError as error:
        problem = f"its certificate is not trusted ({error.verify_message}); {UNTRUSTED_HINT}"
        raise ServiceUnreachable(str(address), problem) from None
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ServiceUnreachable(str(address), why) from None
    finally:
        connection.close()


def _connection(address: Address, timeout: float) -> http.client.HTTPConnection:
    if not address.tls:
        return http.client.HTTPConnection(address.host, address.port, timeout=timeout)
    return http.client.HTTPSConnection(
        address.host, address.port, timeout=timeout, context=make_context()
    )


class _Bounded:
    """A socket as http.client needs it, of which every step ends by the same moment.

    A time-out of a socket is for each step alone: one who sends a byte a second never meets it.
    """

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        """Send it all."""
        self._hurry()
        self._sock.sendall(data)

    def makefile(self, _: str) -> io.BufferedReader:
        """Return what reads the answer."""
        return io.BufferedReader(_Answer(self))

    def receive(self, buffer: memoryview) -> int:
        """Read what is there."""
        self._hurry()
        return self._sock.recv_into(buffer)

    def close(self) -> None:
        """Keep it open: http.client lets go of it before it has read the answer."""

    def _hurry(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)


class _Answer(io.RawIOBase):
    """Reads from a socket that is bounded."""

    def __init__(self, sock: _Bounded) -> None:
        self._sock = sock

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is there."""
        return self._sock.receive(memoryview(buffer))


def ask_for_facts(address: Address, path: str, **how: Any) -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON object of a service's answer; see ``ask``.

    Raises:
        ServiceUnreachable: nothing answers there, or what answers is no service of ours.
    """
    status, text = ask(address, path, **how)
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        first = text.strip().partition("\n")[0][:200]
        raise ServiceUnreachable(str(address), f"it answers {status} {first}".rstrip())
    return status, facts
