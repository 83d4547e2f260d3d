"""Writes tiny heap snapshots, node by node, in the syntax of V8 of today and of some years ago."""

from __future__ import annotations

import json
from typing import Any

from pytest_sentinel.leaks.heapsnapshot import Snapshot

NODE_TYPES = [
    "hidden",
    "array",
    "string",
    "object",
    "code",
    "closure",
    "regexp",
    "number",
    "native",
    "synthetic",
    "concatenated string",
    "sliced string",
    "symbol",
    "bigint",
    "object shape",
]
EDGE_TYPES = ["context", "element", "property", "internal", "hidden", "shortcut", "weak"]


class HeapBuilder:
    """A heap that begins with V8's root; nodes are numbered in the order they are made."""

    def __init__(self) -> None:
        self.strings = {"<dummy>": 0}
        self.nodes: list[dict[str, int]] = []
        self.edges: list[list[tuple[int, int, int]]] = []
        self.locations: list[tuple[int, int, int, int, int]] = []
        self.samples: list[tuple[int, int]] = []
        self.root = self.node("synthetic", "")

    def text(self, text: str) -> int:
        """Return the index of ``text`` among the strings, adding it when new."""
        return self.strings.setdefault(text, len(self.strings))

    def node(
        self, kind: str, name: str, size: int = 0, node_id: int | None = None, detached: int = 0
    ) -> int:
        """Add a node and return its index."""
        index = len(self.nodes)
        self.nodes.append(
            {
                "type": NODE_TYPES.index(kind),
                "name": self.text(name),
                "id": 2 * index + 1 if node_id is None else node_id,
                "self_size": size,
                "trace_node_id": 0,
                "detachedness": detached,
            }
        )
        self.edges.append([])
        return index

    def edge(self, holder: int, kind: str, name: str | int, target: int) -> None:
        """Let ``holder`` point to ``target``."""
        label = name if isinstance(name, int) else self.text(name)
        self.edges[holder].append((EDGE_TYPES.index(kind), label, target))

    def held(
        self,
        holder: int,
        edge: str,
        name: str | int,
        kind: str,
        title: str,
        size: int = 0,
        **more: int,
    ) -> int:
        """Add a node that ``holder`` points to, and return its index."""
        node = self.node(kind, title, size, **more)
        self.edge(holder, edge, name, node)
        return node

    def window(self) -> int:
        """Add the global object of a page, held as V8 holds it, and return its index."""
        handles = self.held(self.root, "element", 1, "synthetic", "(Global handles)")
        context = self.held(
            handles, "internal", "1 / context", "native", "system / NativeContext / https://a.test"
        )
        name = "Window [JSGlobalObject] / https://a.test"
        return self.held(context, "internal", "global_object", "object", name)

    def document(self, old: bool = False) -> dict[str, Any]:
        """Return the snapshot as the JSON object that its file holds."""
        fields = ["type", "name", "id", "self_size", "edge_count", "detachedness"]
        places = ["object_index", "script_id", "script_object_index", "line", "column"]
        if old:
            fields = [*fields[:5], "trace_node_id", "detachedness"]
            places.remove("script_object_index")
        width = len(fields)
        rows = [
            node | {"edge_count": len(edges)}
            for node, edges in zip(self.nodes, self.edges, strict=True)
        ]
        locations = [
            (node * width, script_id, *((script * width,) if not old else ()), line, column)
            for node, script_id, script, line, column in self.locations
        ]
        return {
            "snapshot": {
                "meta": {
                    "node_fields": fields,
                    "node_types": [NODE_TYPES, "string", *["number"] * (width - 2)],
                    "edge_fields": ["type", "name_or_index", "to_node"],
                    "edge_types": [EDGE_TYPES, "string_or_number", "node"],
                    "sample_fields": ["timestamp_us", "last_assigned_id"],
                    "location_fields": places,
                },
                "node_count": len(self.nodes),
                "edge_count": sum(map(len, self.edges)),
                "trace_function_count": 0,
                "extra_native_bytes": 4096,
            },
            "nodes": [row[field] for row in rows for field in fields],
            "edges": [
                number
                for edges in self.edges
                for kind, label, target in edges
                for number in (kind, label, target * width)
            ],
            "trace_function_infos": [],
            "trace_tree": [1, 0, 5, 60, [2, 1, 5, 60, []]],
            "samples": [number for sample in self.samples for number in sample],
            "locations": [number for location in locations for number in location],
            "strings": list(self.strings),
        }

    def file(self, old: bool = False) -> bytes:
        """Return the snapshot as V8 writes it."""
        return serialise(self.document(old), one_line_each=old)

    def snapshot(self, old: bool = False) -> Snapshot:
        """Return the snapshot as the package reads it."""
        return Snapshot.from_chunks([self.file(old)])


def serialise(document: dict[str, Any], one_line_each: bool = False) -> bytes:
    """Write ``document`` with V8's line breaks: one a section, or of old, one a record."""
    sections = []
    meta = document["snapshot"]["meta"]
    widths = {"nodes": len(meta["node_fields"]), "edges": 3}
    for name, value in document.items():
        text = json.dumps(value, separators=(",", ":"))
        if one_line_each and name in widths:
            width = widths[name]
            records = [value[at : at + width] for at in range(0, len(value), width)]
            text = "[" + "\n,".join(",".join(map(str, record)) for record in records) + "]"
        sections.append(f'"{name}":{text}')
    return ("{" + ",\n".join(sections) + "}").encode()
