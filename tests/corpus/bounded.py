"""Growth that ends, and noise that is none: the known false alarms, each with a leaking twin."""

from __future__ import annotations

from tests.corpus.pair import pair

pair(
    "cache-that-fills-and-stops",
    "heap|collection",
    r"pages",
    """
    const pages = new Map();
    let wanted = 0;
    document.querySelector('#go').addEventListener('click', () => {
      wanted += 1;
    -  const id = wanted;
    +  const id = wanted % 20;
      if (!pages.has(id)) pages.set(id, {id, text: 'page text '.repeat(id)});
    });
    """,
)

pair(
    "least-recently-used",
    "heap|collection",
    r"entries|lru",
    """
    class Lru {
      entries = new Map();
      constructor(limit) { this.limit = limit; }
      set(key, value) {
        this.entries.delete(key);
        this.entries.set(key, value); //!
    +    if (this.entries.size > this.limit) this.entries.delete(this.entries.keys().next().value);
      }
    }
    const lru = new Lru(15);
    let key = 0;
    document.querySelector('#go').onclick = () => lru.set('k' + (++key), {key, body: [1, 2, 3]});
    """,
)

pair(
    "ring-of-thirty-entries",
    "heap|collection",
    r"ring",
    """
    const ring = [];
    document.querySelector('#go').addEventListener('click', () => {
      ring.push({at: performance.now(), kind: 'click'}); //!
    +  if (ring.length > 30) ring.shift();
    });
    """,
    module=True,
)

pair(
    "lazy-initialisation",
    "heap|collection",
    r"parts",
    """
    let uses = 0;
    const parts = {};
    document.querySelector('#go').addEventListener('click', () => {
      uses += 1;
      if (uses === 3) parts.editor = {tools: new Array(500).fill(0).map(() => ({}))};
      if (uses === 7) parts.spell = {words: new Array(900).fill('word')};
      if (uses === 9) parts.help = document.createElement('aside');
    -  parts['use' + uses] = {uses};
    });
    """,
)

pair(
    "poller-in-the-background",
    "timer|closure",
    r"setInterval|[tT]imer|refresh",
    """
    let latest = null;
    const refresh = async () => { latest = await (await fetch('/api/items')).json(); };
    setInterval(refresh, 150);
    document.querySelector('#go').addEventListener('click', () => {
      document.querySelector('#root').textContent = latest ? latest.name : '-';
    -  const seen = {name: latest?.name};
    -  setInterval(() => { seen.name = latest?.name; }, 60000); //!
    });
    """,
)

pair(
    "rows-that-are-recycled",
    "dom|detached-dom",
    r"spare|table|tbody|root",
    """
    const body = document.querySelector('tbody');
    const spare = [];
    let serial = 0;
    function row() {
      const element = spare.pop() || document.createElement('tr');
      element.id = 'r' + (++serial) + Math.random().toString(36).slice(2);
      element.className = 'c' + Math.random().toString(36).slice(2);
      element.textContent = Math.random();
      return element;
    }
    document.querySelector('#go').addEventListener('click', () => {
      body.append(row(), row());
    -  spare.push(body.firstChild); body.firstChild.remove();
    +  while (body.firstChild) { spare.push(body.firstChild); body.firstChild.remove(); }
    });
    """,
    body='<button id="go">Go</button>\n<table><tbody></tbody></table>',
)

pair(
    "console-logging",
    "heap|collection",
    r"kept",
    """
    const kept = [];
    document.querySelector('#go').addEventListener('click', () => {
      const details = {when: Date.now(), list: new Array(50).fill('x')};
      console.log('clicked', details);
      console.error(new Error('only a message'));
    -  kept.push(details);
    });
    """,
)

pair(
    "code-that-gets-hot",
    "heap|collection",
    r"results",
    """
    const results = [];
    function mix(a, b) { return typeof a === 'string' ? a + b : a * b + (b & 7); }
    class Vec {
      constructor(x, y) { this.x = x; this.y = y; }
      add(o) { return new Vec(this.x + o.x, this.y + o.y); }
    }
    function work() {
      let sum = new Vec(0, 0), n = 0;
      for (let i = 0; i < 3000; i++) { sum = sum.add(new Vec(i, i / 3)); n = mix(n, i); }
      mix('a', 'b');
      return {sum, n};
    }
    document.querySelector('#go').addEventListener('click', () => {
      const result = work();
    -  results.push(result);
    +  results[0] = result;
    });
    """,
)

pair(
    "button-that-removes-itself",
    "detached-dom|dom|heap",
    r"old|body",
    """
    const old = [];
    function fresh() {
      const button = document.createElement('button');
      button.id = 'go';
      button.textContent = 'Press';
      button.addEventListener('click', () => {
        button.remove();
    -    old.push(button);
        fresh();
      });
      document.body.append(button);
    }
    fresh();
    """,
    body="<h1>One button</h1>",
)

