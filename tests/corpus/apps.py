"""Leaks in the style of whole applications: components, effects, reactivity, stores, charts."""

from __future__ import annotations

from tests.corpus.pair import pair

_COMPONENTS = """
    const h = (type, props, ...children) => ({type, props: props || {}, children});
    let current = null;
    function useEffect(run) { current.effects.push(run); }
    function render(vnode, parent, owner) {
      if (typeof vnode !== 'object') { parent.append(String(vnode)); return; }
      if (typeof vnode.type === 'function') {
        const fiber = {type: vnode.type, effects: [], cleanups: [], owner, child: null};
        current = fiber;
        const tree = vnode.type(vnode.props);
        current = null;
        owner.child = fiber;
        render(tree, parent, fiber);
        for (const effect of fiber.effects) {
          const undo = effect();
          if (undo) fiber.cleanups.push(undo);
        }
        return;
      }
      const node = document.createElement(vnode.type);
      for (const [name, value] of Object.entries(vnode.props)) node[name] = value;
      parent.append(node);
      for (const child of vnode.children) render(child, node, owner);
    }
    function unmount(rootFiber, host) {
      for (let f = rootFiber.child; f; f = f.child) f.cleanups.forEach(undo => undo());
      rootFiber.child = null;
      host.replaceChildren();
    }
"""

pair(
    "component-effect-without-cleanup",
    "listeners|closure|detached-dom",
    r"window|scroll",
    _COMPONENTS
    + """
    function Page() {
      useEffect(() => {
        const onScroll = () => document.title;
        window.addEventListener('scroll', onScroll); //!
    +    return () => window.removeEventListener('scroll', onScroll);
      });
      return h('section', {className: 'page'}, h('h1', null, 'Hello'), h('p', null, 'text'));
    }
    const host = document.querySelector('#root'), top = {child: null};
    document.querySelector('#go').addEventListener('click', () => {
      render(h(Page), host, top);
      unmount(top, host);
    });
    """.replace("top", "rootFiber"),
)

pair(
    "component-refs-in-context",
    "detached-dom|heap|collection",
    r"refs|context",
    _COMPONENTS
    + """
    const context = {refs: []};
    function Card() {
      useEffect(() => {
    -    context.refs.push(host.firstElementChild);
    +    context.refs = [host.firstElementChild];
      });
      return h('article', null, h('img', {alt: ''}), h('button', null, 'Buy'));
    }
    const host = document.querySelector('#root'), rootFiber = {child: null};
    document.querySelector('#go').addEventListener('click', () => {
      render(h(Card), host, rootFiber);
      unmount(rootFiber, host);
    });
    """,
)

pair(
    "reactive-effects-never-stopped",
    "closure|heap|collection",
    r"deps|effects|state|subs",
    """
    let active = null;
    const deps = new Map();
    function reactive(target) {
      return new Proxy(target, {
        get(object, key) {
          if (active) { if (!deps.has(key)) deps.set(key, new Set()); deps.get(key).add(active); }
          return object[key];
        },
        set(object, key, value) {
          object[key] = value;
          deps.get(key)?.forEach(effect => effect());
          return true;
        },
      });
    }
    function effect(run) {
      const tracked = () => { active = tracked; run(); active = null; };
      tracked();
      return () => deps.forEach(set => set.delete(tracked));
    }
    const state = reactive({count: 0});
    document.querySelector('#go').addEventListener('click', () => {
      const out = document.createElement('span');
      const stop = effect(() => { out.textContent = state.count; });
    +  stop(); //!
    });
    """,
    module=True,
)

pair(
    "observables-not-unsubscribed",
    "closure|heap|collection",
    r"observers|clicks",
    """
    class Subject {
      #observers = new Set();
      subscribe(observer) {
        this.#observers.add(observer);
        return {unsubscribe: () => this.#observers.delete(observer)};
      }
      pipe(...operators) { return operators.reduce((source, op) => op(source), this); }
      next(value) { for (const observer of this.#observers) observer.next(value); }
    }
    const map = f => source => ({
      subscribe: o => source.subscribe({next: v => o.next(f(v))}),
    });
    const clicks = new Subject();
    document.querySelector('#go').addEventListener('click', () => {
      const got = [];
      const subscription = clicks.pipe(map(x => x * 2)).subscribe({next: v => got.push(v)});
    +  subscription.unsubscribe(); //!
    });
    """,
)

pair(
    "action-log-of-a-devtool",
    "heap|collection",
    r"actions|timeline",
    """
    const devtool = {actions: [], limit: 5};
    let state = {todos: []};
    function dispatch(action) {
      state = {...state, last: action.type};
      devtool.actions.push({action, state, at: Date.now()});
    +  devtool.actions.splice(0, devtool.actions.length - devtool.limit);
    }
    document.querySelector('#go').addEventListener('click', () => dispatch({type: 'toggle'})); //!
    """,
)

pair(
    "undo-stack",
    "heap|collection",
    r"undo|past",
    """
    class Editor {
      constructor() { this.text = ''; this.past = []; }
      type(text) {
        this.past.push({text: this.text, cursor: this.text.length}); //!
    +    if (this.past.length > 10) this.past = this.past.slice(-10);
        this.text = text;
      }
    }
    window.editor = new Editor();
    const field = document.querySelector('#field');
    field.addEventListener('input', () => editor.type(field.value));
    """,
    steps=("fill #field=hello", "fill #field="),
    body='<input id="field">',
)

