"""The port through which larder is paid, and the fake behind it: no money moves here.

Law: a card number is passed on and forgotten. It is never stored, logged or shown again.
"""

from __future__ import annotations

import hashlib
import threading
from typing import Protocol

ACCEPTED_CARD = "4242 4242 4242 4242"
DECLINED_CARD = "4000 0000 0000 0002"
SILENT_CARD = "4000 0000 0000 0119"


class PaymentDeclined(Exception):
    """Raised when the bank says no."""


class PaymentTimedOut(Exception):
    """Raised when the payment service did not answer in time."""


class Payments(Protocol):
    """What larder asks of a payment service."""

    def charge(self, card: str, cents: int, key: str) -> str:
        """Charge a card and return the reference of the payment.

        ``key`` stands for the purchase: the service charges once for it, however often it is asked,
        and gives back what was charged without its answer having reached anybody.

        Raises:
            PaymentDeclined: the bank said no.
            PaymentTimedOut: nobody answered; nothing is charged.
        """
        ...


class FakePayments:
    """A payment service of two test cards that fail, and of all others that pay."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout

    def charge(self, card: str, cents: int, key: str) -> str:
        """Decide by the card alone."""
        if card == _digits(DECLINED_CARD):
            raise PaymentDeclined
        if card == _digits(SILENT_CARD):
            threading.Event().wait(self._timeout)
            raise PaymentTimedOut
        return "pay-" + hashlib.sha256(f"{key} {cents}".encode()).hexdigest()[:16]


def read_card(text: str) -> str | None:
    """Return the digits of a card number; None when a digit is missing, too many or mistyped."""
    digits = _digits(text)
    if not (digits.isascii() and digits.isdigit() and 13 <= len(digits) <= 19):
        return None
    # Luhn's rule: every second digit from the right counts twice, with its own digits summed.
    total = sum(
        sum(divmod(int(digit) * (1 + place % 2), 10)) for place, digit in enumerate(digits[::-1])
    )
    return digits if total % 10 == 0 else None


def _digits(text: str) -> str:
    return text.replace(" ", "").replace("-", "")
