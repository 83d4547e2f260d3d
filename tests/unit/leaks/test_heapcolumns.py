"""Numbers, rows and strings out of pieces of text, to the last digit."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_sentinel.leaks import heapcolumns
from pytest_sentinel.leaks.heapcolumns import Strings, Table, parse_numbers


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10**16 - 1)), st.sampled_from([",", "\n,", " , ", ",\n"]))
def test_numbers_of_any_length_are_read_exactly(numbers: list[int], separator: str) -> None:
    """Up to 16 digits each, whatever stands between them."""
    assert parse_numbers(separator.join(map(str, numbers)).encode()).tolist() == numbers


@pytest.mark.parametrize("digits", [1, 7, 8, 9, 15, 16])
def test_the_edges_of_the_word_are_exact(digits: int) -> None:
    """A number as long as the word that it is read through, one less and one more."""
    number = int("9876543210123456"[:digits])
    assert parse_numbers(f"{number},7,{number}".encode()).tolist() == [number, 7, number]


def test_a_minus_makes_a_number_negative() -> None:
    """V8 writes -1 where it knows no line."""
    assert parse_numbers(b"-1,2,-30,0").tolist() == [-1, 2, -30, 0]


def test_nothing_gives_no_number() -> None:
    """An empty section is empty."""
    assert parse_numbers(b"").tolist() == []


def test_a_letter_is_no_number() -> None:
    """Damage is reported, not read as some number."""
    with pytest.raises(ValueError, match="holds something else"):
        parse_numbers(b"1,2,null,4")


def test_a_number_that_no_heap_has_is_refused() -> None:
    """17 digits would not fit the method."""
    with pytest.raises(ValueError, match="17 digits"):
        parse_numbers(b"1,12345678901234567")


def numbers(*values: int) -> heapcolumns.Integers:
    return np.array(values, np.int64)


def test_rows_may_arrive_in_any_pieces() -> None:
    """A row that is cut in two is put together again, fields that nobody wants are left out."""
    table = Table(["a", "b", "c"], {"c": np.uint32, "a": np.uint8}, 2, {"c": 10})
    for piece in (numbers(1), numbers(2, 30, 4), numbers(5, 60)):
        table.add(piece)
    assert table.is_complete()
    columns = table.take_columns()
    assert columns["a"].tolist() == [1, 4]
    assert columns["c"].tolist() == [3, 6]
    assert [str(column.dtype) for column in columns.values()] == ["uint32", "uint8"]


def test_a_table_of_unknown_length_grows() -> None:
    """Without a count as many rows are taken as come."""
    table = Table(["a", "b"], {"b": np.int32}, None, {})
    table.add(numbers(1, -2, 3, 4))
    table.add(numbers(5, 6))
    assert table.take_columns()["b"].tolist() == [-2, 4, 6]


def test_a_missing_row_shows() -> None:
    """A table is not complete while rows or parts of one are missing."""
    table = Table(["a"], {"a": np.uint8}, 2, {})
    table.add(numbers(1))
    assert not table.is_complete()


def test_more_rows_than_announced_are_refused() -> None:
    """The head's count is binding."""
    with pytest.raises(ValueError, match="more than the announced 1 rows"):
        Table(["a"], {"a": np.uint8}, 1, {}).add(numbers(1, 2))


@pytest.mark.parametrize("value", [-1, 256])
def test_a_number_that_does_not_fit_is_refused(value: int) -> None:
    """A value is never cut to its column's width."""
    with pytest.raises(ValueError, match="a kind is out of range"):
        Table(["kind"], {"kind": np.uint8}, 1, {}).add(numbers(value))


TEXTS = ["", "plain", 'with "quotes"', "back\\slash", 'end\\"', "\\", "line\nbreak", "ü", "😀"]


@pytest.mark.parametrize("scan", [1, 3, 1 << 20])
def test_every_string_comes_back(scan: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Escapes, quotes and empty strings, wherever the scan for quotes is cut."""
    monkeypatch.setattr(heapcolumns, "_STRING_SCAN", scan)
    for separator in (",", ",\n", " , "):
        strings = Strings(separator.join(map(json.dumps, TEXTS)).encode())
        assert len(strings) == len(TEXTS)
        assert [strings[place] for place in range(len(strings))] == TEXTS
        assert [strings.index_of(text) for text in TEXTS] == list(range(len(TEXTS)))


def test_what_is_only_part_of_a_string_is_not_found() -> None:
    """A text that another string quotes is not that text, nor is what stands between two."""
    strings = Strings(b'"say \\"map\\"","map",","')
    assert strings.index_of("map") == 1
    assert strings.index_of("say") is None
    assert strings.index_of(",") == 2


def test_half_a_character_can_be_shown() -> None:
    """A page may cut a surrogate pair in two; what is left becomes a replacement character."""
    assert Strings(rb'"a\ud83d"')[0] == "a\ufffd"


def test_text_that_is_not_ascii_is_read_too() -> None:
    """Other writers of the format do not escape."""
    assert Strings('"ü"'.encode())[0] == "ü"


def test_no_strings_at_all() -> None:
    """An empty table has length 0."""
    assert len(Strings(b"")) == 0


def test_a_table_beyond_4_gib_counts_in_64_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offsets are 32 bits wide only while that is enough."""
    assert Strings(b'"a","b"').starts.dtype == np.uint32
    monkeypatch.setattr(heapcolumns, "_NARROW_OFFSETS", 4)
    strings = Strings(b'"a","b"')
    assert strings.starts.dtype == np.int64
    assert strings[1] == "b"
