"""Leaks in plain data: arrays, maps, sets, strings, buffers, lists, dictionaries."""

from __future__ import annotations

from tests.corpus.pair import pair

pair(
    "array-of-objects",
    "heap|collection",
    r"app\.history",
    """
    window.app = {history: [], settings: {limit: 20}};
    function record(name) {
    -  app.history.push({name, at: Date.now()});
    +  app.history.push({name, at: Date.now()});
    +  if (app.history.length > 6) app.history.shift();
    }
    document.querySelector('#go').onclick = () => record('visit');
    """,
)

pair(
    "map-cache",
    "heap|collection",
    r"routeCache",
    """
    const routeCache = new Map();
    let visit = 0;
    function open(path) {
      visit += 1;
    -  const key = path + '?v=' + visit;
    +  const key = path;
      if (!routeCache.has(key)) routeCache.set(key, {path, body: new Array(40).fill(visit)});
      document.querySelector('#root').textContent = routeCache.get(key).path;
    }
    document.querySelector('#go').addEventListener('click', () => open('/about'));
    """,
)

pair(
    "set-of-numbers",
    "collection|heap",
    r"seen",
    """
    const seen = new Set();
    let next = 0;
    function mark() {
      next += 1;
    -  seen.add(next);
    +  seen.add(next % 4);
    }
    document.querySelector('#go').addEventListener('click', mark);
    """,
)

pair(
    "array-of-doubles",
    "collection|heap",
    r"samples",
    """
    class Meter {
      constructor() { this.samples = []; }
      tick() {
        const value = Math.random() * 100;
    -    this.samples.push(value);
    +    this.samples[0] = value;
      }
    }
    window.meter = new Meter();
    document.querySelector('#go').addEventListener('click', () => meter.tick());
    """,
)

pair(
    "array-of-small-integers",
    "collection|heap",
    r"clicks",
    """
    const stats = {clicks: [], total: 0};
    document.querySelector('#go').addEventListener('click', () => {
      stats.total += 1;
    -  stats.clicks.push(1);
    });
    globalThis.stats = stats;
    """,
)

pair(
    "string-that-grows",
    "string|heap",
    r"app\.log|\.log\b|\blog\b",
    """
    window.app = {log: ''};
    document.querySelector('#go').addEventListener('click', () => {
    -  app.log += 'button clicked at ' + Date.now() + '; ';
    +  app.log = 'button clicked at ' + Date.now() + '; ';
    });
    """,
)

pair(
    "string-that-grows-flat",
    "string|heap",
    r"transcript",
    """
    const chat = {transcript: 'start\\n'};
    window.chat = chat;
    document.querySelector('#go').addEventListener('click', () => {
    -  chat.transcript += 'user: a message of some length\\n';
    +  chat.transcript = 'user: a message of some length\\n';
      document.querySelector('#root').title = String(chat.transcript.indexOf('zebra'));
    });
    """,
)

pair(
    "typed-arrays",
    "array-buffer|collection|heap",
    r"frames",
    """
    const recorder = {frames: [], scratch: new Float32Array(2048)};
    window.recorder = recorder;
    document.querySelector('#go').addEventListener('click', () => {
    -  const frame = new Float32Array(2048);
    -  frame[0] = recorder.frames.length;
    -  recorder.frames.push(frame);
    +  recorder.scratch.fill(1);
    });
    """,
)

pair(
    "buffer-that-is-regrown",
    "array-buffer|heap",
    r"stream|bytes",
    """
    class Stream {
      bytes = new Uint8Array(0);
      append(chunk) {
    -    const grown = new Uint8Array(this.bytes.length + chunk.length);
    -    grown.set(this.bytes);
    -    grown.set(chunk, this.bytes.length);
    +    const grown = new Uint8Array(chunk.length);
    +    grown.set(chunk);
        this.bytes = grown;
      }
    }
    const stream = window.stream = new Stream();
    document.querySelector('#go').onclick = () => stream.append(new Uint8Array(500));
    """,
)

pair(
    "dictionary-with-random-keys",
    "heap|collection",
    r"pendingRequests",
    """
    const api = {pendingRequests: {}};
    window.api = api;
    function send() {
      const id = Math.random().toString(36).slice(2);
      api.pendingRequests[id] = {id, started: performance.now()};
    +  delete api.pendingRequests[id];
    }
    document.querySelector('#go').addEventListener('click', send);
    """,
)

