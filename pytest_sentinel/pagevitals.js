// Runs in the main frame of each page: tells the web vitals and the outcome of requests, at once
// when the first are known, again some time after they changed, and when the page goes.
(() => {
  const name = "__sentinel_page__";
  const tell = globalThis[name];
  delete globalThis[name];
  if (!tell || globalThis !== globalThis.top || !/^(https?|file):$/.test(location.protocol)) return;
  const later = setTimeout.bind(globalThis);
  const address = location.href;
  const vitals = {};
  const requests = {};
  const inputs = new Map();
  let waiting = false, told = false, painted = false;
  let shift = 0, shiftBegan = 0, shiftLast = 0;

  const send = () => {
    waiting = false;
    told = true;
    tell({ url: address, began: performance.timeOrigin, vitals, requests }).catch(() => {});
  };
  const changed = () => {
    if (!told || (vitals.lcp && !painted)) {
      painted = !!vitals.lcp;
      return send();
    }
    if (waiting) return;
    waiting = true;
    later(() => { if (waiting) send(); }, 100);
  };
  const seconds = (milliseconds) => Math.max(0, milliseconds) / 1000;
  const kinds = { script: "script", link: "style", css: "style", img: "image", image: "image",
                  xmlhttprequest: "fetch", fetch: "fetch", beacon: "fetch" };
  const count = (kind, status) => {
    // 0 is a failure, which the browser tells, or an answer that the page may not look into.
    if (!status) return;
    const result = status >= 500 ? "http_5xx" : status >= 400 ? "http_4xx" : "ok";
    const key = kind + " " + result;
    requests[key] = (requests[key] || 0) + 1;
  };
  const watch = (type, take, more) => {
    try {
      new PerformanceObserver((list) => { list.getEntries().forEach(take); changed(); })
        .observe({ type, buffered: true, ...more });
    } catch { }
  };

  watch("navigation", (entry) => {
    if (entry.responseStart) vitals.ttfb = seconds(entry.responseStart);
    // Told when it begins and again when it has loaded; there is one.
    for (const key of Object.keys(requests)) if (key.startsWith("document ")) delete requests[key];
    count("document", entry.responseStatus || 200);
  });
  watch("paint", (entry) => {
    if (entry.name === "first-contentful-paint") vitals.fcp = seconds(entry.startTime);
  });
  watch("largest-contentful-paint", (entry) => { vitals.lcp = seconds(entry.startTime); });
  if (PerformanceObserver.supportedEntryTypes.includes("layout-shift")) vitals.cls = 0;
  watch("layout-shift", (entry) => {
    if (entry.hadRecentInput) return;
    // The worst session window: gaps of at most 1 s, at most 5 s long.
    const at = entry.startTime;
    if (at - shiftLast > 1000 || at - shiftBegan > 5000) { shift = 0; shiftBegan = at; }
    shiftLast = at;
    shift += entry.value;
    vitals.cls = Math.max(vitals.cls || 0, shift);
  });
  const interaction = (entry) => {
    const id = entry.interactionId;
    if (!id) return;
    // The slowest of an interaction's events stands for it; of up to 50 interactions the worst.
    inputs.set(id, Math.max(inputs.get(id) || 0, entry.duration));
    vitals.inp = seconds(Math.max(...inputs.values()));
    if (inputs.size > 50) inputs.delete(inputs.keys().next().value);
  };
  watch("event", interaction, { durationThreshold: 40 });
  watch("first-input", interaction);
  watch("resource", (entry) => count(kinds[entry.initiatorType] || "other", entry.responseStatus));
  addEventListener("pagehide", send, { capture: true });
})();
