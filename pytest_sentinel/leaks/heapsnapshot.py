"""A V8 heap snapshot as numpy columns, and what can be read from them without walking the graph.

A node is a row number (its index); its ``@id`` is what V8 and DevTools call it, stable while one
CDP session tracks the heap. Law: columns are never copied per question, and no Python object is
made per node; text is decoded only for what is shown. Questions about reachability belong to
retainers.py, the file's syntax to heapformat.py.
"""

from __future__ import annotations

import functools
import gzip
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pytest_sentinel.errors import HeapSnapshotError
from pytest_sentinel.leaks.heapcolumns import Column, Strings
from pytest_sentinel.leaks.heapformat import SnapshotReader

Nodes = npt.NDArray[Any]

_CHUNK: Final = 1024 * 1024
_GZIP_MAGIC: Final = b"\x1f\x8b"
_MISSING: Final = 255
_NUMBERED_EDGES: Final = ("element", "hidden")
_TAG: Final = re.compile(rb"<[\w:-]+")
_SYSTEM: Final = "system / "

UNKNOWN, ATTACHED, DETACHED = 0, 1, 2


class Location(NamedTuple):
    """Where a function was written; ``line`` and ``column`` count from 1, ``url`` may be empty."""

    script_id: int
    url: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.url or f'script {self.script_id}'}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Tally:
    """How many nodes of one kind there are and what they weigh by themselves, in bytes."""

    name: str
    count: int
    size: int


