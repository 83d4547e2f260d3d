"""How a browser ended that nobody closed. Plain values; who finds out is elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

DRIVER = "driver"
_SENTENCES = {
    "crashed": "the browser died",
    "hung": "the browser stopped answering and was killed",
    "lost": "the lease of the browser ended",
    DRIVER: "Playwright's driver died",
    f"{DRIVER}-hung": "Playwright's driver stopped answering and was killed",
}


@dataclass(frozen=True, slots=True)
class Death:
    """How a browser ended that nobody closed.

    Attributes:
        kind: ``crashed`` (its process is gone), ``hung`` (it stopped answering and was killed),
            ``lost`` (the service that leased it has ended the connection), ``driver`` or
            ``driver-hung`` (the process of Playwright that drives it is gone, or was stuck).
        ended: signal name or exit code, where it is known; for ``lost`` what the service said.
        tail: its last lines of output.
    """

    kind: str
    ended: str | None
    tail: tuple[str, ...] = ()

    @property
    def is_drivers(self) -> bool:
        """Whether it was the driver that ended, and every browser with it."""
        return self.kind.startswith(DRIVER)

    def __str__(self) -> str:
        what = _SENTENCES[self.kind]
        if self.ended is None or self.kind.endswith("hung"):
            return what
        return f"{what}: {self.ended}" if self.kind == "lost" else f"{what} ({self.ended})"
