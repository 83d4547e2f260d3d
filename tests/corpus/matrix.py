"""Pairs made by rule: every way of holding crossed with everything that can be held."""

from __future__ import annotations

from tests.corpus.pair import pair

HOLDERS = {
    "array": ("const keep = [];", "keep.push(item)", "keep[0] = item", "keep"),
    "map": (
        "const keep = new Map(); let n = 0;",
        "keep.set(++n, item)",
        "keep.set(0, item)",
        "keep",
    ),
    "set": ("const keep = new Set();", "keep.add(item)", "keep.clear(); keep.add(item)", "keep"),
    "dictionary": (
        "const keep = window.keep = {}; let n = 0;",
        "keep['k' + (++n)] = item",
        "keep.k = item",
        "keep",
    ),
    "private-field": (
        (
            "class Shelf { #keep = []; put(x) { this.#keep.push(x); } "
            "swap(x) { this.#keep = [x]; } }\nconst shelf = new Shelf();"
        ),
        "shelf.put(item)",
        "shelf.swap(item)",
        "keep",
    ),
    "closure": (
        (
            "const shelf = (() => { let keep = []; "
            "return {put: x => keep.push(x), swap: x => { keep = [x]; }}; })();"
        ),
        "shelf.put(item)",
        "shelf.swap(item)",
        "keep",
    ),
}
HELD = {
    "object": ("heap|collection", "({name: 'item', tags: ['a', 'b'], at: Date.now()})"),
    "element": ("detached-dom", "document.createElement('figure')"),
    "subtree": (
        "detached-dom",
        "Object.assign(document.createElement('div'), {innerHTML: '<p><b>1</b><i>2</i></p>'})",
    ),
    "closure": ("closure|heap|collection", "(seen => () => seen.length)(new Array(9).fill(0))"),
    "string": ("string|heap|collection", "('text ' + Math.random()).repeat(3)"),
    "buffer": ("array-buffer|heap|collection", "new ArrayBuffer(3000)"),
    "instance": ("heap|collection", "new (class Order { lines = [1, 2]; total = 3; })()"),
}

for _holder, (_setup, _leak, _fix, _owner) in HOLDERS.items():
    for _held, (_kind, _expression) in HELD.items():
        pair(
            f"{_held}-in-{_holder}",
            _kind,
            _owner,
            f"{_setup}\n"
            "document.querySelector('#go').addEventListener('click', () => {\n"
            f"  const item = {_expression};\n"
            f"-  {_leak};\n"
            f"+  {_fix};\n"
            "});",
            module=_holder in ("closure", "map"),
        )
