"""Leaks in the document: attached and detached nodes, styles, frames, custom elements."""

from __future__ import annotations

from tests.corpus.pair import pair

pair(
    "detached-kept-in-array",
    "detached-dom",
    r"removed",
    """
    const removed = [];
    const root = document.querySelector('#root');
    function show() {
      const card = document.createElement('div');
      card.innerHTML = '<h2>Title</h2><p>Some <b>text</b></p>';
      root.append(card);
      card.remove();
    -  removed.push(card);
    }
    document.querySelector('#go').addEventListener('click', show);
    """,
)

pair(
    "detached-kept-by-child-reference",
    "detached-dom",
    r"lastButtons|buttons",
    """
    const page = {buttons: []};
    window.page = page;
    document.querySelector('#go').addEventListener('click', () => {
      const tree = document.createElement('section');
      tree.innerHTML = '<div><ul><li>1</li><li>2</li></ul><button>ok</button></div>';
    -  page.buttons.push(tree.querySelector('button'));
    +  page.buttons[0] = tree.querySelector('button');
    });
    """,
)

pair(
    "detached-held-by-closures",
    "detached-dom|closure|heap",
    r"cleanups",
    """
    const cleanups = [];
    function mount() {
      const panel = document.createElement('aside');
      panel.textContent = 'panel';
      document.body.append(panel);
      const close = () => panel.remove();
    -  cleanups.push(close);
      close();
    }
    document.querySelector('#go').addEventListener('click', mount);
    """,
)

pair(
    "attached-rows",
    "dom",
    r"log|ul",
    """
    const list = document.querySelector('#log');
    document.querySelector('#go').addEventListener('click', () => {
      const row = document.createElement('li');
      row.textContent = 'event ' + Date.now();
    -  list.append(row);
    +  list.replaceChildren(row);
    });
    """,
    body='<button id="go">Go</button>\n<ul id="log"></ul>',
)

pair(
    "hidden-modals-stay",
    "dom",
    r"body",
    """
    function openModal() {
      const modal = document.createElement('div');
      modal.className = 'modal';
      modal.innerHTML = '<div class="dialog"><p>Sure?</p><button class="close">x</button></div>';
      document.body.append(modal);
      modal.querySelector('.close').addEventListener('click', () => {
    -    modal.style.display = 'none'; modal.querySelector('.close').className = 'old';
    +    modal.remove();
      });
    }
    document.querySelector('#go').addEventListener('click', openModal);
    """,
    steps=("click #go", "click .modal .close"),
)

pair(
    "tooltip-portals",
    "dom",
    r"portal|body",
    """
    const target = document.querySelector('#go');
    let tip = null;
    target.addEventListener('mouseenter', () => {
      tip = document.createElement('span');
      tip.className = 'tip-' + Math.random().toString(36).slice(2, 6);
      tip.textContent = 'Saves the form';
      document.querySelector('#portal').append(tip);
    });
    target.addEventListener('mouseleave', () => {
    +  tip.remove();
      tip = null;
    });
    """,
    steps=("hover #go", "hover #other"),
    body='<button id="go">Go</button>\n<p id="other">elsewhere</p>\n<div id="portal"></div>',
)

pair(
    "expando-on-element",
    "heap|collection",
    r"body|element|__data|bound",
    """
    let id = 0;
    document.querySelector('#go').addEventListener('click', () => {
    -  document.body['bound_' + (++id)] = {id, payload: new Array(20).fill(id)};
    +  document.body.bound = {id: ++id, payload: new Array(20).fill(id)};
    });
    """,
)

pair(
    "style-elements",
    "dom",
    r"head",
    """
    function theme(colour) {
      const style = document.createElement('style');
      style.textContent = `.a { color: ${colour} }`;
    +  document.querySelector('style.theme')?.remove();
      style.className = 'theme';
      document.head.append(style);
    }
    document.querySelector('#go').addEventListener('click', () => theme('#123456'));
    """,
)

pair(
    "css-rules",
    "native|dom",
    r"style|sheet|css",
    """
    const sheet = document.styleSheets[0];
    let id = 0;
    document.querySelector('#go').addEventListener('click', () => {
      sheet.insertRule(`.generated-${++id} { margin: ${id}px }`, sheet.cssRules.length);
    +  sheet.deleteRule(0);
    });
    """,
)

