"""Where a service listens, whom it lets in and how it logs: validated at birth, read from nowhere.

Law: beyond loopback nothing listens without a token. What the pool itself is told is in options.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_sentinel.addresses import CONTROL_PORT, LEASE_PORT, Address
from pytest_sentinel.errors import SettingError

TOKEN_LEAST = 16
LEASES = Address("127.0.0.1", LEASE_PORT)
CONTROL = Address("127.0.0.1", CONTROL_PORT)


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """What a service is told beside its pool. Durations in seconds.

    Attributes:
        listen: where clients come for leases.
        control: where health, metrics and commands are.
        token: what clients and commands must show; None lets everybody in.
        log: ``text`` or ``json``.
        drain_timeout: how long leases may go on after the service was told to stop.

    Raises:
        SettingError: a value is bad; says which, and shows a good one.
    """

    listen: Address = LEASES
    control: Address = CONTROL
    token: bytes | None = None
    log: str = "text"
    drain_timeout: float = 60.0

    def __post_init__(self) -> None:
        for name, address in (("--listen", self.listen), ("--control", self.control)):
            if self.token is None and not address.is_loopback():
                raise SettingError(
                    name,
                    str(address),
                    "can be reached from other machines, and there is no --token-file",
                    f"127.0.0.1:{address.port}, or name a --token-file",
                )
        if self.listen == self.control and self.listen.port:
            good = f"{self.listen.host}:{self.listen.port + 1}"
            raise SettingError("--control", str(self.control), "is the place of --listen", good)


def read_token(text: str, origin: str) -> bytes:
    """Return the token in the ``text`` of a file, without the space around it.

    Raises:
        SettingError: it is too short to be a secret, or more than one word.
    """
    token = text.strip()
    if len(token) < TOKEN_LEAST or not token.isprintable() or " " in token:
        problem = f"does not hold one word of {TOKEN_LEAST} characters or more"
        raise SettingError("--token-file", origin, problem, "a file made by `openssl rand -hex 16`")
    return token.encode()