pair(
    "random-ids-and-classes",
    "dom",
    r"root|main",
    """
    const root = document.querySelector('#root');
    const word = () => 'w' + Math.random().toString(36).slice(2);
    document.querySelector('#go').addEventListener('click', () => {
      const item = document.createElement('p');
      item.id = word(); item.className = word(); item.dataset[word()] = word();
    -  root.append(item);
    +  root.replaceChildren(item);
    });
    """,
)

pair(
    "history-navigation",
    "heap|collection",
    r"visited",
    """
    const visited = [];
    let page = 0;
    addEventListener('popstate', () => { document.title = location.hash; });
    document.querySelector('#go').addEventListener('click', () => {
      history.pushState({page: ++page}, '', '#page' + page);
      document.querySelector('#root').innerHTML = '<h1>Page ' + page + '</h1>';
    -  visited.push({hash: location.hash});
    });
    """,
    steps=("click #go", "eval history.back()", "wait location.hash === '' || true"),
)

pair(
    "leaving-animation",
    "dom|detached-dom",
    r"body|left",
    """
    document.querySelector('#go').addEventListener('click', () => {
      const box = document.createElement('div');
      box.textContent = 'fading';
      document.body.append(box);
      const fade = box.animate([{opacity: 1}, {opacity: 0}], {duration: 150});
    -  fade.onfinish = () => { box.style.visibility = 'hidden'; };
    +  fade.onfinish = () => box.remove();
    });
    """,
)

pair(
    "debounced-search",
    "heap|collection|string",
    r"queries",
    """
    const queries = [];
    function debounce(work, delay) {
      let handle;
      return value => { clearTimeout(handle); handle = setTimeout(() => work(value), delay); };
    }
    const search = debounce(value => {
      document.querySelector('#root').textContent = 'results for ' + value;
    }, 120);
    const field = document.querySelector('#field');
    field.addEventListener('input', () => {
      search(field.value);
    -  queries.push({text: field.value, at: Date.now()});
    });
    """,
    steps=("fill #field=abc", "fill #field=abcd"),
    body='<input id="field">\n<main id="root"></main>',
)

pair(
    "alternate-tree",
    "detached-dom|heap",
    r"buffers",
    """
    // Keeps the tree before the last one, as frameworks with two buffers do.
    const buffers = {current: null, previous: null};
    window.buffers = buffers;
    document.querySelector('#go').addEventListener('click', () => {
      const tree = {type: 'root', children: [], node: document.createElement('ul')};
      for (let i = 0; i < 5; i++) {
        const node = document.createElement('li');
        tree.node.append(node);
        tree.children.push({type: 'item', node, parent: tree});
      }
    -  tree.alternate = buffers.current;
    +  if (buffers.current) buffers.current.alternate = null; tree.alternate = buffers.current;
      buffers.previous = buffers.current;
      buffers.current = tree;
      document.querySelector('#root').replaceChildren(tree.node);
    });
    """,
)

pair(
    "toasts-that-leave-late",
    "dom",
    r"tray",
    """
    document.querySelector('#go').addEventListener('click', () => {
      const note = document.createElement('div');
      note.className = 'note';
      note.innerHTML = '<b>Saved</b> <i>just now</i>';
      document.querySelector('#tray').append(note);
    -  setTimeout(() => note.classList.add('gone'), 400);
    +  setTimeout(() => note.remove(), 400);
    });
    """,
    body='<button id="go">Go</button>\n<div id="tray"></div>',
)

pair(
    "pool-of-connections",
    "heap|collection",
    r"idle",
    """
    const idle = [];
    function borrow() { return idle.shift() || {id: Math.random(), buffer: new Uint8Array(64)}; }
    document.querySelector('#go').addEventListener('click', () => {
      const two = [borrow(), borrow()];
      idle.push(...two);
    -  idle.push({id: Math.random(), buffer: new Uint8Array(64)});
    });
    """,
)

pair(
    "every-third-time",
    "heap|collection",
    r"audit",
    """
    const audit = {entries: []};
    window.audit = audit;
    let calls = 0;
    document.querySelector('#go').addEventListener('click', () => {
      calls += 1;
    -  if (calls % 3 === 0) audit.entries.push({calls, stack: new Array(30).fill(calls)});
    +  if (calls % 3 === 0) audit.entries = [{calls, stack: new Array(30).fill(calls)}];
    });
    """,
)

pair(
    "toasts-that-stay-for-seconds",
    "dom",
    r"tray",
    """
    document.querySelector('#go').addEventListener('click', () => {
      const note = document.createElement('div');
      note.innerHTML = '<b>Saved</b> <i>just now</i>';
      document.querySelector('#tray').append(note);
    -  setTimeout(() => note.classList.add('gone'), 3500);
    +  setTimeout(() => note.remove(), 3500);
    });
    """,
    body='<button id="go">Go</button>\n<div id="tray"></div>',
)

pair(
    "beacons-sent-later",
    "heap|collection",
    r"sent",
    """
    const sent = [];
    document.querySelector('#go').addEventListener('click', () => {
      const event = {name: 'click', at: Date.now(), path: location.pathname};
      setTimeout(() => {
    -    sent.push(event);
    +    sent[0] = event;
      }, 2000);
    });
    """,
)
