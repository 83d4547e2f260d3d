"""The shape of a corpus pair: one source text from which a leaking page and its fixed twin grow.

A line that starts with ``-`` exists only in the leaking page, one that starts with ``+`` only
in the fixed one. The first ``-`` line is the labelled line unless a line is marked ``//!``.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field

ENTRIES: dict[str, Pair] = {}


@dataclass(frozen=True)
class Pair:
    """A leak, its cure, and the label that the judge never sees.

    Attributes:
        name: unique, and part of the page's address.
        kind: the kinds a right report may give, separated by ``|``.
        owner: regular expression that the reported owner must contain.
        source: script text with ``-`` and ``+`` lines.
        steps: what one iteration does; see :func:`tests.corpus.harness.act`.
        body: HTML before the script.
        module: True for ``<script type=module>``.
        beside: the kinds that one of the further leaks must be of, separated by ``|``; "" if there
            is but one leak.
    """

    name: str
    kind: str
    owner: str
    source: str
    steps: tuple[str, ...] = ("click #go",)
    body: str = '<button id="go">Go</button>\n<main id="root"></main>'
    module: bool = False
    beside: str = ""
    tags: frozenset[str] = field(default_factory=frozenset)

    def page(self, leaky: bool) -> str:
        """Return one twin as a whole HTML document."""
        script = "\n".join(text for text, _ in self._lines(leaky))
        opening = '<script type="module">' if self.module else "<script>"
        return (
            f"<!doctype html>\n<html><head><title>{self.name}</title><style></style></head>\n"
            f"<body>\n{self.body}\n{opening}\n{script}\n</script>\n</body></html>\n"
        )

    def line(self) -> int:
        """Return the 1-based line of the leaking page that leaks."""
        lines = self._lines(leaky=True)
        marked = [number for number, (text, _) in enumerate(lines) if "//!" in text]
        changed = [number for number, (_, sign) in enumerate(lines) if sign == "-"]
        first_line_of_script = self.page(True).split("<script", 1)[0].count("\n") + 2
        return first_line_of_script + (marked or changed or [0])[0]

    def _lines(self, leaky: bool) -> list[tuple[str, str]]:
        other = "+" if leaky else "-"
        kept = []
        for text in textwrap.dedent(self.source).strip("\n").split("\n"):
            sign = text[:1] if text[:1] in "+-" else ""
            if sign != other:
                kept.append((" " + text[1:] if sign else text, sign))
        return kept


def pair(name: str, kind: str, owner: str, source: str, **more: object) -> Pair:
    """Enter a pair into the corpus and return it."""
    if name in ENTRIES:
        raise RuntimeError(f"bug: two pairs are named {name}")
    steps = more.pop("steps", None)
    if isinstance(steps, str):
        more["steps"] = (steps,)
    elif steps is not None:
        more["steps"] = tuple(steps)  # type: ignore[arg-type]
    made = Pair(name, kind, owner, source, **more)  # type: ignore[arg-type]
    ENTRIES[name] = made
    return made
