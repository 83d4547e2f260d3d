"""Eleven pages that grow by a multiple with each click, after those that BLeak is tested with.

What each must do is BLeak's (Vilk and Berger, PLDI 2018); how it does it is ours. No twin is fixed:
they are here because a check that waits for linear growth never comes to its end on them.
"""

from __future__ import annotations

from dataclasses import dataclass

_BUTTON = '<button id="go">Go</button>'
_FILL = """
let size = 4;
function fill(target) {
  for (let n = 0; n < size; n++) target['k' + Math.random()] = Math.random();
  size *= 2;
}
"""


@dataclass(frozen=True)
class Doubling:
    """A page without end, and what owns its growth.

    Attributes:
        owner: regular expression that the reported owner must contain.
    """

    script: str
    owner: str
    body: str = _BUTTON

    def page(self) -> str:
        """Return the page as HTML."""
        return f"<!doctype html>\n<body>{self.body}\n<script>\n{self.script}\n</script></body>"


_ON_CLICK = "document.querySelector('#go').addEventListener('click', {});"
_HIDDEN = "(() => {{ const kept = {{}}; {fill} {use} }})();"


def _hidden(use: str) -> str:
    return _HIDDEN.format(fill=_FILL, use=use)


# By what BLeak calls the page.
PAGES = {
    "test": Doubling(
        f"var kept = {{}}; {_FILL} {_ON_CLICK.format('() => fill(kept)')}", r"\bkept\b"
    ),
    "closure_test": Doubling(
        _hidden("window.more = () => fill(kept);") + _ON_CLICK.format("() => window.more()"),
        r"\bkept\b",
    ),
    "closure_test_dom": Doubling(_hidden(_ON_CLICK.format("() => fill(kept)")), r"\bkept\b"),
    "closure_test_dom_on_property": Doubling(
        _hidden("document.querySelector('#go').onclick = () => fill(kept);"), r"\bkept\b"
    ),
    "closure_test_irrelevant_dom": Doubling(
        _hidden(_ON_CLICK.format("() => fill(kept)")),
        r"\bkept\b",
        f'<button id="before">No</button>{_BUTTON}<button id="after">Nor me</button>',
    ),
    "closure_test_disconnected_dom": Doubling(
        _hidden(
            "window.apart = document.createElement('button');"
            "window.apart.addEventListener('click', () => fill(kept));"
        )
        + _ON_CLICK.format("() => window.apart.click()"),
        r"\bkept\b",
    ),
    "reassignment_test": Doubling(
        "(() => { let kept = [], size = 4;"
        + _ON_CLICK.format(
            "() => { for (let n = 0; n < size; n++) kept = kept.concat({at: Math.random()});"
            " size *= 2; }"
        )
        + "})();",
        r"\bkept\b",
    ),
    "multiple_paths_test": Doubling(
        "(() => { const kept = {}, alias = kept; let size = 4;"
        + _ON_CLICK.format(
            "() => { for (let n = 0; n < size; n++)"
            " (n % 2 ? kept : alias)['k' + Math.random()] = Math.random();"
            " size *= 2; return kept === alias; }"
        )
        + "})();",
        r"\b(kept|alias)\b",
    ),
    "irrelevant_paths_test": Doubling(
        f"var kept = {{}}; {_FILL}"
        + _ON_CLICK.format(
            "() => { fill(kept); const once = 'x' + Math.random(); kept[once] = 1;"
            " delete kept[once]; }"
        ),
        r"\bkept\b",
    ),
    "event_listener_leak": Doubling(
        "const go = document.querySelector('#go');\n"
        "const listen = () => go.addEventListener('click', () => {\n"
        "  for (let n = 0; n < 4; n++) listen();\n"
        "});\nlisten();",
        r"button|click|listener",
    ),
    "event_listener_removal": Doubling(
        "const go = document.querySelector('#go');\n"
        "const listen = () => go.addEventListener('click', () => {\n"
        "  for (let n = 0; n < 4; n++) listen();\n"
        "});\nlisten();\n"
        "go.addEventListener('click', () => {\n"
        "  const once = () => {}; go.addEventListener('click', once);\n"
        "  go.removeEventListener('click', once);\n"
        "});",
        r"button|click|listener",
    ),
}
