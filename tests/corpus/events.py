"""Leaks through subscriptions: listeners, emitters, stores, observers, timers, promises."""

from __future__ import annotations

from tests.corpus.pair import pair

pair(
    "document-keydown-per-dialog",
    "listeners|closure",
    r"document|keydown",
    """
    function openDialog() {
      const state = {open: true, fields: new Array(10).fill('')};
      const onKey = event => { if (event.key === 'Escape') state.open = false; };
      document.addEventListener('keydown', onKey);
    +  document.removeEventListener('keydown', onKey); //!
    }
    document.querySelector('#go').addEventListener('click', openDialog);
    """,
)

pair(
    "window-resize-per-component",
    "listeners|closure|heap",
    r"window|resize",
    """
    class Grid {
      constructor() {
        this.cells = new Array(30).fill(0);
        this.stop = new AbortController();
        window.addEventListener('resize', () => this.layout(), {signal: this.stop.signal}); //!
      }
      layout() { return this.cells.length; }
      destroy() {
    -    this.cells = null;
    +    this.stop.abort();
      }
    }
    document.querySelector('#go').addEventListener('click', () => new Grid().destroy());
    """,
)

pair(
    "listeners-on-a-kept-element",
    "listeners|closure",
    r"toolbar|root|main",
    """
    const toolbar = document.querySelector('#root');
    let clicks = 0;
    function refresh() {
      const handler = () => { clicks += 1; };
    -  toolbar.addEventListener('click', handler);
    +  toolbar.onclick = handler;
    }
    document.querySelector('#go').addEventListener('click', refresh);
    """,
)

pair(
    "interval-never-cleared",
    "timer|closure",
    r"setInterval|timer|Timer|tick",
    """
    function startClock() {
      const shown = {text: ''};
      const tick = () => { shown.text = String(Date.now()); };
      const handle = setInterval(tick, 60000);
    +  clearInterval(handle); //!
      return handle;
    }
    document.querySelector('#go').addEventListener('click', startClock);
    """,
)

pair(
    "timeouts-that-start-themselves-again",
    "timer|closure",
    r"setTimeout|timer|Timer|poll",
    """
    class Poller {
      constructor() { this.answers = []; this.alive = true; this.poll(); }
      poll = () => {
        if (this.alive) this.handle = setTimeout(this.poll, 5000); //!
      };
    }
    document.querySelector('#go').addEventListener('click', () => {
      const poller = new Poller();
    +  poller.alive = false; clearTimeout(poller.handle);
    });
    """,
)

pair(
    "animation-frames-never-end",
    "timer|closure|native",
    r"[aA]nimation|draw|Frame",
    """
    function startSpinner() {
      let angle = 0, running = true;
      function draw() {
        angle += 1;
        if (running) requestAnimationFrame(draw); //!
      }
      draw();
    +  running = false;
    }
    document.querySelector('#go').addEventListener('click', startSpinner);
    """,
)

pair(
    "promises-never-settled",
    "heap|collection|closure",
    r"waiting",
    """
    const bus = {waiting: []};
    window.bus = bus;
    async function ask(question) {
      const answer = new Promise(resolve => bus.waiting.push({question, resolve}));
    +  bus.waiting.pop().resolve('yes');
      return await answer;
    }
    document.querySelector('#go').addEventListener('click', () => { ask('ready?'); });
    """,
)

pair(
    "emitter-without-off",
    "closure|heap|collection",
    r"listeners|bus|handlers",
    """
    class Emitter {
      constructor() { this.handlers = new Map(); }
      on(name, handler) {
        if (!this.handlers.has(name)) this.handlers.set(name, []);
        this.handlers.get(name).push(handler);
        return () => {
          const list = this.handlers.get(name);
          list.splice(list.indexOf(handler), 1);
        };
      }
    }
    const bus = new Emitter();
    function view() {
      const model = {rows: [1, 2, 3]};
    -  bus.on('change', () => model.rows.push(0));
    +  const off = bus.on('change', () => model.rows.push(0)); off();
    }
    document.querySelector('#go').addEventListener('click', view);
    """,
)

pair(
    "store-subscribers",
    "closure|heap|collection",
    r"subscribers|store",
    """
    function createStore(reducer) {
      let state = reducer(undefined, {});
      const subscribers = new Set();
      return {
        getState: () => state,
        dispatch(action) { state = reducer(state, action); subscribers.forEach(s => s()); },
        subscribe(s) { subscribers.add(s); return () => subscribers.delete(s); },
      };
    }
    const store = createStore((state = {count: 0}, action) =>
      action.type === 'add' ? {count: state.count + 1} : state);
    function connect(element) {
      const unsubscribe = store.subscribe(() => { element.title = store.getState().count; });
    +  unsubscribe(); //!
    }
    document.querySelector('#go').addEventListener('click', () => {
      connect(document.createElement('output'));
      store.dispatch({type: 'add'});
    });
    """,
    module=True,
)