pair(
    "custom-element-with-window-listener",
    "detached-dom|listeners|closure",
    r"window|resize",
    """
    class SizeBadge extends HTMLElement {
      constructor() {
        super();
        this.attachShadow({mode: 'open'}).innerHTML = '<b>?</b><slot></slot>';
        this.onresize = () => { this.shadowRoot.querySelector('b').textContent = innerWidth; };
      }
      connectedCallback() { window.addEventListener('resize', this.onresize); }
    +  disconnectedCallback() { window.removeEventListener('resize', this.onresize); } //!
    }
    customElements.define('size-badge', SizeBadge);
    document.querySelector('#go').addEventListener('click', () => {
      const badge = document.createElement('size-badge');
      document.querySelector('#root').replaceChildren(badge);
      badge.remove();
    });
    """,
)

pair(
    "custom-element-registry",
    "detached-dom|heap|collection",
    r"all|TabStrip|registry",
    """
    class TabStrip extends HTMLElement {
      static all = new Set();
      connectedCallback() { TabStrip.all.add(this); this.innerHTML = '<i>a</i><i>b</i>'; }
    -  disconnectedCallback() { this.closed = true; }
    +  disconnectedCallback() { TabStrip.all.delete(this); }
    }
    customElements.define('tab-strip', TabStrip);
    document.querySelector('#go').addEventListener('click', () => {
      const strip = document.createElement('tab-strip');
      document.querySelector('#root').append(strip);
      strip.remove();
    });
    """,
)

pair(
    "iframes-stay",
    "document|dom",
    r"root|main|body",
    """
    document.querySelector('#go').addEventListener('click', () => {
      const frame = document.createElement('iframe');
      frame.srcdoc = '<p>embedded</p>';
    +  document.querySelector('#root').replaceChildren();
      document.querySelector('#root').append(frame);
    });
    """,
)

pair(
    "window-of-removed-iframe",
    "document|detached-dom|heap",
    r"preview|windows",
    """
    const previews = {windows: []};
    window.previews = previews;
    document.querySelector('#go').addEventListener('click', () => {
      const frame = document.createElement('iframe');
      document.body.append(frame);
    -  previews.windows.push(frame.contentWindow.document);
      frame.remove();
    });
    """,
)

pair(
    "template-clones-kept",
    "detached-dom|heap",
    r"clones",
    """
    const template = document.querySelector('#row');
    const clones = new Map();
    let id = 0;
    document.querySelector('#go').addEventListener('click', () => {
      const copy = template.content.cloneNode(true);
    -  clones.set(++id, copy.firstElementChild);
    +  clones.set(1, copy.firstElementChild);
    });
    """,
    body='<button id="go">Go</button><template id="row"><tr><td>1</td><td>2</td></tr></template>',
)

pair(
    "pool-of-rows-that-only-grows",
    "detached-dom|heap",
    r"free|pool",
    """
    // A virtual list: rows leave the document and should be used again.
    const free = [];
    const view = document.querySelector('#root');
    function take() {
    +  if (free.length) return free.pop();
      const row = document.createElement('div');
      row.className = 'row';
      return row;
    }
    function scroll() {
      const rows = [take(), take(), take()];
      view.append(...rows);
      for (const row of rows) { row.remove(); free.push(row); }
    }
    document.querySelector('#go').addEventListener('click', scroll);
    """,
)

pair(
    "canvases-kept",
    "detached-dom|native|heap",
    r"layers",
    """
    class Chart {
      layers = [];
      draw(values) {
        const canvas = document.createElement('canvas');
        canvas.width = 200; canvas.height = 100;
        const pen = canvas.getContext('2d');
        values.forEach((v, i) => pen.fillRect(i * 10, 100 - v, 8, v));
    -    this.layers.push(canvas);
    +    this.layers[0] = canvas;
      }
    }
    const chart = new Chart();
    document.querySelector('#go').addEventListener('click', () => chart.draw([10, 40, 25, 80]));
    """,
    module=True,
)

pair(
    "ranges-and-fragments",
    "detached-dom|heap",
    r"clipboard",
    """
    const clipboard = {entries: []};
    window.clipboard = clipboard;
    document.querySelector('#go').addEventListener('click', () => {
      const holder = document.createElement('div');
      holder.innerHTML = '<p>one</p><p>two</p>';
      const range = document.createRange();
      range.selectNodeContents(holder);
    -  clipboard.entries.push(range.extractContents());
    +  clipboard.entries = [range.extractContents()];
    });
    """,
)