pair(
    "translations-by-interpolated-text",
    "heap|collection|string",
    r"cache|i18n|compiled",
    """
    const messages = {greeting: 'Hello {name}, it is {time}'};
    const i18n = {
      compiled: new Map(),
      t(key, values) {
        const text = messages[key].replace(/\\{(\\w+)\\}/g, (_, word) => values[word]);
    -    const id = text;
    +    const id = key;
        if (!this.compiled.has(id)) this.compiled.set(id, {parts: text.split(' ')});
        return text;
      },
    };
    let clock = 0;
    document.querySelector('#go').addEventListener('click', () => {
      document.querySelector('#root').textContent =
        i18n.t('greeting', {name: 'Ann', time: `12:00:${++clock}`});
    });
    """,
)

pair(
    "chart-series",
    "heap|collection",
    r"series|points|chart",
    """
    const canvas = document.querySelector('canvas');
    const chart = {
      series: {cpu: {points: []}},
      add(point) {
        this.series.cpu.points.push(point);
    +    this.series.cpu.points = this.series.cpu.points.slice(-8);
        const pen = canvas.getContext('2d');
        pen.clearRect(0, 0, canvas.width, canvas.height);
        for (const p of this.series.cpu.points) pen.fillRect(p.x % 300, 100 - p.y, 2, 2);
      },
    };
    let x = 0;
    document.querySelector('#go').onclick = () => chart.add({x: x++, y: Math.random() * 100}); //!
    window.chart = chart;
    """,
    body='<button id="go">Go</button>\n<canvas width="300" height="100"></canvas>',
)

pair(
    "views-of-a-single-page-app",
    "detached-dom|heap|collection|closure",
    r"views|cache|app",
    """
    const app = {views: new Map(), outlet: document.querySelector('#root')};
    window.app = app;
    class View {
      constructor(path) {
        this.path = path;
        this.element = document.createElement('section');
        this.element.innerHTML = `<h1>${path}</h1><ul>${'<li>x</li>'.repeat(10)}</ul>`;
      }
    }
    let serial = 0;
    function navigate(path) {
      history.pushState({path}, '', '#' + path);
      const view = new View(path);
    -  app.views.set(path + ':' + (++serial), view);
    +  app.views.set(path, view);
      app.outlet.replaceChildren(view.element);
    }
    document.querySelector('#go').addEventListener('click', () => navigate('/list'));
    document.querySelector('#back').addEventListener('click', () => navigate('/home'));
    """,
    steps=("click #go", "click #back"),
    body='<button id="go">List</button><button id="back">Home</button>\n<main id="root"></main>',
)

pair(
    "validators-of-a-form",
    "closure|heap|collection",
    r"validators",
    """
    const form = {validators: {email: [], name: []}};
    window.form = form;
    function openForm() {
      const rules = {min: 2, max: 40};
    -  form.validators.name.push(value => value.length >= rules.min);
    -  form.validators.email.push(value => value.includes('@') && rules.max);
    +  form.validators.name = [value => value.length >= rules.min];
    }
    document.querySelector('#go').addEventListener('click', openForm);
    """,
)

pair(
    "plugins-registered-again",
    "closure|heap|collection|detached-dom",
    r"plugins",
    """
    const Modal = (() => {
      const plugins = [];
      return {
        use(plugin) { plugins.push(plugin); },
        reset() { plugins.length = 0; },
        open() {
    +      this.reset();
          const element = document.createElement('dialog');
          element.innerHTML = '<form><input><button>ok</button></form>';
          this.use({name: 'focus', attach: () => element.querySelector('input').focus()}); //!
          document.body.append(element);
          plugins.forEach(plugin => plugin.name);
          element.remove();
        },
      };
    })();
    document.querySelector('#go').addEventListener('click', () => Modal.open());
    """,
)

pair(
    "notifications-with-intervals",
    "timer|detached-dom|closure",
    r"setInterval|[tT]imer|update|toast",
    """
    function toast(text) {
      const box = document.createElement('div');
      box.className = 'toast';
      document.body.append(box);
      const update = () => { box.textContent = text + ' ' + new Date().getSeconds(); };
      const beat = setInterval(update, 1000); //!
      setTimeout(() => {
        box.remove();
    +    clearInterval(beat);
      }, 30);
    }
    document.querySelector('#go').addEventListener('click', () => toast('saved'));
    """,
)

pair(
    "proxied-state-snapshots",
    "heap|collection",
    r"snapshots|timeTravel",
    """
    const timeTravel = {snapshots: []};
    const state = new Proxy({items: [1, 2, 3]}, {
      set(target, key, value) {
    -    timeTravel.snapshots.push(structuredClone(target));
    +    timeTravel.snapshots[0] = structuredClone(target);
        target[key] = value;
        return true;
      },
    });
    window.timeTravel = timeTravel;
    document.querySelector('#go').addEventListener('click', () => { state.items = [4, 5, 6]; });
    """,
)

pair(
    "prototype-based-instances",
    "heap|collection",
    r"instances|Tree",
    """
    function Tree(label) { this.label = label; this.leaves = []; Tree.instances.push(this); }
    Tree.instances = [];
    Tree.prototype.grow = function () { this.leaves.push({green: true}); };
    Tree.prototype.fell = function () {
    -  this.leaves.length = 0;
    +  Tree.instances.splice(Tree.instances.indexOf(this), 1);
    };
    document.querySelector('#go').addEventListener('click', function () {
      var tree = new Tree('oak');
      tree.grow();
      tree.fell();
    });
    """,
)
