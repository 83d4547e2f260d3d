"""Turn pieces of a snapshot's text into columns: lists of numbers, rows of them, a string table.

Law: no Python object is made per number or string. Digits are decoded eight at a time for a whole
block at once; strings stay bytes until somebody asks for one. What the numbers mean is not known
here, nor in which order the pieces come: that is heapformat.py's business.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[Any]
Integers = npt.NDArray[np.int64]

_STRING_SCAN: Final = 8 * 1024 * 1024
_NARROW_OFFSETS: Final = 2**32
_LOW_NIBBLES: Final = np.uint64(0x0F0F0F0F0F0F0F0F)
_BYTE_PAIRS: Final = np.uint64(0x00FF00FF00FF00FF)
_WORD_PAIRS: Final = np.uint64(0x0000FFFF0000FFFF)
_LOW_HALF: Final = np.uint64(0xFFFFFFFF)
_QUOTE, _BACKSLASH, _MINUS, _ZERO, _NINE = 0x22, 0x5C, 0x2D, 0x30, 0x39


def parse_numbers(text: bytes) -> Integers:
    """Return the integers in ``text``, which may be separated by anything below the digit 0.

    The method reads eight characters as one 64-bit word and folds neighbouring digits together in
    three multiplications (the SWAR technique, for all numbers at once).

    Raises:
        ValueError: a character is no digit, or a number has more than 16 digits.
    """
    size = len(text) + 1
    padded = np.frombuffer(b"%b,%b" % (text, bytes(8)), np.uint8)
    letters = padded[:size]
    if bool((letters > _NINE).any()):
        raise ValueError("a list of numbers holds something else")
    ends = np.flatnonzero(letters < _ZERO)
    starts = np.empty_like(ends)
    starts[:1] = 0
    np.add(ends[:-1], 1, out=starts[1:])
    lengths = ends - starts
    empty = lengths == 0
    if bool(empty.any()):
        keep = ~empty
        ends, starts, lengths = ends[keep], starts[keep], lengths[keep]
    words = np.ndarray(size, "<u8", padded.data, strides=(1,))
    longest = int(lengths.max(initial=0))
    if longest <= 8:
        numbers = _fold(words[starts], lengths)
    elif longest <= 16:
        long = lengths > 8
        numbers = _fold(words[starts], np.minimum(lengths, 8))
        numbers[long] = _fold(words[starts[long]], lengths[long] - 8) * 10**8
        numbers[long] += _fold(words[ends[long] - 8], np.full(int(long.sum()), 8))
    else:
        raise ValueError(f"a number has {longest} digits")
    if b"-" in text:
        negative = (starts > 0) & (letters[starts - 1] == _MINUS)
        numbers[negative] *= -1
    return numbers


def _fold(words: npt.NDArray[np.uint64], lengths: Integers) -> Integers:
    """Return the value of the first ``lengths`` (at most 8) digits of each little-endian word."""
    words &= _LOW_NIBBLES
    words <<= ((8 - lengths) << 3).view(np.uint64)
    spare = words >> np.uint64(8)
    words *= np.uint64(10)
    words += spare
    words &= _BYTE_PAIRS
    np.right_shift(words, np.uint64(16), out=spare)
    words *= np.uint64(100)
    words += spare
    words &= _WORD_PAIRS
    np.right_shift(words, np.uint64(32), out=spare)
    words *= np.uint64(10_000)
    words += spare
    words &= _LOW_HALF
    return words.view(np.int64)


class Table:
    """Rows of numbers, arriving in pieces, kept as one column for each wanted field.

    ``count`` rows are expected; with None as many are taken as come. A field in ``offsets`` counts
    numbers instead of rows of another table and is divided by that table's width.
    """

    def __init__(
        self,
        fields: Sequence[str],
        wanted: Mapping[str, Any],
        count: int | None,
        offsets: Mapping[str, int],
    ) -> None:
        self.width = len(fields)
        self.count = count
        self.filled = 0
        self._columns = {name: np.empty(count or 0, kind) for name, kind in wanted.items()}
        self._pieces: dict[str, list[Column]] = {name: [] for name in wanted}
        self._places = [(fields.index(name), name, offsets.get(name, 1)) for name in wanted]
        self._limits = {name: np.iinfo(kind) for name, kind in wanted.items()}
        self._rest = np.empty(0, np.int64)

    def add(self, numbers: Integers) -> None:
        """Append ``numbers``, holding back the beginning of a row that is not complete.

        Raises:
            ValueError: more rows than expected, or a number that its column cannot hold.
        """
        if self._rest.size:
            numbers = np.concatenate((self._rest, numbers))
        rows = numbers.size // self.width
        self._rest = numbers[rows * self.width :].copy()
        stop = self.filled + rows
        if self.count is not None and stop > self.count:
            raise ValueError(f"more than the announced {self.count} rows")
        grid = numbers[: rows * self.width].reshape(rows, self.width)
        for place, name, width in self._places:
            values = grid[:, place] if width == 1 else grid[:, place] // width
            limits = self._limits[name]
            if values.max(initial=0) > limits.max or values.min(initial=0) < limits.min:
                raise ValueError(f"a {name} is out of range")
            if self.count is None:
                self._pieces[name].append(values.astype(self._columns[name].dtype))
            else:
                self._columns[name][self.filled : stop] = values
        self.filled = stop

    def is_complete(self) -> bool:
        """Tell whether every expected row has arrived, and nothing besides."""
        return self.filled == self.count and not self._rest.size

    def take_columns(self) -> dict[str, Column]:
        """Hand the columns over; the table is empty afterwards."""
        columns, self._columns = self._columns, {}
        if self.count is None:
            return {n: np.concatenate((columns[n], *self._pieces[n])) for n in columns}
        return columns


class Strings:
    """The string table: raw bytes and where each string begins; text is decoded when asked for."""

    def __init__(self, raw: bytes | bytearray) -> None:
        self.raw = raw
        self.starts = _string_starts(raw)

    def __len__(self) -> int:
        return int(self.starts.size)

    def __getitem__(self, index: int) -> str:
        text = self.bytes_at(index).decode("utf-8", "replace")
        if "\\" not in text:
            return text
        decoded = cast("str", json.loads(f'"{text}"'))
        if "\\ud" not in text.lower():
            return decoded
        # A page may cut a surrogate pair in two; half of one cannot be printed.
        return decoded.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def bytes_at(self, index: int) -> bytes:
        """Return the string as it stands in the file, without quotes, escapes not resolved."""
        start = int(self.starts[index])
        following = index + 1
        limit = int(self.starts[following]) - 1 if following < len(self) else len(self.raw)
        return bytes(self.raw[start : self.raw.rfind(b'"', start, limit)])

    def indexes_at(self, offsets: Integers) -> Integers:
        """Return the index of the string that each offset into the raw bytes lies in."""
        return np.searchsorted(self.starts, offsets.astype(self.starts.dtype), "right") - 1

    def index_of(self, text: str) -> int | None:
        """Return the index of the string that equals ``text``, or None."""
        needle = json.dumps(text).encode()
        position = self.raw.find(needle)
        while position >= 0:
            index = int(self.indexes_at(np.array([position + 1]))[0])
            if int(self.starts[index]) == position + 1:
                return index
            position = self.raw.find(needle, position + 1)
        return None


def _string_starts(raw: bytes | bytearray) -> Column:
    """Return the offset behind the opening quote of each string in ``raw``."""
    letters = np.frombuffer(raw, np.uint8)
    found: list[Column] = [np.empty(0, np.int64)]
    opening = True
    for base in range(0, letters.size, _STRING_SCAN):
        quotes = np.flatnonzero(letters[base : base + _STRING_SCAN] == _QUOTE) + base
        doubtful = np.flatnonzero(letters[quotes - 1] == _BACKSLASH)
        escaped = [place for place in doubtful.tolist() if _is_escaped(raw, int(quotes[place]))]
        if escaped:
            quotes = np.delete(quotes, escaped)
        found.append(quotes[0 if opening else 1 :: 2] + 1)
        opening ^= bool(quotes.size % 2)
    starts = np.concatenate(found)
    return starts.astype(np.uint32) if letters.size < _NARROW_OFFSETS else starts


def _is_escaped(raw: bytes | bytearray, quote: int) -> bool:
    first = quote
    while first and raw[first - 1] == _BACKSLASH:
        first -= 1
    return bool((quote - first) % 2)
