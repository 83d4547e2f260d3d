// Measures the web vitals of a page from within, and tells each change to whoever drives it.
//
// Definitions as in web.dev/articles/vitals: LCP until the first input, CLS as the worst session
// window (gaps below 1 s, 5 s at most), INP as the slowest interaction less one in fifty, FCP and
// TTFB once. Times in milliseconds, from the activation of the page. Every change is told at once:
// what a page says while it is being left (pagehide) reaches nobody.
(() => {
  if (window !== window.top || !/^https?:|^file:/.test(location.protocol)) return;
  if (window.__sentinelRead) {
    window.__sentinelRead.tell(); // as far as it is, to one who listens from now on
    return;
  }

  const facts = { load: `${performance.timeOrigin} ${Math.random()}` };
  const observers = [];
  const since = () => performance.getEntriesByType("navigation")[0]?.activationStart ?? 0;
  let hiddenAt = document.visibilityState === "hidden" ? 0 : Infinity;
  let told = "";
  let timer = 0;

  const observe = (type, take, options = {}) => {
    if (!PerformanceObserver.supportedEntryTypes?.includes(type)) return;
    const observer = new PerformanceObserver((list) => {
      take(list.getEntries());
      soon();
    });
    observer.observe({ type, buffered: true, ...options });
    observers.push([observer, take]);
  };

  const soon = () => {
    timer ||= setTimeout(send);
  };

  const read = () => {
    for (const [observer, take] of observers) take(observer.takeRecords());
    const navigation = performance.getEntriesByType("navigation")[0];
    if (navigation?.responseStart > 0) {
      facts.ttfb = Math.max(0, navigation.responseStart - since());
    }
    if (facts.fcp !== undefined) facts.cls ??= 0;
    return { ...facts, inp: facts.inp ?? handled };
  };

  const send = () => {
    clearTimeout(timer);
    timer = 0;
    const text = JSON.stringify(read());
    const tell = window.__sentinelVitals; // in a page that another has opened, a little later
    if (text === told || !tell) return;
    told = text;
    // The page may go while this is under way; nobody waits for the answer.
    Promise.resolve(tell(text)).catch(() => {});
  };

  observe("paint", (entries) => {
    for (const entry of entries) {
      if (entry.name === "first-contentful-paint" && entry.startTime < hiddenAt) {
        facts.fcp = Math.max(0, entry.startTime - since());
      }
    }
  });

  observe("largest-contentful-paint", (entries) => {
    for (const entry of entries) {
      if (entry.startTime < hiddenAt) facts.lcp = Math.max(0, entry.startTime - since());
    }
  });

  let shift = { value: 0, first: 0, last: 0 };
  observe("layout-shift", (entries) => {
    for (const entry of entries) {
      if (entry.hadRecentInput) continue;
      const { startTime, value } = entry;
      const fits = startTime - shift.last < 1000 && startTime - shift.first < 5000;
      shift = fits && shift.value
        ? { value: shift.value + value, first: shift.first, last: startTime }
        : { value, first: startTime, last: startTime };
      facts.cls = Math.max(facts.cls ?? 0, shift.value);
    }
  });

  const slowest = new Map();
  const interact = (entries) => {
    for (const { interactionId, duration } of entries) {
      if (!interactionId) continue;
      slowest.set(interactionId, Math.max(slowest.get(interactionId) ?? 0, duration));
      if (slowest.size > 10) {
        const least = [...slowest].reduce((a, b) => (b[1] < a[1] ? b : a));
        slowest.delete(least[0]);
      }
    }
    if (!slowest.size) return;
    const ordered = [...slowest.values()].sort((a, b) => b - a);
    const skipped = Math.floor((performance.interactionCount ?? slowest.size) / 50);
    facts.inp = ordered[Math.min(ordered.length - 1, skipped)];
  };
  observe("event", interact, { durationThreshold: 16 });
  observe("first-input", interact);

  // A click that leads to another page is often left without an entry of its own: there was no next
  // paint. Chromium then takes the end of the handlers instead, and so does this.
  let handled;
  let interactions = 0;
  const noted = new WeakSet();
  const note = (event) => {
    if (!event.isTrusted || noted.has(event)) return;
    noted.add(event);
    handled = Math.max(handled ?? 0, performance.now() - event.timeStamp);
    if (facts.inp === undefined) send();
  };
  for (const type of ["click", "keydown"]) {
    addEventListener(type, (event) => {
      if (!event.isTrusted) return;
      interactions++;
      setTimeout(note, 0, event); // for an event that a handler keeps from getting any further
    }, true);
    // While it is being handled: a page may be left before anything else is done.
    addEventListener(type, note);
  }

  soon();
  addEventListener("visibilitychange", () => {
    if (document.visibilityState !== "hidden") return;
    hiddenAt = Math.min(hiddenAt, performance.now());
    send();
  }, true);
  // For the last page of a flow: what it knows, after a frame or two if it has not painted yet.
  const last = async () => {
    const frame = () => Promise.race([
      new Promise((done) => requestAnimationFrame(() => setTimeout(done))),
      new Promise((done) => setTimeout(done, 100)),
    ]);
    const lacks = () => {
      read();
      return facts.lcp === undefined || (interactions && facts.inp === undefined);
    };
    for (let tries = 0; tries < 3 && lacks(); tries++) await frame();
    return JSON.stringify(read());
  };
  Object.defineProperty(window, "__sentinelRead", { value: Object.assign(last, { tell: send }) });
})();
