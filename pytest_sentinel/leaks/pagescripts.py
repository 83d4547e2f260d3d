"""What a leak check runs in the page: JavaScript, and nothing but.

Law: a script leaves nothing behind in the page that a later snapshot would show as growth.
"""

from __future__ import annotations

# Two frames and an idle turn, at most 250 ms: a hidden page draws no frames. Leaves nothing pending
# behind, for that would be in the next snapshot beside what the page left there.
TURN = """new Promise(done => {
  let frame = 0, idle = 0;
  const end = () => {
    clearTimeout(late); cancelAnimationFrame(frame); cancelIdleCallback(idle); done();
  };
  const late = setTimeout(end, 250);
  frame = requestAnimationFrame(() => { frame = requestAnimationFrame(
    () => { idle = requestIdleCallback(end, {timeout: 100}); }); });
})"""

# Blurs what has the focus, counts CSS rules, and says whether a finite animation still runs.
CALM = """(() => {
  const active = document.activeElement;
  if (active && active !== document.body && active.blur) active.blur();
  let rules = 0;
  for (const sheet of [...document.styleSheets, ...document.adoptedStyleSheets])
    try { rules += sheet.cssRules.length } catch { }
  const moving = document.getAnimations().filter(a => a.playState === 'running'
    && Number.isFinite(a.effect?.getComputedTiming().endTime)).length;
  return [performance.timeOrigin, rules, moving];
})()"""

# Remembers the size of each array, map, set and plain object in a weak map; at a later call, keeps
# of those only what has grown since, so that little of it is left when a snapshot is taken.
COLLECTIONS = """function (seen) {
  const mapSize = Object.getOwnPropertyDescriptor(Map.prototype, 'size').get;
  const setSize = Object.getOwnPropertyDescriptor(Set.prototype, 'size').get;
  const keys = Object.keys, proto = Object.getPrototypeOf, plain = Object.prototype;
  const isArray = Array.isArray, map = Map.prototype, set = Set.prototype;
  const sizes = new WeakMap();
  for (const item of this) {
    const past = seen ? seen.get(item) : [];
    if (past === undefined) continue;
    let size = -1;
    if (isArray(item)) size = item.length;
    else if (map.isPrototypeOf(item)) { try { size = mapSize.call(item) } catch { } }
    else if (set.isPrototypeOf(item)) { try { size = setSize.call(item) } catch { } }
    else if (proto(item) === plain) size = keys(item).length;
    if (size < 0) continue;
    if (!seen) sizes.set(item, size);
    else if (typeof past === 'number') { if (size > past) sizes.set(item, [past, size]); }
    else if (size > past.at(-1)) { past.push(size); sizes.set(item, past); }
  }
  return sizes;
}"""

GROWN = """function (sizes, least, form) {
  const grown = [];
  for (const item of this) {
    const known = sizes.get(item);
    if (Array.isArray(known) && known.at(-1) - known[0] >= least) grown.push([item, known]);
  }
  if (form === 'counted') return grown.length;
  const gain = pair => pair[1].at(-1) - pair[1][0];
  return grown.sort((a, b) => gain(b) - gain(a)).slice(0, 20);
}"""


# The browser process keeps what an object URL names, where no snapshot shows it. This keeps the
# URLs that were not revoked in the page's own heap, under a name that reads well in a path.
OBJECT_URLS = "objectURLs"
LEDGER = """(() => {
  const create = URL.createObjectURL, revoke = URL.revokeObjectURL;
  const objectURLs = Object.create(null);
  function createObjectURL(source) {
    const url = create.call(URL, source);
    objectURLs[url] = url;
    return url;
  }
  function revokeObjectURL(url) { delete objectURLs[url]; return revoke.call(URL, url); }
  URL.createObjectURL = createObjectURL;
  URL.revokeObjectURL = revokeObjectURL;
  return () => {
    if (URL.createObjectURL === createObjectURL) URL.createObjectURL = create;
    if (URL.revokeObjectURL === revokeObjectURL) URL.revokeObjectURL = revoke;
  };
})()"""