pair(
    "linked-list",
    "heap",
    r"head",
    """
    class Chain {
      head = null;
      size = 0;
      add(value) {
    -    this.head = {value, next: this.head};
    +    this.head = {value, next: null};
        this.size += 1;
      }
    }
    window.chain = new Chain();
    document.querySelector('#go').addEventListener('click', () => chain.add({text: 'entry'}));
    """,
)

pair(
    "doubly-linked-queue",
    "heap",
    r"jobs|queue|first|last",
    """
    const queue = {first: null, last: null};
    window.jobs = queue;
    function enqueue(job) {
      const node = {job, prev: queue.last, next: null};
    -  if (queue.last) queue.last.next = node; else queue.first = node;
    -  queue.last = node;
    +  node.prev = null; queue.first = queue.last = node;
    }
    document.querySelector('#go').addEventListener('click', () => enqueue({run() { return 1; }}));
    """,
)

pair(
    "numbered-globals",
    "heap|collection",
    r"window",
    """
    let counter = 0;
    document.querySelector('#go').addEventListener('click', () => {
      counter += 1;
    -  window['callback_' + counter] = function jsonp() { return counter; };
    +  window['callback_' + (counter % 2)] = function jsonp() { return counter; };
    });
    """,
)

pair(
    "nested-maps",
    "heap|collection",
    r"index",
    """
    const index = new Map([['users', new Map()], ['posts', new Map()]]);
    let id = 0;
    document.querySelector('#go').addEventListener('click', () => {
      id += 1;
    -  index.get('users').set(id, {id, name: 'user ' + id});
    -  index.get('posts').set(id, {id, title: 'post ' + id});
    +  index.get('users').set(1, {id, name: 'user ' + id});
    });
    """,
    module=True,
)

pair(
    "static-registry-of-instances",
    "heap|collection",
    r"instances|Widget",
    """
    class Widget {
      static #instances = [];
      constructor(label) {
        this.label = label;
    -    Widget.#instances.push(this);
      }
      render() { return 'Widget ' + this.label; }
    }
    document.querySelector('#go').addEventListener('click', () => {
      document.querySelector('#root').textContent = new Widget('a').render();
    });
    """,
)

pair(
    "symbol-keyed-store",
    "heap|collection",
    r"drafts|Symbol",
    """
    const drafts = Symbol('drafts');
    const editor = {[drafts]: [], text: ''};
    window.editor = editor;
    document.querySelector('#go').addEventListener('click', () => {
    -  editor[drafts].push({text: 'draft text', when: new Date()});
    +  editor[drafts][0] = {text: 'draft text', when: new Date()};
    });
    """,
)

pair(
    "memoised-by-unique-arguments",
    "heap|collection|string",
    r"memo|results|cache",
    """
    function memoise(work) {
      const results = {};
      return argument => {
    -    const key = JSON.stringify([argument, Date.now(), Math.random()]);
    +    const key = JSON.stringify([argument]);
        return results[key] ??= work(argument);
      };
    }
    const total = memoise(list => ({sum: list.reduce((a, b) => a + b, 0)}));
    document.querySelector('#go').onclick = () => total([1, 2, 3]);
    """,
)

pair(
    "map-of-weakrefs-never-pruned",
    "heap|collection",
    r"views",
    """
    const views = new Map();
    let id = 0;
    class View { constructor() { this.id = ++id; } }
    document.querySelector('#go').addEventListener('click', () => {
      const view = new View();
      views.set(view.id, new WeakRef(view));
    +  views.delete(view.id);
    });
    """,
)

pair(
    "weakmap-whose-keys-live",
    "heap|collection",
    r"keys|handles",
    """
    const privateParts = new WeakMap();
    const handles = [];
    document.querySelector('#go').addEventListener('click', () => {
      const handle = {};
    -  handles.push(handle);
      privateParts.set(handle, {blob: new Array(64).fill(0)});
    });
    """,
)

pair(
    "array-with-holes",
    "heap|collection",
    r"slots",
    """
    const pool = {slots: [], cursor: 0};
    window.pool = pool;
    document.querySelector('#go').addEventListener('click', () => {
    -  pool.cursor += 1;
      pool.slots[pool.cursor] = {busy: true, payload: 'x'.repeat(50)};
    });
    """,
)
