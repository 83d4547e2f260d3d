"""Leaks of what the platform hands out: workers, ports, object URLs, entries, contexts."""

from __future__ import annotations

from tests.corpus.pair import pair

_WORKER = "const code = new Blob(['onmessage = e => postMessage(e.data)']);"

pair(
    "workers-not-terminated",
    "worker|native|heap",
    r"[wW]orker",
    f"""
    {_WORKER}
    const address = URL.createObjectURL(code);
    window.jobs = 0;
    document.querySelector('#go').addEventListener('click', () => {{
      const worker = new Worker(address);
      worker.onmessage = () => {{
        window.jobs += 1;
    +    worker.terminate();
      }};
      worker.postMessage('hello'); //!
    }});
    """,
    steps=("eval window.before = window.jobs", "click #go", "wait window.jobs > window.before"),
)

pair(
    "message-ports-left-open",
    "native|heap|closure|listeners",
    r"calls\.ports",
    """
    const calls = {ports: []};
    document.querySelector('#go').addEventListener('click', () => {
      const channel = new MessageChannel();
      const inbox = [];
      channel.port1.onmessage = event => inbox.push(event.data);
      channel.port2.postMessage('ping');
    -  calls.ports.push(channel.port2);
    +  channel.port1.onmessage = null; channel.port1.close(); channel.port2.close();
    });
    """,
)

pair(
    "broadcast-channels-left-open",
    "native|heap|closure|listeners",
    r"BroadcastChannel",
    """
    function join() {
      const room = new BroadcastChannel('room');
      room.onmessage = event => { room.last = event.data; };
    +  room.close(); //!
    }
    document.querySelector('#go').addEventListener('click', join);
    """,
)

pair(
    "object-urls-not-revoked",
    "native|blob-url",
    r"createObjectURL|blob|URL",
    """
    document.querySelector('#go').addEventListener('click', () => {
      const url = URL.createObjectURL(new Blob(['a,b,c\\n'.repeat(100)])); //!
      const link = document.createElement('a');
      link.href = url;
    +  URL.revokeObjectURL(url);
    });
    """,
)

pair(
    "performance-marks",
    "native|heap",
    r"[pP]erformance",
    """
    let run = 0;
    document.querySelector('#go').addEventListener('click', () => {
      performance.mark('start-' + (++run));
      performance.mark('end-' + run); //!
    +  performance.clearMarks();
    });
    """,
)

pair(
    "blobs-kept",
    "native|heap|collection",
    r"attachments",
    """
    const mail = {attachments: []};
    window.mail = mail;
    document.querySelector('#go').addEventListener('click', () => {
      const blob = new Blob([new Uint8Array(4096)]);
    -  mail.attachments.push(blob);
    +  mail.attachments = [blob];
    });
    """,
)

pair(
    "image-cache",
    "detached-dom|heap|collection",
    r"images",
    """
    const images = {};
    let version = 0;
    function preload(name) {
    -  const key = `${name}?${++version}`;
    +  const key = name;
      if (images[key]) return;
      const image = new Image();
      image.src = 'data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=';
      images[key] = image;
    }
    document.querySelector('#go').addEventListener('click', () => preload('logo'));
    """,
    module=True,
)

pair(
    "formatters-by-unique-options",
    "heap|collection|native",
    r"formatters",
    """
    const formatters = new Map();
    function price(value, options) {
    -  const key = options;
    +  const key = JSON.stringify(options);
      if (!formatters.has(key)) formatters.set(key, new Intl.NumberFormat('en', options));
      return formatters.get(key).format(value);
    }
    document.querySelector('#go').addEventListener('click', () => {
      document.querySelector('#root').textContent = price(3.5, {minimumFractionDigits: 2});
    });
    """,
)

pair(
    "file-readers-kept",
    "heap|collection|native|listeners",
    r"readers",
    """
    const uploads = {readers: new Set()};
    window.uploads = uploads;
    window.done = 0;
    document.querySelector('#go').addEventListener('click', () => {
      const reader = new FileReader();
      uploads.readers.add(reader);
      reader.onload = () => {
        window.done += 1;
    +    uploads.readers.delete(reader);
      };
      reader.readAsText(new Blob(['some text'])); //!
    });
    """,
    steps=("eval window.before = window.done", "click #go", "wait window.done > window.before"),
)

pair(
    "answers-kept",
    "heap|collection",
    r"responses",
    """
    const client = {responses: [], busy: false};
    window.client = client;
    document.querySelector('#go').addEventListener('click', async () => {
      client.busy = true;
      const answer = await fetch('/api/items');
      const body = await answer.json();
    -  client.responses.push(body);
    +  client.responses = [body];
      client.busy = false;
    });
    """,
    steps=("click #go", "wait !window.client.busy"),
)

pair(
    "fake-sockets",
    "heap|closure|collection",
    r"connections|sockets",
    """
    class Socket {
      constructor(hub) { this.hub = hub; this.queue = []; hub.connections.push(this); }
      set onmessage(handler) { this.handler = handler; }
      close() { this.hub.connections = this.hub.connections.filter(c => c !== this); }
    }
    const hub = {connections: []};
    globalThis.hub = hub;
    function chat() {
      const socket = new Socket(hub);
      const messages = [];
      socket.onmessage = text => messages.push(text);
    +  socket.close(); //!
    }
    document.querySelector('#go').addEventListener('click', chat);
    """,
)

pair(
    "finalizers-held-alive",
    "heap|collection",
    r"held|registry|tokens",
    """
    const held = [];
    const registry = new FinalizationRegistry(token => held.push(token));
    document.querySelector('#go').addEventListener('click', () => {
      const resource = {bytes: new Array(32).fill(7)};
      registry.register(resource, 'token', resource);
    -  held.push(resource);
    +  registry.unregister(resource);
    });
    """,
)
