"""One frozen Settings for a larder, and the only place that reads the environment.

Every variable is called ``LARDER_*``. A wrong value stops the start and names the variable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.larder import faults


class InvalidSetting(ValueError):
    """Raised when a ``LARDER_*`` variable holds a value that larder cannot use."""

    def __init__(self, variable: str, value: str, wanted: str) -> None:
        self.variable = variable
        self.value = value
        super().__init__(f"{variable}={value!r} is no good: write {wanted}")


@dataclass(frozen=True)
class Settings:
    """What an operator may choose. Lifetimes are in seconds.

    A session ends ``session_lifetime`` after the login, and ``session_idle`` after the last visit.
    ``login_rate`` is how many logins a minute one client address may try.
    ``public_url`` begins the links in mails. It is never taken from a request, because whoever
    sends the request could then choose where another customer's reset link leads. An admin is made
    at the start when both of ``admin_address`` and ``admin_password`` are given. ``stock`` is how
    many of each meal a new larder has.
    """

    database_url: str
    public_url: str = "http://127.0.0.1:8000"
    outbox: bool = False
    faults: tuple[faults.Fault, ...] = ()
    fault_seed: int = 1
    session_lifetime: float = 14 * 86400.0
    session_idle: float = 2 * 86400.0
    lockout_failures: int = 5
    lockout_seconds: float = 900.0
    login_rate: float = 60.0
    min_disk_mib: float = 64.0
    reset_lifetime: float = 3600.0
    argon2_time_cost: int = 3
    argon2_memory_kib: int = 64 * 1024
    admin_address: str = ""
    admin_password: str = ""
    stock: int = 500
    payment_timeout: float = 10.0

    @property
    def is_https(self) -> bool:
        """Whether customers come by https; larder itself may sit behind what speaks it."""
        return self.public_url.startswith("https://")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read ``LARDER_*`` from ``environment``; raise InvalidSetting at the first wrong value."""
        return cls(
            database_url=environment.get("LARDER_DATABASE_URL") or default_database_url(),
            public_url=environment.get("LARDER_PUBLIC_URL", cls.public_url).rstrip("/"),
            outbox=_flag(environment, "LARDER_OUTBOX"),
            faults=_faults(environment.get("LARDER_FAULTS", "")),
            fault_seed=int(_number(environment, "LARDER_FAULT_SEED", cls.fault_seed)),
            session_lifetime=_number(environment, "LARDER_SESSION_LIFETIME", cls.session_lifetime),
            session_idle=_number(environment, "LARDER_SESSION_IDLE", cls.session_idle),
            lockout_failures=int(
                _number(environment, "LARDER_LOCKOUT_FAILURES", cls.lockout_failures)
            ),
            lockout_seconds=_number(environment, "LARDER_LOCKOUT_SECONDS", cls.lockout_seconds),
            login_rate=_number(environment, "LARDER_LOGIN_RATE", cls.login_rate),
            min_disk_mib=_number(environment, "LARDER_MIN_DISK_MIB", cls.min_disk_mib),
            reset_lifetime=_number(environment, "LARDER_RESET_LIFETIME", cls.reset_lifetime),
            argon2_time_cost=int(
                _number(environment, "LARDER_ARGON2_TIME_COST", cls.argon2_time_cost)
            ),
            argon2_memory_kib=int(
                _number(environment, "LARDER_ARGON2_MEMORY_KIB", cls.argon2_memory_kib)
            ),
            admin_address=environment.get("LARDER_ADMIN_ADDRESS", ""),
            admin_password=environment.get("LARDER_ADMIN_PASSWORD", ""),
            stock=int(_number(environment, "LARDER_STOCK", cls.stock)),
            payment_timeout=_number(environment, "LARDER_PAYMENT_TIMEOUT", cls.payment_timeout),
        )


def default_database_url() -> str:
    """Return the SQLite file that a larder without further orders uses."""
    return f"sqlite:///{Path.home() / '.local/share/larder/larder.sqlite3'}"


def _flag(environment: Mapping[str, str], variable: str) -> bool:
    value = environment.get(variable, "0")
    if value not in {"0", "1", ""}:
        raise InvalidSetting(variable, value, "0 or 1")
    return value == "1"


def _number(environment: Mapping[str, str], variable: str, default: float) -> float:
    text = environment.get(variable)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise InvalidSetting(variable, text, f"a positive number such as {default:g}")
    return value


def _faults(text: str) -> tuple[faults.Fault, ...]:
    try:
        return faults.parse(text)
    except faults.UnknownFault as error:
        raise InvalidSetting("LARDER_FAULTS", error.text, error.wanted) from None
