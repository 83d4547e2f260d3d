"""Read the text of a V8 heap snapshot into columns, in one pass over pieces of any size.

The file is one JSON object: a head that tells fields, types and counts, then long arrays of
numbers, the strings last. Law: columns are allocated once from the counts in the head and filled in
place, and where a field stands is looked up by name, because V8 adds and drops fields. What the
columns mean is heapsnapshot.py's business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from typing import Any, Final

import numpy as np

from pytest_sentinel.errors import HeapSnapshotError
from pytest_sentinel.leaks.heapcolumns import Column, Strings, Table, parse_numbers

_BLOCK: Final = 128 * 1024  # so the working arrays of one block stay in a core's cache
_HEAD_LIMIT: Final = 4 * 1024 * 1024
_KEY_LIMIT: Final = 256
_START: Final = re.compile(rb'\s*\{\s*"snapshot"\s*:')
_NODES: Final = re.compile(rb',\s*"nodes"\s*:\s*\[')
_SECTION: Final = re.compile(rb'"(\w+)"\s*:\s*\[')
_END: Final = re.compile(rb"\s*\]\s*\}\s*\Z")

# Ids and indexes are 32 bits wide in V8; one backing store can be larger than 4 GiB.
_NODE_COLUMNS: Final = {
    "type": np.uint8,
    "name": np.uint32,
    "id": np.uint32,
    "self_size": np.int64,
    "edge_count": np.uint32,
}
_OPTIONAL_NODE_COLUMNS: Final = {"detachedness": np.uint8, "trace_node_id": np.uint32}
_EDGE_COLUMNS: Final = {"type": np.uint8, "name_or_index": np.uint32, "to_node": np.uint32}
_LOCATION_COLUMNS: Final = {
    "object_index": np.uint32,
    "script_id": np.int32,
    "line": np.int32,
    "column": np.int32,
}
_OPTIONAL_LOCATION_COLUMNS: Final = {"script_object_index": np.uint32}
_SAMPLE_COLUMNS: Final = {"timestamp_us": np.int64, "last_assigned_id": np.int64}


class SnapshotReader:
    """Takes the file's text in pieces of any size and fills the tables; ``finish`` ends it.

    Attributes:
        head: the decoded first member of the file: ``meta`` and the counts.
        strings: the string table, once finished.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.head: dict[str, Any] = {}
        self.strings = Strings(b"")
        self._tables: dict[str, Table] = {}
        self._raw_strings = bytearray()
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._parser = self._parse()
        next(self._parser)

    def feed(self, chunk: bytes | str) -> None:
        """Take the next piece of the file.

        Raises:
            HeapSnapshotError: this is no heap snapshot, or a damaged one.
        """
        data = chunk.encode() if isinstance(chunk, str) else chunk
        self._pending.append(data)
        self._pending_size += len(data)
        if self._pending_size >= _BLOCK:
            self._send_pending()

    def finish(self) -> None:
        """Read what is left and check that the whole file was there.

        Raises:
            HeapSnapshotError: the file is no heap snapshot, is cut short, or contradicts itself.
        """
        self._send_pending()
        self._parser.close()
        if not self.head:
            raise HeapSnapshotError(self.source, "it does not begin like a heap snapshot")
        end = _END.search(self._raw_strings, max(0, len(self._raw_strings) - _KEY_LIMIT))
        for name in ("nodes", "edges"):
            table = self._tables[name]
            if not table.is_complete():
                raise HeapSnapshotError(
                    self.source,
                    f"it is cut short: {table.filled} of {table.count} {name} are there",
                )
        if end is None:
            raise HeapSnapshotError(self.source, "it is cut short: its strings do not end")
        del self._raw_strings[end.start() :]
        self.strings = Strings(self._raw_strings)

    def columns(self, section: str) -> dict[str, Column]:
        """Return the columns of ``section`` by field name, cut to the rows that are there."""
        table = self._tables.get(section)
        return {} if table is None else table.take_columns()

    def _send_pending(self) -> None:
        data = b"".join(self._pending)
        self._pending.clear()
        self._pending_size = 0
        try:
            self._parser.send(data)
        except StopIteration:
            raise HeapSnapshotError(self.source, "it goes on after its end") from None
        except (ValueError, KeyError, IndexError, TypeError, MemoryError) as error:
            raise HeapSnapshotError(self.source, f"it is damaged: {error}") from error

    def _parse(self) -> Generator[None, bytes, None]:
        # A generator, so that the steps read top to bottom although the data is pushed in.
        data = yield
        while (found := _NODES.search(data)) is None:
            if len(data) > _HEAD_LIMIT or not _START.match(data):
                raise HeapSnapshotError(self.source, "it does not begin like a heap snapshot")
            data += yield
        self._open_tables(json.loads(data[: found.start()] + b"}")["snapshot"])
        section, data = "nodes", data[found.end() :]
        while section != "strings":
            if section in self._tables:
                data = yield from self._fill(self._tables[section], data)
            while (found := _SECTION.search(data)) is None:
                data = data[-_KEY_LIMIT:] + (yield)
            section, data = found[1].decode(), data[found.end() :]
        while True:
            self._raw_strings += data
            data = yield

    def _open_tables(self, head: dict[str, Any]) -> None:
        meta = head["meta"]
        width = len(meta["node_fields"])
        offsets = dict.fromkeys(("to_node", "object_index", "script_object_index"), width)
        for section, fields, wanted, optional, count in (
            ("nodes", "node", _NODE_COLUMNS, _OPTIONAL_NODE_COLUMNS, int(head["node_count"])),
            ("edges", "edge", _EDGE_COLUMNS, {}, int(head["edge_count"])),
            ("locations", "location", _LOCATION_COLUMNS, _OPTIONAL_LOCATION_COLUMNS, None),
            ("samples", "sample", _SAMPLE_COLUMNS, {}, None),
        ):
            there = meta.get(f"{fields}_fields", ())
            if count is not None or set(wanted) <= set(there):
                kept = wanted | {name: kind for name, kind in optional.items() if name in there}
                self._tables[section] = Table(there, kept, count, offsets)
        self.head = head

    def _fill(self, table: Table, data: bytes) -> Generator[None, bytes, bytes]:
        """Read numbers into ``table`` up to the closing bracket; return what follows it."""
        while True:
            end = data.find(b"]")
            stop = end if end >= 0 else data.rfind(b",")
            start = 0
            while start < stop:
                cut = stop if stop - start <= _BLOCK else data.rfind(b",", start, start + _BLOCK)
                table.add(parse_numbers(data[start:cut]))
                start = cut + 1
            if end >= 0:
                return data[end + 1 :]
            data = data[stop + 1 :] + (yield)
