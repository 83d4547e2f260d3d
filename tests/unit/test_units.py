"""Sizes and durations, as people write them and as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sentinel.units import (
    GIB,
    KIB,
    MIB,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64 MB", 64 * MIB),
        ("64MiB", 64 * MIB),
        ("64m", 64 * MIB),
        (" 1.5 GiB ", 1536 * MIB),
        ("2 kb", 2 * KIB),
        ("1t", 1024 * GIB),
        ("512", 512),
        ("512 B", 512),
        ("-3 MB", -3 * MIB),
        ("+3 MB", 3 * MIB),
        (4096, 4096),
    ],
)
def test_sizes_are_binary_however_they_are_spelt(text: str | int, size: int) -> None:
    """MB and MiB, with or without a space, in any case, mean 1,048,576 bytes."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "12 parsecs", "1,5 MB", "1e9", "5 MB or so"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """A text that is no size raises, and the message shows how one is written."""
    with pytest.raises(ValueError, match=r"is not a size; write it like '512 MB'"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (KIB, "1 KiB"),
        (1.5 * KIB, "1.5 KiB"),
        (512 * MIB, "512 MiB"),
        (1000 * MIB, "1000 MiB"),
        (1.25 * GIB, "1.25 GiB"),
        (-64 * MIB, "-64 MiB"),
    ],
)
def test_sizes_are_written_in_the_largest_fitting_unit(size: float, text: str) -> None:
    """A size keeps at least one whole unit, and three digits at most below a hundred."""
    assert format_size(size) == text


@given(st.integers(min_value=0, max_value=1024 * GIB))
def test_a_size_that_was_written_can_be_read_again(size: int) -> None:
    """Reading what was written gives the size back, to the three digits that are shown."""
    assert abs(parse_size(format_size(size)) - size) <= size * 0.005


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("200 ms", 0.2),
        ("30", 30.0),
        ("30 s", 30.0),
        ("5m", 300.0),
        ("5 min", 300.0),
        ("1.5 h", 5400.0),
        ("2 d", 172800.0),
        ("2 D", 172800.0),
        (30, 30.0),
        (0.25, 0.25),
    ],
)
def test_durations_are_read_in_seconds(text: str | float, seconds: float) -> None:
    """A number without a unit means seconds."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "-3 s", "3 weeks", "1 h 30 m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """A text that is no duration raises, and the message shows how one is written."""
    with pytest.raises(ValueError, match=r"is not a duration; write it like '30 s' or '5 m'"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.085, "85 ms"),
        (2.44, "2.4 s"),
        (59.9, "59.9 s"),
        (60, "1 m 00 s"),
        (185.4, "3 m 05 s"),
        (3600, "1 h 00 m"),
        (5400, "1 h 30 m"),
    ],
)
def test_durations_are_written_as_a_person_says_them(seconds: float, text: str) -> None:
    """The unit fits the length: milliseconds below a second, hours from 60 minutes."""
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.9999, "1.0 s"), (59.97, "1 m 00 s"), (3599.7, "1 h 00 m")]
)
def test_rounding_reaches_the_next_unit(seconds: float, text: str) -> None:
    """What rounds up to a whole unit is written in that unit, never as 60 of the smaller."""
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(MIB - 1, "1 MiB"), (1023.9 * MIB, "1 GiB"), (99.96 * MIB, "100 MiB")]
)
def test_rounding_reaches_the_next_size(size: float, text: str) -> None:
    """A size that rounds up to 1024 of a unit is written as one of the next."""
    assert format_size(size) == text
