"""Pairs made by rule: everything that can hold a callback, with a cache of the same object beside.

The cache is found first. What else keeps the object must be named for what it is.
"""

from __future__ import annotations

from tests.corpus.pair import pair

# name: (kinds that the holder may be called, what is done once, the leak, its cure)
HOLDERS = {
    "window-listener": (
        "listeners",
        "",
        "window.addEventListener('resize', use)",
        "window.removeEventListener('resize', use)",
    ),
    "document-listener": (
        "listeners",
        "",
        "document.addEventListener('scroll', use)",
        "document.removeEventListener('scroll', use)",
    ),
    "element-listener": (
        "listeners",
        "const bar = document.querySelector('#root');",
        "bar.addEventListener('click', use)",
        "bar.removeEventListener('click', use)",
    ),
    "abort-listener": (
        "listeners",
        "const stop = new AbortController();",
        "stop.signal.addEventListener('abort', use)",
        "stop.signal.removeEventListener('abort', use)",
    ),
    "target-listener": (
        "listeners",
        "const bus = new EventTarget();",
        "bus.addEventListener('change', use)",
        "bus.removeEventListener('change', use)",
    ),
    "media-listener": (
        "listeners",
        "const narrow = matchMedia('(max-width: 10px)');",
        "narrow.addEventListener('change', use)",
        "narrow.removeEventListener('change', use)",
    ),
    "port-listener": (
        "listeners",
        "const {port1: port} = new MessageChannel();",
        "port.addEventListener('message', use)",
        "port.removeEventListener('message', use)",
    ),
    "interval": ("timer", "", "setInterval(use, 60000)", "use()"),
    "late-timeout": ("timer", "", "setTimeout(use, 600000)", "use()"),
    "chain-of-timeouts": (
        "timer",
        "",
        "(function again() { use(); setTimeout(again, 20000); })()",
        "use()",
    ),
    "chain-of-frames": (
        "timer|closure",
        "",
        "(function again() { use(); requestAnimationFrame(again); })()",
        "use()",
    ),
    "mutation-observer": (
        "observer",
        "",
        "new MutationObserver(use).observe(document.body, {attributes: true})",
        "use()",
    ),
    "resize-observer": (
        "observer",
        "",
        "new ResizeObserver(use).observe(document.body)",
        "use()",
    ),
    "intersection-observer": (
        "observer",
        "",
        "new IntersectionObserver(use).observe(document.body)",
        "use()",
    ),
    "pending-promise": (
        "closure|heap",
        "const never = window.never = new Promise(() => {});",
        "never.then(use)",
        "use()",
    ),
    "list-of-callbacks": (
        "closure|collection",
        "const callbacks = window.callbacks = [];",
        "callbacks.push(use)",
        "callbacks[0] = use",
    ),
    "set-of-callbacks": (
        "closure|collection",
        "const callbacks = window.callbacks = new Set();",
        "callbacks.add(use)",
        "callbacks.delete(use)",
    ),
    "map-of-callbacks": (
        "closure|collection",
        "const callbacks = window.callbacks = new Map(); let n = 0;",
        "callbacks.set(++n, use)",
        "callbacks.set(0, use)",
    ),
    "detached-element": (
        "detached-dom",
        "const parts = window.parts = [];",
        "parts.push(Object.assign(document.createElement('figure'), {onclick: use}))",
        "parts[0] = document.createElement('figure')",
    ),
}

for _name, (_kinds, _setup, _leak, _fix) in HOLDERS.items():
    pair(
        f"{_name}-beside-a-cache",
        "collection" if "callbacks" not in _setup else _kinds,
        r"^cache|callbacks",
        f"""
const cache = [];
{_setup}
class Chart {{ points = new Array(100).fill(0).map((_, at) => ({{at}})); }}
document.querySelector('#go').addEventListener('click', () => {{
  const chart = new Chart();
  const use = () => chart.points.length;
-  cache.push(chart);
-  {_leak};
+  cache[0] = chart;
+  {_fix};
}});
""",
        beside=_kinds if "callbacks" not in _setup else "",
    )