class Snapshot:
    """One heap snapshot.

    Attributes:
        node_type, node_name, node_id, self_size, detachedness: one entry per node. ``node_name``
            indexes ``strings``; ``node_type`` indexes ``node_types``.
        trace_node_id: one entry per node, or None when allocations were not recorded.
        first_edge: where the edges of a node begin; one entry more than there are nodes.
        edge_type, edge_name, edge_to: one entry per edge, grouped by the node that holds it.
            ``edge_name`` is a number for element and hidden edges, else it indexes ``strings``.
        samples: ``timestamp_us`` and ``last_assigned_id``, when the heap was tracked.
    """

    def __init__(self, reader: SnapshotReader) -> None:
        self.source = reader.source
        self.head = reader.head
        self.strings: Strings = reader.strings
        meta = reader.head["meta"]
        self.node_types = _enumeration(meta, "node_types", meta["node_fields"].index("type"))
        self.edge_types = _enumeration(meta, "edge_types", meta["edge_fields"].index("type"))
        nodes, edges = reader.columns("nodes"), reader.columns("edges")
        self.node_type: Column = nodes["type"]
        self.node_name: Column = nodes["name"]
        self.node_id: Column = nodes["id"]
        self.self_size: Column = nodes["self_size"]
        self.trace_node_id: Column | None = nodes.get("trace_node_id")
        unknown = np.zeros(self.node_type.size, np.uint8)
        self.detachedness: Column = nodes.get("detachedness", unknown)
        self.first_edge: Column = np.zeros(self.node_type.size + 1, np.uint32)
        np.cumsum(nodes["edge_count"], out=self.first_edge[1:])
        self.edge_type: Column = edges["type"]
        self.edge_name: Column = edges["name_or_index"]
        self.edge_to: Column = edges["to_node"]
        self.samples = reader.columns("samples")
        self._locations = reader.columns("locations")
        self._check()

    @classmethod
    def from_chunks(cls, chunks: Iterable[bytes | str], source: str = "heap snapshot") -> Snapshot:
        """Read a snapshot that arrives in pieces, such as CDP's addHeapSnapshotChunk events.

        Raises:
            HeapSnapshotError: the pieces are no heap snapshot, or not all of one.
        """
        reader = SnapshotReader(source)
        for chunk in chunks:
            reader.feed(chunk)
        reader.finish()
        return cls(reader)

    @classmethod
    def from_file(
        cls, path: str | os.PathLike[str], progress: Callable[[int, int], None] | None = None
    ) -> Snapshot:
        """Read a file, gzip-compressed or not; ``progress`` is told bytes read and bytes in all.

        Raises:
            OSError: the file cannot be read.
            HeapSnapshotError: it is no heap snapshot, or a damaged one.
        """
        return cls.from_chunks(_read(Path(path), progress), os.fspath(path))

    def __len__(self) -> int:
        return int(self.node_type.size)

    def __repr__(self) -> str:
        return f"<Snapshot {self.source}: {len(self)} nodes, {self.edge_to.size} edges>"

    # ---- nodes

    def type_index(self, name: str) -> int:
        """Return the value of ``node_type`` for this type; 255, which no node has, if none."""
        return self.node_types.index(name) if name in self.node_types else _MISSING

    def edge_type_index(self, name: str) -> int:
        """Return the value of ``edge_type`` for this type; 255, which no edge has, if none."""
        return self.edge_types.index(name) if name in self.edge_types else _MISSING

    def type_name(self, node: int) -> str:
        """Return the type of a node, such as ``object`` or ``closure``."""
        return self.node_types[int(self.node_type[node])]

    def name(self, node: int) -> str:
        """Return the name V8 gave a node: a constructor, a function's name, a string's text."""
        return self.strings[int(self.node_name[node])]

    def class_name(self, node: int) -> str:
        """Return what a node is counted as: its constructor, ``<div>``, ``(string)``."""
        return class_name(self.type_name(node), self.name(node))

    def index_of(self, node_id: int) -> int | None:
        """Return the index of the node with this ``@id``, or None."""
        found = np.flatnonzero(self.node_id == node_id)
        return int(found[0]) if found.size else None

    def location(self, node: int) -> Location | None:
        """Return where a closure (or what else V8 knows the place of) was written, or None."""
        columns = self._locations
        if not columns:
            return None
        found = np.flatnonzero(columns["object_index"] == node)
        if not found.size:
            return None
        row = int(found[0])
        if "script_object_index" in columns:
            script: int | None = int(columns["script_object_index"][row])
        else:
            shared = self._internal(node, "shared")
            script = None if shared is None else self._internal(shared, "script")
        return Location(
            int(columns["script_id"][row]),
            "" if script is None else self._script_url(script),
            int(columns["line"][row]) + 1,
            int(columns["column"][row]) + 1,
        )

    @functools.cached_property
    def classes(self) -> tuple[Column, list[str]]:
        """The class of every node, as an index into the list of class names that comes with it."""
        names: dict[str, int] = {}
        by_type = np.array(
            [names.setdefault(class_name(kind, ""), len(names)) for kind in self.node_types],
            np.int32,
        )
        result = by_type[self.node_type]
        for kind in ("object", "native", "hidden"):
            chosen = np.flatnonzero(self.node_type == self.type_index(kind))
            name_ids = self.node_name[chosen]
            used = np.zeros(len(self.strings), np.bool_)
            used[name_ids] = True
            by_name = np.zeros(len(self.strings), np.int32)
            for name_id in np.flatnonzero(used).tolist():
                name = class_name(kind, self._name_of_class(name_id))
                by_name[name_id] = names.setdefault(name, len(names))
            result[chosen] = by_name[name_ids]
        return result, list(names)

    # ---- edges

    def edges_of(self, node: int) -> range:
        """Return the edges that a node holds."""
        return range(int(self.first_edge[node]), int(self.first_edge[node + 1]))

    def edges_into(self, node: int) -> Nodes:
        """Return the edges that point to a node."""
        return np.flatnonzero(self.edge_to == node)

    def holders(self, edges: Nodes) -> Nodes:
        """Return the node that holds each of ``edges``."""
        # One dtype on both sides, or numpy converts the whole column for every call.
        return np.searchsorted(self.first_edge, edges.astype(np.uint32), "right") - 1

    def holder(self, edge: int) -> int:
        """Return the node that holds an edge."""
        return int(np.searchsorted(self.first_edge, np.uint32(edge), "right")) - 1

    def edge_label(self, edge: int) -> str:
        """Return an edge's name, or its number for elements and hidden slots."""
        name = int(self.edge_name[edge])
        numbered = self.edge_types[int(self.edge_type[edge])] in _NUMBERED_EDGES
        return str(name) if numbered else self.strings[name]

    def describe_edge(self, edge: int) -> str:
        """Return an edge as JavaScript would write it: ``.cache``, ``[3]``, ``(map)``."""
        kind, label = self.edge_types[int(self.edge_type[edge])], self.edge_label(edge)
        if kind == "property":
            return f".{label}" if label.isidentifier() else f'["{label}"]'
        if kind == "element":
            return f"[{label}]"
        if kind == "context":
            return f" -> {label}"
        return f"({label})"

    # ---- sums

    def totals(self) -> list[Tally]:
        """Return count and bytes of each node type, heaviest first."""
        return self._tally(self.node_type, self.node_types, None)

    def constructors(self, nodes: Nodes | None = None) -> list[Tally]:
        """Return count and bytes of each class, of all or of the given nodes, heaviest first."""
        class_of, names = self.classes
        return self._tally(class_of, names, nodes)

    def _tally(self, group: Column, names: Iterable[str], nodes: Nodes | None) -> list[Tally]:
        sizes = self.self_size
        if nodes is not None:
            group, sizes = group[nodes], sizes[nodes]
        counts = np.bincount(group)
        weights = np.bincount(group, sizes)
        tallies = [
            Tally(name, int(count), int(weight))
            for name, count, weight in zip(names, counts, weights, strict=False)
            if count
        ]
        return sorted(tallies, key=lambda tally: (-tally.size, -tally.count, tally.name))

    def _name_of_class(self, name_id: int) -> str:
        """Return what matters to the class in a name: of an element not its attributes."""
        tag = self.strings.bytes_at(name_id).partition(b" ")[0]
        # Every element of a page can have another name, and decoding is not free.
        return tag.decode() if _TAG.fullmatch(tag) else self.strings[name_id]

    def _internal(self, node: int, label: str) -> int | None:
        """Return the node that the internal edge called ``label`` leads to, or None."""
        internal = self.edge_type_index("internal")
        for edge in self.edges_of(node):
            if self.edge_type[edge] == internal and self.edge_label(edge) == label:
                return int(self.edge_to[edge])
        return None

    def _script_url(self, script: int) -> str:
        for label in ("source_url", "name"):
            text = self._internal(script, label)
            if text is not None and self.type_name(text) == "string" and self.name(text):
                return self.name(text)
        return ""

    def _check(self) -> None:
        if not len(self):
            raise HeapSnapshotError(self.source, "it has no nodes")
        named = self.edge_type != self.edge_type_index(_NUMBERED_EDGES[0])
        named &= self.edge_type != self.edge_type_index(_NUMBERED_EDGES[1])
        names = len(self.strings)
        for largest, limit, what in (
            (self.node_type.max(), len(self.node_types), "a node has an unknown type"),
            (self.edge_type.max(initial=0), len(self.edge_types), "an edge has an unknown type"),
            (self.node_name.max(), names, "a name is not among the strings"),
            (self.edge_name.max(initial=0, where=named), names, "a name is not among the strings"),
            (self.edge_to.max(initial=0), len(self), "an edge points behind the last node"),
        ):
            if int(largest) >= limit:
                raise HeapSnapshotError(self.source, f"it is damaged: {what}")
        claimed = int(self.first_edge[-1])
        if claimed != self.edge_to.size:
            raise HeapSnapshotError(
                self.source,
                f"it is damaged: its nodes claim {claimed} edges, {self.edge_to.size} are there",
            )


