"""Sizes and durations as people write them ("64 MB", "200 ms"), both ways. No I/O.

Sizes are binary whatever the spelling: MB and MiB both mean 1,048,576 bytes, as in the limits
that browsers and containers are given.
"""

from __future__ import annotations

import re

_SIZE = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*([kmgt]?)(i?b)?\s*", re.IGNORECASE)
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)?\s*", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

KIB = 1024
MIB = 1024**2
GIB = 1024**3

_ROUNDS_TO_ONE = 1023.5 / 1024  # from here on the unit below would be written as 1024


def parse_size(text: str | int) -> int:
    """Return the bytes that ``text`` names, such as ``"512 MB"``, ``"1.5GiB"`` or ``4096``.

    Raises:
        ValueError: the text is no size.
    """
    if isinstance(text, int):
        return text
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a size; write it like '512 MB'")
    number, power, _ = match.groups()
    factor: int = 1024 ** _POWERS[power.lower()]
    try:
        return round(float(number) * factor)
    except OverflowError:
        raise ValueError(f"{text[:20]!r}... is more than any size") from None


def format_size(size: float) -> str:
    """Return ``size`` bytes in the largest unit that keeps it at 1 or more: ``"512 MiB"``."""
    sign, size = ("-", -size) if size < 0 else ("", size)
    for unit, factor in (("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if size >= factor * _ROUNDS_TO_ONE:
            value = size / factor
            return f"{sign}{value:.0f} {unit}" if value >= 100 else f"{sign}{value:.3g} {unit}"
    return f"{sign}{size:.0f} B"


def parse_duration(text: str | float) -> float:
    """Return the seconds that ``text`` names: ``"200 ms"``, ``"5m"``, ``"1.5 h"``, ``30``.

    Raises:
        ValueError: the text is no duration.
    """
    if isinstance(text, int | float):
        return float(text)
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write it like '30 s' or '5 m'")
    number, unit = match.groups()
    return float(number) * _SECONDS[(unit or "s").lower()]


def format_duration(seconds: float) -> str:
    """Return ``seconds`` as a person would say it: ``"85 ms"``, ``"2.4 s"``, ``"3 m 05 s"``."""
    if round(seconds * 1000) < 1000:
        return f"{seconds * 1000:.0f} ms"
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} m"