pair(
    "custom-event-target",
    "closure|listeners|heap",
    r"channel|EventTarget|update",
    """
    const channel = new EventTarget();
    class Row {
      constructor() {
        this.data = {cells: new Array(12).fill('-')};
        this.update = event => { this.data.cells[0] = event.type; };
        channel.addEventListener('update', this.update);
      }
    -  dispose() { this.update = null; }
    +  dispose() { channel.removeEventListener('update', this.update); }
    }
    document.querySelector('#go').addEventListener('click', () => {
      const row = new Row();
      channel.dispatchEvent(new Event('update'));
      row.dispose();
    });
    """,
)

pair(
    "mutation-observers",
    "observer|closure|native",
    r"MutationObserver|body",
    """
    document.querySelector('#go').addEventListener('click', () => {
      const changes = [];
      const observer = new MutationObserver(list => changes.push(list.length));
      observer.observe(document.body, {childList: true});
    +  observer.disconnect(); //!
    });
    """,
)

pair(
    "intersection-observers",
    "observer|closure|native|detached-dom",
    r"IntersectionObserver|main|root|observers",
    """
    const root = document.querySelector('#root');
    function lazyImage() {
      const seen = {count: 0};
      const observer = new IntersectionObserver(() => { seen.count += 1; });
      observer.observe(root);
    +  observer.unobserve(root); observer.disconnect();
    }
    document.querySelector('#go').addEventListener('click', lazyImage);
    """,
)

pair(
    "resize-observers",
    "observer|closure|native",
    r"ResizeObserver|main|root",
    """
    class Panel {
      constructor(host) {
        this.size = [0, 0];
        this.watcher = new ResizeObserver(entries => { this.size = [entries.length, 0]; });
        this.watcher.observe(host); //!
      }
      destroy() {
    -    this.size = null;
    +    this.watcher.disconnect();
      }
    }
    document.querySelector('#go').addEventListener('click', () =>
      new Panel(document.querySelector('#root')).destroy());
    """,
)

pair(
    "media-query-listeners",
    "listeners|closure",
    r"MediaQuery|dark|query",
    """
    const dark = matchMedia('(prefers-color-scheme: dark)');
    function themed() {
      const colours = {ink: '#000', paper: '#fff'};
      const apply = () => { colours.ink = dark.matches ? '#fff' : '#000'; };
      dark.addEventListener('change', apply);
    +  dark.removeEventListener('change', apply); //!
    }
    document.querySelector('#go').addEventListener('click', themed);
    """,
)

pair(
    "drag-listeners",
    "listeners|closure",
    r"document|mousemove|mouseup",
    """
    const handle = document.querySelector('#go');
    handle.addEventListener('mousedown', down => {
      const start = {x: down.clientX, y: down.clientY};
      const move = event => { start.dx = event.clientX - start.x; };
      const up = () => {
    +    document.removeEventListener('mousemove', move);
        document.removeEventListener('mouseup', up);
      };
      document.addEventListener('mousemove', move); //!
      document.addEventListener('mouseup', up);
    });
    """,
)

pair(
    "abort-controllers-kept",
    "heap|collection|listeners",
    r"controllers",
    """
    const controllers = [];
    async function load() {
      const controller = new AbortController();
    -  controllers.push(controller);
    +  controllers[0] = controller;
      const answer = await fetch('/api/items', {signal: controller.signal});
      document.querySelector('#root').textContent = (await answer.json()).name;
    }
    document.querySelector('#go').addEventListener('click', load);
    """,
)

pair(
    "async-loop-that-waits-for-ever",
    "closure|heap|collection",
    r"waiters|gate|channel",
    """
    class Gate {
      waiters = [];
      wait() { return new Promise(open => this.waiters.push(open)); }
      open() { const all = this.waiters; this.waiters = []; all.forEach(open => open()); }
    }
    const gate = new Gate();
    async function follow(name) {
      const record = {name, lines: new Array(16).fill('')};
      await gate.wait();
      record.lines.length = 0;
    }
    document.querySelector('#go').addEventListener('click', () => {
      follow('tail');
    +  gate.open(); //!
    });
    """,
)

pair(
    "hooks-of-a-router",
    "closure|heap|collection",
    r"afterHooks|router|hooks",
    """
    class Router {
      #afterHooks = [];
      after(hook) { this.#afterHooks.push(hook); }
      clear() { this.#afterHooks.length = 0; }
      go(path) { history.replaceState({}, '', path); this.#afterHooks.forEach(h => h(path)); }
    }
    const router = new Router();
    function show(path) {
    +  router.clear();
      router.after(where => { document.title = where; }); //!
      router.go(path);
    }
    document.querySelector('#go').addEventListener('click', () => show('#/inbox'));
    """,
    module=True,
)