def class_name(kind: str, name: str) -> str:
    """Return what a node of type ``kind`` called ``name`` is counted as, much as DevTools does.

    Attributes of elements, addresses and scopes are dropped, so that equal things count together.
    """
    if kind in ("object", "native") or (kind == "hidden" and name.startswith(_SYSTEM)):
        if name.startswith("<"):
            return name.partition(" ")[0].rstrip(">") + ">"
        head, _, detail = name.partition(" / ")
        return f"{head} / {detail.partition(' / ')[0]}" if name.startswith(_SYSTEM) else head
    named = {"closure": "Function", "regexp": "RegExp", "code": "(compiled code)"}
    return named.get(kind, f"({kind})")


def _enumeration(meta: dict[str, Any], table: str, place: int) -> tuple[str, ...]:
    names = meta[table][place]
    return tuple(str(name) for name in names)


def _read(path: Path, progress: Callable[[int, int], None] | None) -> Iterator[bytes]:
    total = path.stat().st_size
    with path.open("rb") as file:
        packed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        file.seek(0)
        text = gzip.GzipFile(fileobj=file) if packed else file
        try:
            while chunk := text.read(_CHUNK):
                yield chunk
                if progress is not None:
                    progress(file.tell(), total)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise HeapSnapshotError(str(path), f"it is cut short or damaged: {error}") from error
